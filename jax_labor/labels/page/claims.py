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


def store_answer(run, claim, entry: Entry) -> tuple[int, int]:
    """Appends one answer, unless its id is known; by how much the person's (items, ms) grow.

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
        return 0, 0
    items = 1 if entry.action in CONTENT else _turn(run, claim, entry)
    run(
        "INSERT INTO answers(id, query, reviewer, annotator, item, action, body, ms, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (entry.id, *place, entry.item, entry.action, entry.body, entry.ms, time.time()),
    )
    return items, entry.ms


def _turn(run, claim, entry: Entry) -> int:
    """Undoes or redoes the answer that `entry` names; by how much the count of answers grows."""
    undone = int(entry.action == "undo")
    marks = ", ".join("?" * len(CONTENT))
    where = f"id = ? AND query = ? AND reviewer = ? AND action IN ({marks})"
    target = entry.target, claim["query"], claim["reviewer"], *CONTENT
    if run(f"SELECT 1 FROM answers WHERE {where}", target).fetchone() is None:
        raise Refusal(422, "unknown_target", f"There is no answer to {entry.action} by that id.")
    changed = run(
        f"UPDATE answers SET undone = ? WHERE {where} AND undone = ?",
        (undone, *target, 1 - undone),
    ).rowcount
    return (1 - 2 * undone) * changed
