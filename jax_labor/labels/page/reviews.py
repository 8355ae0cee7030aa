"""What a second person goes over, and what the first had said."""

import json
from typing import NamedTuple

from jax_labor.labels.page.database import Database
from jax_labor.labels.page.rounds import Board
from jax_labor.labels.store import ANSWERED
from jax_labor.pixels import encode_png


class First(NamedTuple):
    """The first person's answer: who, the label map as PNG, what stands in its JSON file."""

    annotator: str
    png: bytes
    facts: dict


def reviewable(board: Board, database: Database, annotator: str) -> list[str]:
    """Images that somebody else has answered, nobody has reviewed and the person has not passed."""
    select = "SELECT name FROM finishes WHERE annotator = ? AND round = ? AND reviewer <> ''"
    passed = {row["name"] for row in database.rows(select, annotator, board.number)}
    return [
        name
        for name in board.names
        if (done := board.done.get(name)) is not None
        and done.status == ANSWERED
        and done.annotator != annotator
        and done.reviewer is None
        and name not in passed
        and name not in board.broken
    ]


def first_answer(board: Board, database: Database, query: int, name: str) -> First:
    """The first person's answer, checked, set aside before its review replaces it.

    It is set aside anew when the first person has changed it, which the JSON file tells: the PNG
    alone may be a review's that a killed server did not complete.

    Raises:
        Unreadable: it does not fit its query; another tool may have written it.
    """
    select = "SELECT label, facts FROM firsts WHERE query = ?"
    kept = database.row(select, query)
    done = board.done.get(name)
    if kept is None or (done is not None and done.reviewer is None):
        with board.reading(name):
            facts = json.dumps(board.round.answer_facts(name))
            fresh = kept is None or kept["facts"] != facts
            label = encode_png(board.round.read_answer(name)) if fresh else None
        if fresh:
            with database.transaction(durable=True) as run:
                run("INSERT OR REPLACE INTO firsts VALUES (?, ?, ?)", (query, label, facts))
            kept = database.row(select, query)
    facts = json.loads(kept["facts"])
    return First(facts["annotator"], kept["label"], facts)
