"""Hands images out to people and takes their answers: who holds what, and what has been said.

Everything that two people could do to each other is decided inside one database transaction.
"""

import contextlib
import json
import secrets
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from jax_labor.errors import UserError
from jax_labor.labels.page.checks import BACK, Entry
from jax_labor.labels.page.claims import answered_items, renew, store_answer, why_lost
from jax_labor.labels.page.database import Database
from jax_labor.labels.page.finish import Finisher, settle
from jax_labor.labels.page.overview import overview
from jax_labor.labels.page.refusal import Refusal, Unreadable, changed, closed, lost
from jax_labor.labels.page.reviews import first_answer, reviewable
from jax_labor.labels.page.rounds import Board, Rounds
from jax_labor.labels.page.task import Task

_AHEAD = 4  # images made ready before anybody asks for them


class Desk:
    """The work of one run.

    Args:
        rounds: the run's rounds.
        database: what the server remembers.
        claim_seconds: how long an image stays with a person who does nothing.
        blind_review: whether a reviewer works without seeing the first person's answer.
    """

    def __init__(
        self, rounds: Rounds, database: Database, claim_seconds: float, blind_review: bool
    ):
        self._rounds = rounds
        self._database = database
        self._seconds = claim_seconds
        self._blind = blind_review
        self._finisher = Finisher(rounds, database, claim_seconds, blind_review)

    def overview(self, annotator: str) -> dict:
        """The newest round and how far it is; `round` is None while there is none."""
        board = self._rounds.newest()
        if board is not None:
            board.refresh()
            self._prepare(board)
        about = overview(board, self._database, annotator)
        return about | {"blind_review": self._blind}

    def claim(self, annotator: str, name: str | None, review: bool) -> dict | None:
        """Hands out an image: `name`, or the person's own unfinished one, or the next that is free.

        None when there is nothing to do. Refuses a `name` that somebody else holds or has answered.
        """
        board = self._rounds.newest()
        if board is None or board.closed:
            if name is None:
                return None
            raise closed() if board else Refusal(404, "no_round", "There is no open round.")
        board.refresh()
        if name is None:
            wanted = partial(self._choices, board, annotator, review)
        else:
            board.check(name)
            wanted = partial(self._named, board, annotator, name, review)
        while (row := self._reserve(board, annotator, wanted, review)) is not None:
            try:
                with board.reading(row["name"]):
                    opened = self._opened(board, row)
            except Unreadable:
                self.release(annotator, row["id"])
                continue
            self._prepare(board)
            return opened
        if name is not None:
            raise Refusal(409, "claimed", "Somebody else is working on this image.")
        return None

    def _named(self, board: Board, annotator: str, name: str, review: bool, _) -> list[str]:
        """[name], if the person may have it."""
        if name in board.broken:
            raise Unreadable(board.broken[name].sentence)
        done = board.done.get(name)
        if review:
            if done is None or done.annotator == annotator:
                raise Refusal(409, "not_for_review", "You review what somebody else has finished.")
            if done.reviewer not in (None, annotator):
                raise Refusal(409, "reviewed", "Somebody has reviewed this image already.")
        elif done is not None:
            if done.annotator != annotator:
                raise Refusal(409, "done", "Somebody else has finished this image.")
            if done.reviewer is not None:
                raise Refusal(409, "reviewed", "Your answer has been reviewed: it stands.")
        return [name]

    def _choices(self, board: Board, annotator: str, review: bool, run) -> list[str]:
        """What the person may be given, best first: what they were working on, then in order."""
        own = self._own(run, board, annotator, review)
        if own is not None:
            return [own]
        if review:
            return reviewable(board, self._database, annotator)
        return board.unfinished()

    def _own(self, run, board: Board, annotator: str, review: bool) -> str | None:
        """The image that the person holds and has not finished."""
        select = "SELECT * FROM claims WHERE annotator = ? AND round = ?"
        row = run(select, (annotator, board.number)).fetchone()
        if row is None or bool(row["reviewer"]) != review or row["name"] in board.broken:
            return None
        return None if settle(run, board, row) else row["name"]

    def _reserve(self, board: Board, annotator: str, wanted: Callable, review: bool):
        """The claim, made or renewed, of the first image that can be had; None without one.

        `wanted` is asked within the transaction: an image that somebody is just finishing is either
        still held or already done.
        """
        now = time.time()
        reviewer = annotator if review else ""
        with self._database.transaction() as run:
            names = wanted(run)
            claims = run("SELECT * FROM claims WHERE round = ?", (board.number,)).fetchall()
            held = {row["name"]: row for row in claims if row["annotator"] != annotator}
            free = (name for name in names if name not in held)
            over = (name for name in names if name in held and held[name]["until"] <= now)
            name = next(free, None) or next(over, None)
            if name is None:
                return None
            own = (annotator, board.number, name, reviewer)
            run(
                "DELETE FROM claims WHERE annotator = ?"
                " AND NOT (round = ? AND name = ? AND reviewer = ?)",
                own,
            )
            run(
                "DELETE FROM claims WHERE round = ? AND name = ? AND annotator <> ?",
                (board.number, name, annotator),
            )
            run(
                "INSERT OR IGNORE INTO claims VALUES (?, ?, ?, NULL, ?, ?, 0)",
                (secrets.token_urlsafe(12), board.number, name, reviewer, annotator),
            )
            until = now + self._seconds
            run("UPDATE claims SET until = ? WHERE annotator = ?", (until, annotator))
            return run("SELECT * FROM claims WHERE annotator = ?", (annotator,)).fetchone()

    def _opened(self, board: Board, row) -> dict:
        """The CLAIM of the page's interface for a reserved image."""
        self._rounds.photo_path(board, row["name"])
        task = self._rounds.task(board, row["name"])
        path = f"/api/rounds/{board.number}/images/{quote(task.name, safe='')}"
        claim, query = self._bind(row, board, task)
        review = None
        if row["reviewer"]:
            first = first_answer(board, self._database, query, task.name)
            label = None if self._blind else f"{path}/label"
            review = {"annotator": first.annotator, "label": label}
        select = (
            "SELECT body, undone FROM answers"
            " WHERE query = ? AND reviewer = ? AND action NOT IN (?, ?) ORDER BY number"
        )
        log = self._database.rows(select, query, row["reviewer"], *BACK)
        previous = self._database.row(
            "SELECT name FROM finishes WHERE annotator = ? AND round = ? AND name <> ?"
            " ORDER BY at DESC LIMIT 1",
            row["annotator"],
            board.number,
            task.name,
        )
        return {
            "claim": claim,
            "expires_in": self._seconds,
            "round": board.number,
            "name": task.name,
            "digest": task.digest,
            "kind": task.kind,
            "height": task.shape[0],
            "width": task.shape[1],
            "asked": task.asked,
            "image": f"{path}/photo",
            "guess": f"{path}/guess",
            "segments": f"{path}/segments" if task.segments else None,
            "items": task.items,
            "answers": [json.loads(r["body"]) | {"undone": bool(r["undone"])} for r in log],
            "previous": previous["name"] if previous else None,
            "review": review,
        }

    def _bind(self, row, board: Board, task: Task) -> tuple[str, int]:
        """(claim, query): a claim is for one wording of the questions; another one, another id."""
        with self._database.transaction() as run:
            key = board.number, task.name, task.digest
            run("INSERT OR IGNORE INTO queries(round, name, digest) VALUES (?, ?, ?)", key)
            select = "SELECT id FROM queries WHERE round = ? AND name = ? AND digest = ?"
            query = run(select, key).fetchone()["id"]
            claim = row["id"]
            if row["query"] not in (None, query):
                claim = secrets.token_urlsafe(12)
            update = "UPDATE claims SET id = ?, query = ? WHERE id = ?"
            if not run(update, (claim, query, row["id"])).rowcount:
                raise lost()
            return claim, query

    def answers(self, annotator: str, claim: str, entries: list[Entry]) -> dict:
        """Stores answers, all or none; one whose id is known already is only acknowledged."""
        row = self._held(annotator, claim)
        if row is None:
            return self._known_already(annotator, claim, entries)
        board = self._rounds.board(row["round"])
        if board.closed:
            raise closed()
        task = self._rounds.task(board, row["name"])
        for entry in entries:
            task.check(entry, len(board.classes))
        with self._database.transaction(durable=True) as run:
            row = renew(run, annotator, claim, self._seconds)
            if row["digest"] != task.digest:
                raise changed()
            for entry in entries:
                store_answer(run, row, entry)
            answered = answered_items(run, row["query"], row["reviewer"])
        return {
            "saved": [entry.id for entry in entries],
            "answered": answered,
            "total": len(task.items),
            "expires_in": self._seconds,
        }

    def _known_already(self, annotator: str, claim: str, entries: list[Entry]) -> dict:
        """Acknowledges answers sent again after the image was finished; refuses new ones."""
        select = "SELECT query, reviewer FROM answers WHERE id = ? AND annotator = ?"
        found = [self._database.row(select, entry.id, annotator) for entry in entries]
        with self._database.transaction() as run:
            if None in found:
                raise why_lost(run, annotator, claim)
            answered = answered_items(run, *found[0])
        return {
            "saved": [entry.id for entry in entries],
            "answered": answered,
            "total": answered,
            "expires_in": 0,
        }

    def finish(self, annotator: str, claim: str, status: str) -> dict:
        """Writes the answer file and lets the image go; repeating it changes nothing."""
        return self._finisher.finish(annotator, claim, status)

    def release(self, annotator: str, claim: str) -> None:
        """Lets an image go unfinished; its answers stay for whoever takes it next."""
        with self._database.transaction() as run:
            run("DELETE FROM claims WHERE id = ? AND annotator = ?", (claim, annotator))

    def leave_out(self, annotator: str, claim: str) -> None:
        """Lets an image go that the page cannot show or finish; nobody gets it as it is."""
        row = self._held(annotator, claim)
        if row is None:
            return
        board = self._rounds.board(row["round"])
        with contextlib.suppress(Unreadable), board.reading(row["name"]):
            board.round.read_image(row["name"])
            raise UserError(
                f"{row['name']} was left out because the page of {annotator} could not show or"
                " store it: see the server's log. It is offered again after a restart."
            )
        self.release(annotator, claim)

    def heartbeat(self, annotator: str, claim: str) -> dict:
        """Says that the person is still there."""
        with self._database.transaction() as run:
            renew(run, annotator, claim, self._seconds)
        return {"expires_in": self._seconds}

    def _held(self, annotator: str, claim: str):
        select = "SELECT * FROM claims WHERE id = ? AND annotator = ?"
        return self._database.row(select, claim, annotator)

    def _prepare(self, board: Board) -> None:
        """Makes ready what the next people to ask will get."""
        select = "SELECT name FROM claims WHERE round = ?"
        held = {row["name"] for row in self._database.rows(select, board.number)}
        free = (name for name in board.unfinished() if name not in held)
        self._rounds.prepare(board, [name for name, _ in zip(free, range(_AHEAD), strict=False)])
