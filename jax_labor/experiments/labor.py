"""LabOR (Shin et al., ICCV 2021): warm-up, then rounds of query, answers and training."""

import logging
import math

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.engine.processes import from_main
from jax_labor.errors import UserError
from jax_labor.experiments.annotators import (
    PEOPLE,
    answer_round,
    check_annotator,
    check_has_truth,
    truth_of,
)
from jax_labor.experiments.checks import check_rounds
from jax_labor.experiments.finish import finish
from jax_labor.experiments.kept_rounds import check_kept, check_opened
from jax_labor.experiments.phases import Phase, labor_phases
from jax_labor.experiments.queries import write_queries
from jax_labor.experiments.session import Session
from jax_labor.labels.answer_checks import ORACLE
from jax_labor.labels.budget import check_budget_of
from jax_labor.labels.ledger import Ledger
from jax_labor.labels.store import LONGEST_NAME, Round

_LOG = logging.getLogger(__name__)


def run(config, workdir: str, force: bool = False) -> dict:
    """Adapts a segmenter with few labelled target pixels; returns the content of results.json."""
    check_rounds(config)
    check_annotator(config.annotator, ORACLE)
    phases = labor_phases(config)

    def check(data):
        if config.annotator == ORACLE:
            check_has_truth(data.target)
        _check_names(data.target.names)
        _check_budget(config.rounds, data.target)
        check_kept(workdir, config.rounds, data.target.table)

    with Session(config, workdir, phases, force, check) as session:
        from_main(lambda: check_opened(workdir, phases, session.step))
        for phase in phases:
            if session.step >= phase.end:
                continue
            overlay = None
            if phase.round is not None:
                ledger = _answered_round(session, phase)
                overlay = AnswersByIndex(ledger, session.data.target.names)
            session.train(phase, overlay)
        return finish(session, Ledger(workdir, config.rounds.count))


def _check_names(names) -> None:
    """Refuses a name that files of rounds cannot have, before the warm-up is done for it."""
    for name in names:
        if (length := len(name.encode())) > LONGEST_NAME:
            raise UserError(
                f"config.data.target: the name {name} has {length} bytes, with its folders'; files"
                f" of rounds take {LONGEST_NAME}: shorten it."
            )


def _check_budget(rounds, target) -> None:
    """Refuses a budget that is none for the smallest image, before the warm-up is done for it."""
    smallest = min((target.size(index) for index in range(len(target))), key=math.prod)
    check_budget_of(smallest, rounds.share, rounds.points)


def _answered_round(session: Session, phase: Phase) -> Ledger:
    """Brings the phase's round about where it is missing; returns all answers so far."""
    round_ = Round(session.workdir, phase.round)
    if not round_.is_open:
        _LOG.info("round %d: asking about %d images", phase.round, len(session.data.target))
        ledger = Ledger(session.workdir, phase.round)
        from_main(round_.remove_parts)
        write_queries(session, ledger, round_)
    answer_round(session, round_, lambda: truth_of(session.data.target))
    from_main(lambda: _take(round_, session.config.annotator))
    ledger = Ledger(session.workdir, phase.round + 1)
    _LOG.info("round %d: %d pixels asked in all rounds", phase.round, ledger.total)
    if not ledger.by_round[-1]:
        _LOG.warning(
            "round %d asked about no pixel: its budget holds none, or the classifiers agree"
            " everywhere (config.loss.discrepancy drives them apart)",
            phase.round,
        )
    return ledger


def _take(round_: Round, annotator: str) -> None:
    """Closes a round: once training has taken its answers, they cannot be mended any more."""
    if annotator == PEOPLE and not round_.is_closed:
        round_.check_answers()
    round_.close()


class AnswersByIndex:
    """Answers by record index, each read from disk once; picklable for worker processes.

    Only the answered pixels are kept: 2975 whole label maps of Cityscapes would be 6 GB.
    """

    def __init__(self, ledger: Ledger, names):
        self._ledger, self._names, self._read = ledger, names, {}

    def __call__(self, index: int):
        """uint8[H, W] of record `index`, 255 where not answered; None if never asked."""
        if index not in self._read:
            label = self._ledger.label(self._names[index])
            self._read[index] = None if label is None else _answered(label)
        if self._read[index] is None:
            return None
        shape, places, answers = self._read[index]
        label = np.full(shape, IGNORE, np.uint8)
        label.flat[places] = answers
        return label


def _answered(label: np.ndarray) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
    """Shape, flat indices int32[n] and classes uint8[n] of what is answered in uint8[H, W]."""
    places = np.flatnonzero(label != IGNORE).astype(np.int32)
    return label.shape, places, label.flat[places]
