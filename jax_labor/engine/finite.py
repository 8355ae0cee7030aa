"""Stops a run whose loss is no number any more."""

import math
from collections.abc import Mapping

import numpy as np

from jax_labor.errors import UserError


class NonFiniteLoss(UserError):
    """A loss term, or what it trains, is not finite any more; `step` and `terms` say where."""

    def __init__(self, step: int, terms: Mapping[str, float]):
        self.step, self.terms = step, dict(terms)
        named = ", ".join(f"{name} = {value}" for name, value in self.terms.items())
        super().__init__(
            f"step {step}: {named}. Training stopped; the last good checkpoint, if any, is kept. "
            "Lower the learning rate or the weight of that term, and start again with the same "
            "--workdir and --force to go on from it"
        )


def check_finite(step: int, metrics: Mapping[str, float]) -> None:
    """Raise `NonFiniteLoss` when a value of `metrics` (scalars; fetched here) is not finite.

    Call it before a checkpoint of that step is written.
    """
    bad = {name: value for name, value in metrics.items() if not math.isfinite(value)}
    if bad:
        raise NonFiniteLoss(step, {name: float(value) for name, value in bad.items()})


def check_finite_state(step: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise `NonFiniteLoss` when the squares of a float32 array do not have a finite sum.

    A loss is taken before the update of its step: an update that wrecks the weights shows in them
    first. Weights beyond 1e19 are finite, and wrecked all the same.
    """
    for name, array in arrays.items():
        if array.dtype == np.float32 and not math.isfinite(np.vdot(array, array)):
            raise NonFiniteLoss(step, {name: float(array.flat[np.abs(array).argmax()])})
