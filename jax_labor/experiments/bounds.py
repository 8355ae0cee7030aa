"""Numbers of a card that must not be too small."""

from collections.abc import Mapping

from jax_labor.errors import UserError

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
        section, setting = name.split(".")
        value = config[section][setting]
        if not value >= smallest:
            raise UserError(f"config.{name} is {value}: use {smallest} or more.")


def check_run(config) -> None:
    """Refuses what no run can be done with: the settings that all cards share.

    Raises:
        UserError: naming the setting and what it may be.
    """
    check_least(config, _LEAST)
    if not 0 <= config.seed < 2**32:  # JAX would drop the higher bits
        raise UserError(f"config.seed is {config.seed}: use 0 to {2**32 - 1}.")
