"""Simulated annotators who answer a round over the labelling page's own HTTP interface.

For load tests and for studies of label noise: what they say is `labels.simulated.Person`, how they
say it is here, request by request as the page does it.
"""

import asyncio
import dataclasses
import io
import logging
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

import httpx
import numpy as np
from PIL import Image

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.labels.page.auth import is_loopback
from jax_labor.labels.simulated import Answered, Person
from jax_labor.labels.store import ANSWERED, MASK, POINTS

_TRIES, _FIRST_PAUSE = 8, 0.1  # a server that restarts is waited for, about 25 s in all
_TIMEOUT = 60.0
_MOST_LOST = 4


def simulate(
    url: str,
    token: str,
    *,
    truth: Callable[[str], np.ndarray],
    annotators: int = 1,
    error: float = 0.0,
    confusions: Mapping[int, Sequence[int]] | None = None,
    unsure: float = 0.0,
    undo: float = 0.0,
    seconds: float = 1.0,
    spread: float = 0.5,
    real_time: float = 1.0,
    seed: int = 0,
) -> dict:
    """Answers the newest round until nothing is left to claim.

    Args:
        url: the page's address.
        token: the page's token or password.
        truth: name -> uint8[H, W] train ids at the query's size, 255 where void.
        annotators: people at once, named "simulated 01" ...
        error, confusions, unsure, undo, seconds, spread, seed: see `Person`.
        real_time: share of the drawn seconds that is really waited; they are reported whole. With
            0, or `seconds` 0, every answer follows at once.

    Returns:
        annotators, images, answers (those undone included), undone, unsure, lost (claims that went
        to somebody else), requests, retries, simulated_seconds (sum over answers), seconds (of the
        whole), and routes: name -> {count, p50_ms, p95_ms, p99_ms, max_ms} of the requests.

    Raises:
        UserError: the address is not allowed, the server does not answer or refuses, or the truth
            does not fit the round.
    """
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it has a line for every request
    base = check_url(url)
    if annotators < 1:
        raise UserError(f"annotators is {annotators}: at least one person must answer")
    person = Person(0, error, confusions or {}, unsure, undo, seconds, spread, seed)
    run = _Run(base, token, truth, real_time)
    begin = time.perf_counter()
    asyncio.run(run.everyone(person, annotators))
    return run.figures() | {"annotators": annotators, "seconds": time.perf_counter() - begin}


def check_url(url: str) -> str:
    """The address without its path; UserError unless it is TLS or this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(f"{url}: give the page's address, such as http://127.0.0.1:8765")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise UserError(
            f"{url}: answers would cross the network unencrypted. Use https, or run on the"
            " server's machine."
        )
    return f"{parts.scheme}://{parts.netloc}"


class _Lost(Exception):
    """The server gave the image to somebody else, or took the round back."""


class _Run:
    """What all simulated people share: the server, the truth and the figures."""

    def __init__(self, base: str, token: str, truth: Callable, real_time: float):
        self._base, self._token = base, token
        self._truth, self._one_at_a_time = truth, asyncio.Lock()
        self._real_time = real_time
        self._latencies: dict[str, list[float]] = defaultdict(list)
        self._counts = Counter(images=0, answers=0, undone=0, unsure=0, lost=0, retries=0)
        self._simulated_seconds = 0.0

    async def everyone(self, person: Person, annotators: int) -> None:
        names = [f"simulated {number:02d}" for number in range(1, annotators + 1)]
        await asyncio.gather(*(self._one(name, person) for name in names))

    async def _one(self, annotator: str, person: Person) -> None:
        # Proxies of the environment have no business on this machine; over TLS its certificates do.
        from_environment = self._base.startswith("https")
        headers = {"X-Labor": "1"}
        async with httpx.AsyncClient(
            base_url=self._base, headers=headers, timeout=_TIMEOUT, trust_env=from_environment
        ) as client:
            await self._call(client, "page", "GET", "/")
            login = {"token": self._token, "annotator": annotator}
            await self._call(client, "login", "POST", "/api/login", login)
            facts = (await self._call(client, "round", "GET", "/api/round")).json()
            person = dataclasses.replace(person, num_classes=len(facts["classes"]))
            _check_confusions(person)
            await self._images(client, person)

    async def _images(self, client, person: Person) -> None:
        lost = Counter()
        while True:
            claim = None
            try:
                reply = await self._call(client, "claim", "POST", "/api/claim", {})
                claim = reply.json()["claim"]
                if claim is None:
                    return
                await self._image(client, person, claim)
            except _Lost as refusal:
                name = claim and claim["name"]
                lost[name] += 1
                self._counts["lost"] += 1
                if lost[name] == _MOST_LOST:  # handed out again and again: there is another reason
                    raise UserError(f"{name or 'a claim'}: {refusal}") from refusal

    async def _image(self, client, person: Person, claim: dict) -> None:
        """Answers every item of an image, also where an earlier try has, and finishes it."""
        ids = await self._pictures(client, claim)
        async with self._one_at_a_time:
            truth = await asyncio.to_thread(self._truth, claim["name"])
        _check_truth(truth, claim, person.num_classes)
        for item in claim["items"]:
            (rows, columns), pixels = _place(item, claim, ids)
            corner, guess = (rows.start, columns.start), item.get("guess")
            answered = person.answer(
                claim["name"], item["item"], truth[rows, columns], pixels, corner, guess
            )
            await self._say(client, claim, item, answered)
        await self._post(client, "finish", {"claim": claim["claim"], "status": ANSWERED})
        self._counts["images"] += 1

    async def _pictures(self, client, claim: dict) -> np.ndarray | None:
        """Fetches what the page shows; the numbers of a mask's pieces, int32[H, W], else None."""
        await self._call(client, "photo", "GET", claim["image"])
        await self._call(client, "guess", "GET", claim["guess"])
        if claim["kind"] != MASK:
            return None
        reply = await self._call(client, "segments", "GET", claim["segments"])
        return await asyncio.to_thread(read_segments, reply.content)

    async def _say(self, client, claim: dict, item: dict, answered: Answered) -> None:
        """Posts what is said of one item, one request for each act."""
        acts = []
        if answered.undone is not None:
            suggested = answered.undone == item.get("guess")
            wrong = _act("class", keys=1, accepted=suggested, **{"class": answered.undone})
            acts += [(wrong, answered.seconds), (_act("undo", keys=1, target=wrong["id"]), 0.0)]
        effort = {"clicks": answered.clicks, "keys": answered.keys}
        if answered.action == "patch":
            first, *rest = [_act("patch", patch=patch) for patch in answered.patches]
            acts += [(first | effort, answered.seconds), *((act, 0.0) for act in rest)]
        else:
            given = {"accepted": answered.accepted, "class": answered.class_} | effort
            acts.append((_act(answered.action, **given), answered.seconds))
        for act, seconds in acts:
            await asyncio.sleep(seconds * self._real_time)
            self._simulated_seconds += seconds
            act |= {"item": item["item"], "ms": round(1000 * seconds)}
            await self._post(client, "answers", {"claim": claim["claim"], "answers": [act]})
        self._counts["answers"] += sum(act["action"] != "undo" for act, _ in acts)
        self._counts["undone"] += answered.undone is not None
        self._counts["unsure"] += answered.action == "unsure"

    async def _post(self, client, route: str, body: dict) -> None:
        await self._call(client, route, "POST", f"/api/{route}", body)

    async def _call(self, client, route: str, method: str, path: str, body=None):
        """One request, sent again while the server cannot be reached; its time goes to `route`."""
        for number in range(_TRIES):
            begin = time.perf_counter()
            try:
                reply = await client.request(method, path, json=body)
            except httpx.TransportError as error:
                self._counts["retries"] += 1
                failure = error
                await asyncio.sleep(_FIRST_PAUSE * 2**number)
                continue
            self._latencies[route].append(time.perf_counter() - begin)
            return _checked(reply, f"{method} {self._base}{path}")
        raise UserError(
            f"{self._base} does not answer ({failure}): is the page being served there?"
        )

    def figures(self) -> dict:
        """Sums and latencies so far, see `simulate`."""
        routes = {route: _latency(values) for route, values in sorted(self._latencies.items())}
        requests = sum(row["count"] for row in routes.values())
        more = {"requests": requests, "simulated_seconds": self._simulated_seconds}
        return dict(self._counts) | more | {"routes": routes}


