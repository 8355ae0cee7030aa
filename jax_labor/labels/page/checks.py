"""What a request may say: bodies are checked here, field by field, before anything acts on them."""

import dataclasses
import json
import re
import uuid
from typing import Any

from jax_labor.labels.answer_checks import annotator_name
from jax_labor.labels.page.refusal import Refusal
from jax_labor.labels.store import ANSWERED, SKIPPED

CONTENT = ("class", "unsure", "skip", "patch")
BACK = ("undo", "redo")
ANSWERS_PER_REQUEST = 1000
_COUNT_LIMIT = 2**31  # of clicks, keys, milliseconds (24 days) and every number of a patch
_CLAIM = re.compile(r"[A-Za-z0-9_-]{8,64}")


@dataclasses.dataclass(frozen=True)
class Patch:
    """A painted rectangle: `runs` are (value, count) pairs in row-major order, 255 unlabelled."""

    top: int
    left: int
    height: int
    width: int
    runs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Entry:
    """One posted answer; `body` is what the page gets back of it when it claims the image again."""

    id: str
    item: int
    action: str
    class_: int | None
    target: str | None
    patch: Patch | None
    ms: int
    clicks: int
    keys: int
    shown: bool
    accepted: bool
    body: str


def invalid(field: str, wanted: str) -> Refusal:
    """The 422 that names the field and what it must be."""
    return Refusal(422, "invalid", f"'{field}' must be {wanted}.")


def read_object(content: bytes) -> dict:
    """The JSON object in a request's body; NaN, infinities and anything but an object: 400."""
    try:
        value = json.loads(content, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refusal(400, "bad_json", "The request's body is not JSON.") from None
    if not isinstance(value, dict):
        raise Refusal(400, "bad_json", "The request's body must be a JSON object.")
    return value


def login(body: dict) -> tuple[str, str]:
    """(token, annotator) of a login."""
    token = _text(body, "token", 1024)
    try:
        return token, annotator_name(_text(body, "annotator", 1024))
    except ValueError as rule:
        raise invalid("annotator", str(rule)) from None


def claim_id(body: dict) -> str:
    """The claim that a request works on."""
    claim = _text(body, "claim", 64)
    if not _CLAIM.fullmatch(claim):
        raise invalid("claim", "the id of a claim")
    return claim


def wish(body: dict) -> tuple[str | None, bool]:
    """(name or None, review) of a request for an image."""
    name = None if body.get("name") is None else _text(body, "name", 4096)
    return name, _flag(body, "review")


def status(body: dict) -> str:
    """The status with which an image is finished."""
    if body.get("status") not in (ANSWERED, SKIPPED):
        raise invalid("status", f"'{ANSWERED}' or '{SKIPPED}'")
    return body["status"]


def entries(body: dict) -> list[Entry]:
    """The answers of a request, ids distinct."""
    answers = body.get("answers")
    if not isinstance(answers, list) or not 1 <= len(answers) <= ANSWERS_PER_REQUEST:
        raise invalid("answers", f"a list of 1 to {ANSWERS_PER_REQUEST} answers")
    found = [_entry(answer) for answer in answers]
    if len({entry.id for entry in found}) != len(found):
        raise invalid("id", "different for every answer of a request")
    return found


def entry_of(body: str) -> Entry:
    """An answer from its stored `body`, which was checked when it was posted."""
    entry = {"class": None, "target": None, "patch": None} | json.loads(body)
    patch = entry["patch"] and Patch(**entry["patch"])
    return Entry(**_fields(entry), patch=patch, body=body)


def _entry(answer: Any) -> Entry:
    if not isinstance(answer, dict):
        raise invalid("answers", "a list of objects")
    action = answer.get("action")
    if not isinstance(action, str) or action not in CONTENT + BACK:
        raise invalid("action", f"one of {', '.join(CONTENT + BACK)}")
    patch = _patch(answer.get("patch")) if action == "patch" else None
    entry = {
        "id": _uuid(answer, "id"),
        "item": _count(answer, "item"),
        "action": action,
        "class": _count(answer, "class", 255) if action == "class" else None,
        "target": _uuid(answer, "target") if action in BACK else None,
        "patch": vars(patch) if patch else None,
        "ms": _count(answer, "ms", default=0),
        "clicks": _count(answer, "clicks", default=0),
        "keys": _count(answer, "keys", default=0),
        "shown": _flag(answer, "shown"),
        "accepted": _flag(answer, "accepted"),
    }
    body = json.dumps({key: value for key, value in entry.items() if value is not None})
    return Entry(**_fields(entry), patch=patch, body=body)


def _fields(entry: dict) -> dict:
    renamed = {("class_" if key == "class" else key): value for key, value in entry.items()}
    del renamed["patch"]
    return renamed


def _patch(patch: Any) -> Patch:
    if not isinstance(patch, dict):
        raise invalid("patch", "an object")
    top, left = _count(patch, "top"), _count(patch, "left")
    height, width = _count(patch, "height"), _count(patch, "width")
    runs = patch.get("runs")
    if not isinstance(runs, list) or len(runs) % 2 or not set(map(type, runs)) <= {int}:
        raise invalid("runs", "a list of whole numbers, value and count in turn")
    counts = runs[1::2]
    if not runs or min(counts) < 1 or sum(counts) != height * width:
        raise invalid("runs", "positive counts that add up to the patch's pixels")
    if min(runs[::2]) < 0 or max(runs[::2]) > 255:
        raise invalid("runs", "values from 0 to 255")
    return Patch(top, left, height, width, tuple(runs))


def _text(body: dict, field: str, longest: int) -> str:
    value = body.get(field)
    if not isinstance(value, str) or len(value) > longest or not _encodable(value):
        raise invalid(field, f"text of at most {longest} characters")
    return value


def _encodable(text: str) -> bool:
    """Half a surrogate pair is JSON but no text: neither the database nor a log could hold it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flag(body: dict, field: str) -> bool:
    value = body.get(field, False)
    if not isinstance(value, bool):
        raise invalid(field, "true or false")
    return value


def _count(body: dict, field: str, limit: int = _COUNT_LIMIT, default: int | None = None) -> int:
    value = body.get(field, default)
    if type(value) is not int or not 0 <= value < limit:
        raise invalid(field, f"a whole number from 0 to {limit - 1}")
    return value


def _uuid(body: dict, field: str) -> str:
    value = body.get(field)
    try:
        return str(uuid.UUID(value if isinstance(value, str) and len(value) <= 64 else ""))
    except ValueError:
        raise invalid(field, "a UUID") from None


def _no_constant(constant: str):
    raise ValueError(constant)
