"""Who answers a round: ground truth, or people through the files of the round."""

import logging
import time
from collections.abc import Callable

import numpy as np
from jax.experimental import multihost_utils

from jax_labor.errors import UserError
from jax_labor.experiments.session import Session
from jax_labor.labels import oracle
from jax_labor.labels.store import Round

POLL_SECONDS = 5.0
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


def check_annotator(name: str) -> None:
    """Raises a UserError for an annotator that does not exist."""
    if name not in ANNOTATORS:
        raise UserError(f"config.annotator is {name!r}: use {' or '.join(ANNOTATORS)}")


def ask_oracle(session: Session, round_: Round) -> None:
    """Ground truth answers what is still open."""
    if session.is_main:
        oracle.answer(round_, truth_of(session.data.target))


def truth_of(target) -> Callable[[str], np.ndarray]:
    """Name -> uint8[H, W] train ids of the target's ground truth.

    Raises:
        UserError: the target has no labels.
    """
    if not target.has_labels:
        raise UserError(
            "ground truth is to answer, but config.data.target has no labels: choose a labelled"
            " split, or let people answer with --config.annotator=people."
        )
    index = {name: i for i, name in enumerate(target.names)}
    return lambda name: target.label(index[name])[..., 0]


def ask_people(session: Session, round_: Round) -> None:
    """Returns once every query is answered or skipped.

    Raises:
        Waiting: some are not, and `config.annotator_wait` does not say to wait in place.
        Stopped: a signal came while waiting.
    """
    before = None
    while left := _left(session, round_):
        if not session.config.annotator_wait:
            raise Waiting(round_, left)
        if left != before:
            _LOG.info("round %d: waiting for answers to %d images", round_.number, left)
        before = left
        session.check_stop()
        time.sleep(POLL_SECONDS)


def _left(session: Session, round_: Round) -> int:
    """Images without an answer as the first process sees them: the same number in all."""
    left = len(round_.unanswered()) if session.is_main else 0
    return int(multihost_utils.broadcast_one_to_all(np.int32(left)))


ANNOTATORS = {"oracle": ask_oracle, "people": ask_people}