def _act(action: str, **more) -> dict:
    common = {"id": str(uuid.uuid4()), "action": action, "clicks": 0, "keys": 0}
    said = {key: value for key, value in more.items() if value is not None}
    return common | {"shown": True, "accepted": False} | said


def _place(item: dict, claim: dict, ids) -> tuple[tuple[slice, slice], np.ndarray]:
    """(rows, columns) of the rectangle around an item and bool[h, w], its pixels there."""
    if claim["kind"] == POINTS:
        row, column = item["row"], item["column"]
        return (slice(row, row + 1), slice(column, column + 1)), np.ones((1, 1), bool)
    if claim["kind"] == MASK:
        box = slice(item["top"], item["bottom"]), slice(item["left"], item["right"])
        return box, ids[box] == item["item"]
    height, width = claim["height"], claim["width"]
    return (slice(0, height), slice(0, width)), np.ones((height, width), bool)


def read_segments(content: bytes) -> np.ndarray:
    """int32[H, W], the numbers of the pieces from the page's RGB PNG; 0 outside."""
    with Image.open(io.BytesIO(content)) as image:
        red, green, blue = np.moveaxis(np.asarray(image.convert("RGB"), np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def _checked(reply: httpx.Response, what: str) -> httpx.Response:
    if not reply.is_error:
        return reply
    try:
        said = reply.json()["error"]
    except (ValueError, KeyError, TypeError):
        said = reply.reason_phrase
    if reply.status_code == 409:
        raise _Lost(said)
    raise UserError(f"{what} was refused ({reply.status_code}): {said}")


def _check_confusions(person: Person) -> None:
    named = {c for class_, wrong in person.confusions.items() for c in (class_, *wrong)}
    outside = sorted(c for c in named if not 0 <= c < person.num_classes)
    if outside:
        raise UserError(f"confusions name class {outside[0]}; the round has {person.num_classes}")


def _check_truth(truth: np.ndarray, claim: dict, num_classes: int) -> None:
    size = claim["height"], claim["width"]
    if truth.shape != size:
        raise UserError(f"the truth of {claim['name']} is {truth.shape}, its query {size}")
    known = truth[truth != IGNORE]
    if known.size and known.max() >= num_classes:
        raise UserError(
            f"the truth of {claim['name']} has class {known.max()}; the round has {num_classes}"
        )


def _latency(values: Sequence[float]) -> dict:
    p50, p95, p99 = np.percentile(values, [50, 95, 99]) * 1000
    figures = {"p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": max(values) * 1000}
    return {"count": len(values)} | {key: round(float(value), 2) for key, value in figures.items()}
