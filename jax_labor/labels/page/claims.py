"""What every change under a claim does inside its transaction."""

import time

from jax_labor.labels.page.checks import CONTENT, Entry
from jax_labor.labels.page.refusal import Refusal, finished, lost


def renew(run, annotator: str, claim: str, seconds: float):
    """The claim's row with its query's digest, its time begun anew.

    An expired claim that nobody took is still its owner's.

    Raises:
        Refusal: 409, it is not the person's.
    """
    key = claim, annotator
    until = time.time() + seconds
    run("UPDATE claims SET until = ? WHERE id = ? AND annotator = ?", (until, *key))
    row = run(
        "SELECT claims.*, queries.digest FROM claims JOIN queries ON queries.id = claims.query"
        " WHERE claims.id = ? AND claims.annotator = ?",
        key,
    ).fetchone()
    if row is None:
        raise why_lost(run, annotator, claim)
    return row


def why_lost(run, annotator: str, claim: str) -> Refusal:
    """What to tell a person about a claim that is not held."""
    select = "SELECT 1 FROM finishes WHERE claim = ? AND annotator = ?"
    return finished() if run(select, (claim, annotator)).fetchone() else lost()


def answered_items(run, query: int, reviewer: str) -> int:
    """How many items of an image have an answer that stands."""
    marks = ", ".join("?" * len(CONTENT))
    select = (
        "SELECT COUNT(DISTINCT item) AS n FROM answers"
        f" WHERE query = ? AND reviewer = ? AND action IN ({marks}) AND undone = 0"
    )
    return run(select, (query, reviewer, *CONTENT)).fetchone()["n"]


def store_answer(run, claim, entry: Entry) -> None:
    """Appends one answer, unless its id is known, and books it on the person's pace.

    Raises:
        Refusal: 409, the id is another answer's; 422, there is nothing to undo by that id.
    """
    place = claim["query"], claim["reviewer"], claim["annotator"]
    known = run(
        "SELECT query, reviewer, annotator FROM answers WHERE id = ?", (entry.id,)
    ).fetchone()
    if known is not None:
        if tuple(known) != place:
            raise Refusal(409, "id_taken", "An answer of that id was given about another image.")
        return
    if entry.action not in CONTENT:
        _turn(run, claim, entry)
    _book(run, claim, claim["annotator"], int(entry.action in CONTENT), entry.ms)
    run(
        "INSERT INTO answers(id, query, reviewer, annotator, item, action, body, ms, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (entry.id, *place, entry.item, entry.action, entry.body, entry.ms, time.time()),
    )


def _book(run, claim, annotator: str, items: int, ms: int) -> None:
    """Adds to what a person has done in the claim's round."""
    run(
        "INSERT INTO paces VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
        " SET items = items + excluded.items, ms = ms + excluded.ms",
        (claim["round"], annotator, items, ms),
    )


def _turn(run, claim, entry: Entry) -> None:
    """Undoes or redoes the answer that `entry` names, which may be another person's."""
    undone = int(entry.action == "undo")
    marks = ", ".join("?" * len(CONTENT))
    where = f"id = ? AND query = ? AND reviewer = ? AND action IN ({marks})"
    target = entry.target, claim["query"], claim["reviewer"], *CONTENT
    answer = run(f"SELECT annotator FROM answers WHERE {where}", target).fetchone()
    if answer is None:
        raise Refusal(422, "unknown_target", f"There is no answer to {entry.action} by that id.")
    changed = run(
        f"UPDATE answers SET undone = ? WHERE {where} AND undone = ?",
        (undone, *target, 1 - undone),
    ).rowcount
    _book(run, claim, answer["annotator"], (1 - 2 * undone) * changed, 0)
