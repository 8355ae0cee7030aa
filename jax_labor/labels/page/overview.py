"""What a page is told of a round: how far it is, and what cannot be read of it."""

import time

from jax_labor.labels.page.database import Database
from jax_labor.labels.page.reviews import reviewable
from jax_labor.labels.page.rounds import Board
from jax_labor.labels.store import SKIPPED

_COUNTS = ("total", "done", "skipped", "free", "mine", "to_review")


def overview(board: Board | None, database: Database, annotator: str) -> dict:
    """The round as one person sees it; `round` is None while there is none."""
    if board is None:
        about = {"round": None, "strategy": None, "kind": None, "closed": False, "classes": []}
        about |= {"broken": [], "images": dict.fromkeys(_COUNTS, 0)}
        pace = None
    else:
        about = {
            "round": board.number,
            "strategy": board.strategy,
            "kind": board.kind,
            "closed": board.closed,
            "classes": board.classes,
            "broken": [
                {"name": name, "done": name in board.done, "sentence": one.sentence}
                for name, one in sorted(board.broken.items())
            ],
            "images": _images(board, database, annotator),
        }
        select = "SELECT items, ms FROM paces WHERE round = ? AND annotator = ?"
        pace = database.row(select, board.number, annotator)
    return about | {
        "annotator": annotator,
        "items_by_me": pace["items"] if pace else 0,
        "seconds_by_me": pace["ms"] / 1000 if pace else 0.0,
    }


def _images(board: Board, database: Database, annotator: str) -> dict:
    select = "SELECT name FROM claims WHERE round = ? AND until > ?"
    held = {row["name"] for row in database.rows(select, board.number, time.time())}
    done = list(board.done.values())
    counts = (
        len(board.names),
        len(done),
        sum(one.status == SKIPPED for one in done),
        len(set(board.unfinished()) - held),
        sum(one.annotator == annotator for one in done),
        len(reviewable(board, database, annotator)),
    )
    return dict(zip(_COUNTS, counts, strict=True))
