"""The log of one image: everything one side (labelling, or one reviewer) has said about it."""

from typing import NamedTuple

from jax_labor.labels.page.checks import CONTENT, Entry, entry_of
from jax_labor.labels.page.task import Task


class Log(NamedTuple):
    """Answers in order of arrival.

    Attributes:
        last: number of the newest entry, 0 without one: another number, another log.
        entries: all of them, undos and redos included.
        undone: whether each has been taken back.
    """

    last: int
    entries: list[Entry]
    undone: list[bool]

    @property
    def standing(self) -> list[Entry]:
        """The answers that have not been taken back."""
        pairs = zip(self.entries, self.undone, strict=True)
        return [entry for entry, undone in pairs if entry.action in CONTENT and not undone]

    def items(self, task: Task) -> list[dict]:
        """By answered item its last standing answer, and the effort of everything said about it."""
        answers = {entry.item: entry for entry in self.standing}
        efforts: dict[int, list[int]] = {}
        taken = set()  # items whose suggestion was accepted at some time
        for entry in self.entries:
            if entry.accepted and entry.action in CONTENT:
                taken.add(entry.item)
            effort = efforts.setdefault(entry.item, [0, 0, 0])
            for place, amount in enumerate((entry.ms, entry.clicks, entry.keys)):
                effort[place] += amount
        found = []
        for item, (ms, clicks, keys) in sorted(efforts.items()):
            entry = answers.get(item)
            found.append(
                {
                    "item": item,
                    "action": entry.action if entry else None,
                    "class": entry.class_ if entry else None,
                    "seconds": ms / 1000,
                    "clicks": clicks,
                    "keys": keys,
                    "shown": bool(entry and entry.shown),
                    "accepted": bool(entry and entry.accepted),
                    "corrected": bool(item in taken and entry and not entry.accepted),
                    "size": task.size(item),
                }
            )
        return found


def read_log(run, query: int, reviewer: str) -> Log:
    """The log of an image's query; `reviewer` is "" for the first person's side."""
    rows = run(
        "SELECT number, body, undone FROM answers WHERE query = ? AND reviewer = ? ORDER BY number",
        (query, reviewer),
    ).fetchall()
    last = rows[-1]["number"] if rows else 0
    return Log(last, [entry_of(r["body"]) for r in rows], [bool(r["undone"]) for r in rows])


def last_number(run, query: int, reviewer: str) -> int:
    """The number of the log's newest entry, 0 without one."""
    select = "SELECT MAX(number) AS last FROM answers WHERE query = ? AND reviewer = ?"
    return run(select, (query, reviewer)).fetchone()["last"] or 0
