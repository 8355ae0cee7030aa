"""Who answers a round: a program, or people through the files of the round."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from jax_labor.engine.processes import from_main
from jax_labor.engine.signals import StopFlag
from jax_labor.errors import UserError, check_choice
from jax_labor.labels import oracle
from jax_labor.labels.store import Round

PEOPLE = "people"
POLL_SECONDS = 5.0
Truth = Callable[[str], np.ndarray]
_LOG = logging.getLogger(__name__)


class Waiting(Exception):
    """A round is open and people have yet to answer; the state is saved.

    Attributes:
        round: the open Round.
        left: how many of its images are not answered.
    """

    def __init__(self, round_: Round, left: int):
        super().__init__(f"round {round_.number} waits for answers to {left} images")
        self.round, self.left = round_, left


class Desk(Protocol):
    """Where a round is answered: a Session, or what stands for one before training."""

    config: object
    stop: StopFlag

    def check_stop(self) -> None:
        """Raises Stopped if a signal came."""


def check_annotator(name: str, program: str) -> None:
    """Raises a UserError for an annotator other than people and this experiment's `program`."""
    check_choice("config.annotator", name, (program, PEOPLE))


def answer_round(desk: Desk, round_: Round, truth: Callable[[], Truth]) -> None:
    """Returns once every query is answered or skipped, by whom `config.annotator` names.

    Args:
        desk: where.
        round_: an open round.
        truth: called in all processes, if a program is to answer what is still open: gives name
            -> uint8[H, W].

    Raises:
        Waiting: people have not answered all, and `config.annotator_wait` does not say to wait.
        Stopped: a signal came; the answers so far are kept.
    """
    if desk.config.annotator == PEOPLE:
        _ask_people(desk, round_)
    elif _left(round_):
        known = truth()
        from_main(lambda: _answer(desk, round_, known))
        desk.check_stop()


class _Heard(Exception):
    """Process 0 heard a signal, which all have to agree about."""


def _answer(desk: Desk, round_: Round, known: Truth) -> None:
    def unless_stopped(name: str) -> np.ndarray:
        if desk.stop.set:
            raise _Heard
        return known(name)

    with contextlib.suppress(_Heard):
        oracle.answer(round_, unless_stopped, desk.config.annotator)


def truth_of(target) -> Truth:
    """Name -> uint8[H, W] train ids of the target's ground truth; UserError where it has none."""
    check_has_truth(target)
    index = {name: i for i, name in enumerate(target.names)}
    return lambda name: target.label(index[name])[..., 0]


def check_has_truth(target) -> None:
    """Raises a UserError for a target without labels, which only people could answer about."""
    if target.all_void:
        raise UserError(
            "ground truth is to answer, but config.data.target has no labels, or all are void:"
            " choose a labelled split, or let people answer with --config.annotator=people."
        )


def _ask_people(desk: Desk, round_: Round) -> None:
    before = None
    while left := _left(round_):
        if not desk.config.annotator_wait:
            raise Waiting(round_, left)
        if left != before:
            _LOG.info("round %d: waiting for answers to %d images", round_.number, left)
        before = left
        desk.check_stop()
        time.sleep(POLL_SECONDS)


def _left(round_: Round) -> int:
    """Images without an answer as the first process sees them: the same number in all."""
    return from_main(lambda: len(round_.unanswered()))
