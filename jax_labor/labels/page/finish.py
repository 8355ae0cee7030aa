"""Turns the log of an image into its answer file.

The log is the truth of what was said, the answer file the truth of "done". A finish writes the file
first and forgets the claim after, so a server killed between the two has lost nothing: the same
request, sent again, writes the same file again.
"""

import io
import threading
import time
import zlib

import numpy as np
from PIL import Image

from jax_labor.labels.agreement import agreement
from jax_labor.labels.answer_checks import EFFORT
from jax_labor.labels.page.claims import renew
from jax_labor.labels.page.database import Database
from jax_labor.labels.page.log import Log, last_number, read_log
from jax_labor.labels.page.refusal import Refusal, changed, closed, lost
from jax_labor.labels.page.reviews import First, first_answer
from jax_labor.labels.page.rounds import Board, Rounds
from jax_labor.labels.page.task import Task
from jax_labor.labels.store import ANSWERED, SKIPPED, Answer

_STRIPES = 64
_UNSAID = {"action": None, "class": None, "shown": False, "accepted": False, "corrected": False}
_UNSAID |= dict.fromkeys(EFFORT, 0)  # of an item, by another tool
_FIRSTS = ("shown", "accepted", *EFFORT)


class Finisher:
    """Finishes images; arguments as of `Desk`."""

    def __init__(self, rounds: Rounds, database: Database, claim_seconds: float, blind: bool):
        self._rounds = rounds
        self._database = database
        self._seconds = claim_seconds
        self._blind = blind
        self._locks = [threading.Lock() for _ in range(_STRIPES)]

    def finish(self, annotator: str, claim: str, status: str) -> dict:
        """Writes the answer file and lets the image go; repeating it changes nothing.

        Raises:
            Refusal: 409, it is not the person's, its round is closed, or items are open.
        """
        # Of two requests for one image, the later waits and finds it finished.
        with self._locks[zlib.crc32(claim.encode()) % _STRIPES]:
            key = claim, annotator
            select = "SELECT round FROM {} WHERE {} = ? AND annotator = ?"
            before = self._database.row(select.format("finishes", "claim"), *key)
            row = before or self._database.row(select.format("claims", "id"), *key)
            if row is None:
                raise lost()
            board = self._rounds.board(row["round"])
            board.refresh()  # after a restart it may never have been
            while before is None and not self._attempt(board, annotator, claim, status):
                pass
            return {"done": len(board.done), "total": len(board.names)}

    def _attempt(self, board: Board, annotator: str, claim: str, status: str) -> bool:
        """Writes what the log says; whether nothing was added to the log meanwhile."""
        with self._database.transaction() as run:
            row = renew(run, annotator, claim, self._seconds)
            log = read_log(run, row["query"], row["reviewer"])
        task = self._rounds.task(board, row["name"])
        if row["digest"] != task.digest:
            raise changed()
        if not (row["reviewer"] and status == SKIPPED):  # who passes leaves the answer alone
            answer = self._answer(board, task, row, log, status)
            _refuse_other(board, row)
            board.round.write_answer(answer)
            board.note(task.name)
        with self._database.transaction() as run:
            if run("SELECT 1 FROM finishes WHERE claim = ?", (claim,)).fetchone():
                return True  # another tab of the same person has moved on: see `settle`
            row = renew(run, annotator, claim, self._seconds)
            if last_number(run, row["query"], row["reviewer"]) != log.last:
                return False
            _let_go(run, row)
        return True

    def _answer(self, board: Board, task: Task, row, log: Log, status: str) -> Answer:
        """What the log says.

        Without `blind_review` a reviewer starts from the first person's answer: what the reviewer
        leaves alone is confirmed.
        """
        first = base = None
        if row["reviewer"]:
            first = first_answer(board, self._database, row["query"], task.name)
            base = None if self._blind else _decoded(first)
        still_open = len(task.items) - len({entry.item for entry in log.standing})
        if status == ANSWERED and base is None and still_open:
            raise Refusal(409, "incomplete", f"{still_open} of {len(task.items)} are open.")
        label = task.compose(log.standing if status == ANSWERED else (), base)
        items = log.items(task)
        sums = {key: sum(item[key] for item in items) for key in EFFORT}
        if first is None:
            return Answer(task.name, label, status, row["annotator"], **sums, items=tuple(items))
        return Answer(
            task.name,
            label,
            status,
            first.annotator,
            **{key: first.facts.get(key) or 0 for key in EFFORT},
            items=tuple(_joined(first.facts.get("items") or [], items)),
            reviewer=row["annotator"],
            review=sums,
            agreement=agreement(_decoded(first), label, len(board.classes)),
        )


def settle(run, board: Board, row) -> bool:
    """Whether the image of a claim is done: the server died when its file had been written.

    The claim is then let go. An image opened again after it was finished is not done.
    """
    done = board.done.get(row["name"])
    if done is None or (row["reviewer"] and done.reviewer is None):
        return False
    mine = row["annotator"] == (done.reviewer if row["reviewer"] else done.annotator)
    finished = run(
        "SELECT 1 FROM finishes WHERE round = ? AND name = ? AND reviewer = ? AND annotator = ?",
        (row["round"], row["name"], row["reviewer"], row["annotator"]),
    ).fetchone()
    if mine and finished:
        return False
    if mine:
        _let_go(run, row)
    else:
        run("DELETE FROM claims WHERE id = ?", (row["id"],))
    return True


def _refuse_other(board: Board, row) -> None:
    """Refuses (409) to write over what somebody else has answered, and into a closed round."""
    if (board.round.folder / "answers" / f"{row['name']}.json").exists():
        facts = board.round.answer_facts(row["name"])
        first = row["annotator"] if not row["reviewer"] else facts["annotator"]
        reviewer = facts.get("reviewer")
        if facts["annotator"] != first or reviewer not in (None, row["reviewer"] or None):
            raise Refusal(409, "done", "Somebody else has finished this image meanwhile.")
    if board.closed:
        raise closed()


def _let_go(run, row) -> None:
    key = row["id"], row["round"], row["name"], row["reviewer"], row["annotator"]
    run("INSERT INTO finishes VALUES (?, ?, ?, ?, ?, ?)", (*key, time.time()))
    run("DELETE FROM claims WHERE id = ?", (row["id"],))


def _decoded(first: First) -> np.ndarray:
    with Image.open(io.BytesIO(first.png)) as image:
        return np.asarray(image)


def _joined(first: list[dict], second: list[dict]) -> list[dict]:
    """Items after a review: the first person's effort, the second's answer where there is one."""
    joined = {item["item"]: _UNSAID | item for item in first if "item" in item}
    for item in second:
        earlier = joined.get(item["item"])
        if earlier is None:
            item |= dict.fromkeys(EFFORT, 0)
        else:
            changed = any(item[key] != earlier[key] for key in ("action", "class"))
            item |= {key: earlier[key] for key in _FIRSTS}
            item["corrected"] = earlier["corrected"] or (earlier["accepted"] and changed)
        joined[item["item"]] = item
    return [joined[key] for key in sorted(joined)]
