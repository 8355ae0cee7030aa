"""Stops a run whose loss is no number any more."""

import math
from collections.abc import Mapping

from jax_labor.errors import UserError


class NonFiniteLoss(UserError):
    """A loss term became NaN or infinite; `step` and `terms` say where."""

    def __init__(self, step: int, terms: Mapping[str, float]):
        self.step, self.terms = step, dict(terms)
        named = ", ".join(f"{name} = {value}" for name, value in self.terms.items())
        super().__init__(
            f"step {step}: {named}. Training stopped; the last good checkpoint is kept. Lower the "
            "learning rate or the weight of that term, and start again with the same --workdir and "
            "--force to go on from it"
        )


def check_finite(step: int, metrics: Mapping[str, float]) -> None:
    """Raise `NonFiniteLoss` when a value of `metrics` (scalars; fetched here) is not finite.

    Call it before a checkpoint of that step is written, so that no bad state is ever kept.
    """
    bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    if bad:
        raise NonFiniteLoss(step, {name: float(value) for name, value in bad.items()})
