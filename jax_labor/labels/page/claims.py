"""What every change under a claim does inside its transaction."""

import time

from jax_labor.labels.page.checks import CONTENT
from jax_labor.labels.page.refusal import lost


def renew(run, annotator: str, claim: str, seconds: float):
    """The claim's row, its time begun anew; an expired one that nobody took is still its owner's.

    Raises:
        Refusal: 409, it is not the person's.
    """
    key = claim, annotator
    until = time.time() + seconds
    run("UPDATE claims SET until = ? WHERE id = ? AND annotator = ?", (until, *key))
    row = run("SELECT * FROM claims WHERE id = ? AND annotator = ?", key).fetchone()
    if row is None or row["query"] is None:
        raise lost()
    return row


def answered_items(run, query: int, reviewer: str) -> int:
    """How many items of an image have an answer that stands."""
    marks = ", ".join("?" * len(CONTENT))
    select = (
        "SELECT COUNT(DISTINCT item) AS n FROM answers"
        f" WHERE query = ? AND reviewer = ? AND action IN ({marks}) AND undone = 0"
    )
    return run(select, (query, reviewer, *CONTENT)).fetchone()["n"]


def is_about(run, query: int, digest: str) -> bool:
    """Whether a claim's query is the one with this digest."""
    select = "SELECT 1 FROM queries WHERE id = ? AND digest = ?"
    return run(select, (query, digest)).fetchone() is not None
