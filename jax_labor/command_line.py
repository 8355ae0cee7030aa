"""The command line of the launchers: every mistake in it is one message, and nothing is ignored."""

from collections.abc import Sequence

from absl import flags

from jax_labor.errors import UserError, exit_on_mistake


def parse(argv: Sequence[str]) -> None:
    """Reads the flags as `read_flags` does; a mistake ends the command. For `app.run`."""
    with exit_on_mistake():
        read_flags(argv)


def read_flags(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> None:
    """Reads into `values` the flags in `argv`, whose first word is the command's name.

    Raises:
        UserError: an unknown flag or setting, a value that is none for it, a card that cannot be
            read, or a word that is no flag.
    """
    try:
        words = values(argv)
        for name in values:  # a card that is missing says so only when it is used
            hasattr(values[name].value, "items")
    except (AttributeError, IndexError, KeyError) as error:
        raise UserError(
            f"--config: no such setting: {_text(error)} The card and configs/common.py list them."
        ) from error
    except OSError as error:
        raise UserError(f"--config: {_text(error, last=True)}") from error
    except flags.Error as error:
        # ml_collections passes on what a card raised with its traceback, as one text.
        from_card = "Traceback" in str(error)
        place = "--config: " if from_card else ""
        raise UserError(place + _text(error, last=from_card)) from error
    nothing_left(words[1:])


def nothing_left(words: Sequence[str]) -> None:
    """`UserError` if there are `words` that no flag took: ignored, they would mislead."""
    if words:
        raise UserError(f"what is {' '.join(words)}? A flag is --name=value, see --help.")


def _text(error: Exception, last: bool = False) -> str:
    """What the error says, as sentences; of several lines all, or the last."""
    while error.args and isinstance(error.args[0], Exception):  # ml_collections' hold a KeyError
        error = error.args[0]
    text = str(error.args[0] if isinstance(error, KeyError) else error)
    lines = [line.strip().rstrip(".") for line in text.strip().splitlines()]
    text = lines[-1].removeprefix("ValueError: ") if last else ". ".join(lines)
    return text if text.endswith("?") else f"{text}."
