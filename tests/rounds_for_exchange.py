"""Rounds of every kind, hostile in names, for the tests of exchange."""

import numpy as np

from jax_labor.classes import ClassTable
from jax_labor.labels.store import ANSWERED, FULL, POINTS, SKIPPED, Answer, Query, Round

HOSTILE = (
    'road, "wet"',
    "<b>&amp;</b>",
    "skipped",
    "unanswered",
    "unsure",
    "query",
    "Straße 道路 🚗",
    "two\nlines",
    " spaces ",
    "=1+1;'",
    "tab\tand\rreturn",
)


def table(names) -> ClassTable:
    """A class table of the names given."""
    count = len(names)
    colors = tuple((i, 255 - i, 7 * i % 256) for i in range(count))
    return ClassTable("test", tuple(names), colors, tuple(range(count)), (255,), "")


def make_round(workdir, kind, masks, names, rng, number=0) -> Round:
    """An open round that asks about the pixels of `masks`, bool[H, W] by image name."""
    round_ = Round(workdir, number)
    for name, mask in masks.items():
        guess = np.where(mask, rng.integers(0, len(names), mask.shape), 255).astype(np.uint8)
        points = rng.permutation(np.argwhere(mask)) if kind == POINTS else np.zeros((0, 2), int)
        round_.write_query(Query(name, guess, kind, points))
        round_.write_image(name, np.zeros((*mask.shape, 3), np.uint8), lossless=True)
    round_.open("test", masks, table(names), smallest=3)
    return round_


def copy_questions(round_: Round, workdir) -> Round:
    """The same round, its classes and queries, without answers."""
    copy = Round(workdir, round_.number)
    facts = round_.facts()
    for name in facts["names"]:
        copy.write_query(round_.read_query(name))
    names = [entry["name"] for entry in facts["classes"]]
    copy.open("test", facts["names"], table(names), smallest=facts["smallest"])
    return copy


def answer(round_: Round, name, label, status=ANSWERED, annotator="ann", seconds=0.0) -> None:
    """Answers one image."""
    round_.write_answer(Answer(name, label.astype(np.uint8), status, annotator, seconds))


def answers(round_: Round) -> dict:
    """Status and label map of everything answered in a round."""
    return {
        name: (round_.answer_facts(name)["status"], round_.read_answer(name).tolist())
        for name in round_.answered()
    }


def full_of_everything(workdir, kind, names=("road", "car", "sky"), seed=0) -> Round:
    """A round with an image open, one answered, one of them unsure everywhere and one skipped."""
    rng = np.random.default_rng(seed)
    masks = {
        "open": rng.random((9, 7)) < 0.4,
        "a.b-1": rng.random((6, 11)) < 0.4,
        "unsure": rng.random((5, 5)) < 0.5,
        "skipped": np.ones((4, 3), bool),
    }
    round_ = make_round(workdir, kind, masks, names, rng)
    label = rng.integers(0, len(names), (6, 11))
    label[rng.random((6, 11)) < 0.2] = 255
    label[masks["a.b-1"] if kind != FULL else ...].flat[0] = 0
    answer(round_, "a.b-1", label, seconds=12.5)
    answer(round_, "unsure", np.full((5, 5), 255))
    answer(round_, "skipped", np.full((4, 3), 255), SKIPPED)
    return round_
