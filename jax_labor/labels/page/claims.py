"""What every change under a claim does inside its transaction."""

import time

from jax_labor.labels.page.checks import CONTENT
from jax_labor.labels.page.refusal import lost


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
