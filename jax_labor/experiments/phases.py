"""The plan of a run: warm-up, then rounds, as spans of steps."""

import dataclasses
from collections.abc import Sequence

from jax_labor.errors import UserError
from jax_labor.experiments.bounds import check_least, check_share
from jax_labor.steps.select import ASK_SELECTOR

NONE, FULL, ANSWERS = "none", "full", "answers"


@dataclasses.dataclass(frozen=True)
class Phase:
    """Steps `start` to `end`, with one supply of target labels.

    Attributes:
        start: first step.
        end: step after the last.
        labels: "none", "full" (every label of the target) or "answers" (of rounds 0 .. `round`).
        uses_target: whether a batch holds target images at all.
        trains_selector: whether somebody will ask the two classifiers.
        self_trains: whether the segmenter learns from its own pseudo-labels, as far as
            `config.loss.pseudo` says so.
        round: the round that opens at `start`, None without one.
        is_warmup: whether the rounds begin at `end`; other runs may start from its state.
    """

    start: int
    end: int
    labels: str
    uses_target: bool
    trains_selector: bool
    self_trains: bool
    round: int | None = None
    is_warmup: bool = False


def labor_phases(config) -> list[Phase]:
    """Warm-up, then one phase a round; the last one lasts to the end of training.

    The warm-up sees the target's images without labels: that is where the classifiers learn to
    disagree. It is the same for every strategy, so that a study can share it. The segmenter does
    not train itself in it: before the first answers its pseudo-labels would fix early mistakes.

    Raises:
        UserError: the rounds do not fit into the steps.
    """
    rounds, steps = config.rounds, config.train.steps
    check_least(config, {"rounds.warmup": 0, "rounds.every": 1, "rounds.count": 1})
    last = rounds.warmup + rounds.every * (rounds.count - 1)
    if last >= steps:
        raise UserError(
            f"config.rounds: round {rounds.count} of {rounds.count} would open at step {last}, but"
            f" config.train.steps is {steps}: let the last open before the end."
        )
    starts = [rounds.warmup + i * rounds.every for i in range(rounds.count)]
    phases = []
    if rounds.warmup:
        kind = {"uses_target": True, "trains_selector": True, "self_trains": False}
        phases.append(Phase(0, rounds.warmup, NONE, **kind, is_warmup=True))
    for number, (start, end) in enumerate(zip(starts, [*starts[1:], steps], strict=True)):
        # After the last round nobody asks the classifiers any more.
        trains = rounds.strategy in ASK_SELECTOR and number < rounds.count - 1
        kind = {"uses_target": True, "trains_selector": trains, "self_trains": True}
        phases.append(Phase(start, end, ANSWERS, **kind, round=number))
    return phases


def segmentation_phases(config) -> list[Phase]:
    """One phase, with no target labels or with all of them; before pseudo-labels one without those.

    The target's images are read where a loss needs them: labels, alignment or pseudo-labels.

    Raises:
        UserError: pseudo-labels would start before the first step or after the last.
    """
    loss, steps = config.loss, config.train.steps
    labels = FULL if loss.target > 0 else NONE
    needs_target = labels == FULL or bool(loss.adversarial or loss.adversarial_aux)
    check_share(config, ["loss.pseudo_start"], below=True)
    start = int(loss.pseudo_start * steps) if loss.pseudo else 0
    phases = []
    if start:
        kind = {"uses_target": needs_target, "trains_selector": False, "self_trains": False}
        phases.append(Phase(0, start, labels, **kind))
    uses_target = needs_target or bool(loss.pseudo)
    kind = {"uses_target": uses_target, "trains_selector": False, "self_trains": True}
    return [*phases, Phase(start, steps, labels, **kind)]


def uses_target(phases: Sequence[Phase]) -> bool:
    """Whether any step of these phases reads the target's images."""
    return any(phase.uses_target for phase in phases)
