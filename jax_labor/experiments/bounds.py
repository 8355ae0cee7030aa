"""Numbers of a card that must not be too small."""

from collections.abc import Mapping

from jax_labor.errors import UserError


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
