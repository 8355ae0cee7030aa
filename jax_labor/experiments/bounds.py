"""Numbers of a card that must not be too small, or too large."""

import math
from collections.abc import Callable, Iterable, Mapping

from jax_labor.engine.config import flatten
from jax_labor.errors import UserError

_MAYBE_NONE = ("size",)  # of a view or a data set: as its images are
_LEAST = {
    **dict.fromkeys(("train.log_every", "train.keep"), 1),
    **dict.fromkeys(("train.checkpoint_every", "train.pictures"), 0),
    **dict.fromkeys(("data.threads", "data.workers"), 0),
}


def check_least(config, least: Mapping[str, float]) -> None:
    """Refuses settings below what `least` gives for each `section.setting`, or that are no number.

    Raises:
        UserError: naming the first such setting and its least value.
    """
    for name, smallest in least.items():
        _check(config, name, lambda value: smallest <= value < math.inf, f"{smallest} or more")  # noqa: B023


def check_positive(config, names: Iterable[str]) -> None:
    """Refuses each `section.setting` of `names` that is no finite number above 0; UserError."""
    for name in names:
        _check(config, name, lambda value: 0 < value < math.inf, "more than 0")


def check_share(config, names: Iterable[str], below: bool = False) -> None:
    """Refuses each `section.setting` of `names` outside 0 to 1, or `below` 1; UserError."""
    rule = "0 to below 1" if below else "0 to 1"
    for name in names:
        _check(config, name, lambda value: 0 <= value <= 1 and not (below and value == 1), rule)


def _check(config, name: str, allowed: Callable[[float], bool], rule: str) -> None:
    section, setting = name.split(".")
    value = config[section][setting]
    if not allowed(value):
        raise UserError(f"config.{name} is {value}: use {rule}.")


def check_run(config) -> None:
    """Refuses what no run can be done with: the settings that all cards share.

    Raises:
        UserError: naming the setting and what it may be.
    """
    for name, value in flatten(config.to_dict()).items():
        if value is None and name.rpartition(".")[2] not in _MAYBE_NONE:
            raise UserError(f"config.{name} is None: give it a value.")
    check_least(config, _LEAST)
    if not 0 <= config.seed < 2**32:  # JAX would drop the higher bits
        raise UserError(f"config.seed is {config.seed}: use 0 to {2**32 - 1}.")
