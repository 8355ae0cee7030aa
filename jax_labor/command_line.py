"""The command line of the launchers: every mistake in it is one message, and nothing is ignored.

Once this is imported, Ctrl-C where nobody else hears it is one line too: imports take seconds.
"""

import os
import re
import signal
import sys
import traceback
from collections.abc import Sequence

from absl import flags

from jax_labor.errors import UserError, exit_on_mistake

_IN_HOME = re.compile(r"(--[\w.]+=)(~.*)", re.DOTALL)
_SETTING = re.compile(r"--?(\w+\.[\w.]+)(=.*)?", re.DOTALL)
_FLAG = re.compile("--|-[A-Za-z]")
_MISSED = re.compile(r"Flag --(\w+) must have a value other than None")
_CARD = "config_config"  # as ml_collections calls the module of a card
_BY_CTRL_C = "stopped by Ctrl-C"


def _end(kind, error, trace) -> None:
    if issubclass(kind, KeyboardInterrupt):  # whose status for a shell, 130, Python sees to
        print(_BY_CTRL_C, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _end_where_nobody_hears(raised, otherwise=sys.unraisablehook) -> None:
    """Python drops what a callback raises: Ctrl-C in JAX's of the garbage collector was lost."""
    if issubclass(raised.exc_type, KeyboardInterrupt):
        print(_BY_CTRL_C, file=sys.stderr, flush=True)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)
    else:
        otherwise(raised)


sys.excepthook = _end
sys.unraisablehook = _end_where_nobody_hears


def parse(argv: Sequence[str]) -> None:
    """Reads the flags as `read_flags` does; a mistake ends the command. For `app.run`."""
    with exit_on_mistake():
        read_flags(argv)


def parse_words(argv: Sequence[str]) -> list[str]:
    """Reads the flags as `read_words` does; a mistake ends the command. For `app.run`."""
    with exit_on_mistake():
        return read_words(argv)


def read_flags(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> None:
    """Reads into `values` what is in `argv`: the command's name and flags, see `read_words`.

    Raises:
        UserError: also at a word that is no flag.
    """
    nothing_left(read_words(argv, values)[1:])


def read_words(argv: Sequence[str], values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Reads into `values` the flags in `argv`; returns its words that are none.

    Raises:
        UserError: an unknown flag or setting, a value that is none for it, or a card that cannot be
            read.
    """
    try:
        words = values(last_of_each(expand_home(argv)))
        for name in values:  # a card that is missing says so only when it is used
            _check_card(name, values[name].value)
    except UserError:
        raise
    except Exception as error:
        raise UserError(_from_card(error) or _from_line(error, argv)) from error
    return words


def expand_home(words: Sequence[str]) -> list[str]:
    """The words with the home folder in `--name=~/x`, where a shell leaves the `~` as it is."""
    return [_IN_HOME.sub(lambda m: m[1] + os.path.expanduser(m[2]), word) for word in words]


def last_of_each(words: Sequence[str]) -> list[str]:
    """The words with the last of several values of one setting, `--config.x=1` or `--config.x 1`.

    Of a number ml_collections takes the last one too, but it joins those of a tuple.
    """
    kept, names = [], set()
    for word in reversed(words):
        if setting := _SETTING.fullmatch(word):
            name, value = setting.groups()
            if value is None and kept and not _FLAG.match(kept[-1]):
                word += f"={kept.pop()}"  # `nothing_left` lets no word stand that is no value
            if name in names:
                continue
            names.add(name)
        kept.append(word)
    return kept[::-1]


def nothing_left(words: Sequence[str]) -> None:
    """`UserError` if there are `words` that no flag took: ignored, they would mislead."""
    if words:
        raise UserError(f"what is {' '.join(words)}? A flag is --name=value, see --help.")


def _check_card(name: str, value) -> None:
    if not hasattr(value, "items") and name == "config" and value is not None:
        raise UserError(
            f"--config: the card's get_config gives a {type(value).__name__}: let it give a"
            " ConfigDict, as those in configs/ do."
        )


def _from_card(error: BaseException | None) -> str | None:
    """What the code of a card did wrong, with its file and line; None where none ran into it."""
    while error:
        if isinstance(error, SyntaxError) and error.filename != "<unknown>":  # a value's
            return f"--config: {error.filename}, line {error.lineno}: SyntaxError: {error}"
        frames = list(traceback.walk_tb(error.__traceback__))
        of_card = [place for place in frames if place[0].f_globals.get("__name__") == _CARD]
        if of_card:
            if _is_said(error, frames[-1][0]):
                return f"--config: {_text(error)}"
            frame, line = of_card[-1]
            place = f"{frame.f_code.co_filename}, line {line}"
            return f"--config: {place}: {type(error).__name__}: {_text(error)}"
        # ml_collections and absl pass an error on as one of theirs.
        error = error.__cause__ or error.__context__
    return None


def _is_said(error: BaseException, frame) -> bool:
    """Whether a `raise ValueError` of a card or of configs/ is met, as of an unknown preset."""
    by = frame.f_globals.get("__name__", "")
    raises = traceback.extract_tb(error.__traceback__)[-1].line.startswith("raise ValueError")
    return raises and (by == _CARD or by.startswith("configs."))


def _from_line(error: Exception, argv: Sequence[str]) -> str:
    """What is wrong with the words of the command."""
    if isinstance(error, (AttributeError, IndexError, KeyError)):
        where = "The card and configs/common.py list them."
        if any(".options." in word for word in argv):
            where = "Options that the card's data set is not given are for a card to give, as in"
            where += " common.domain('tfds', image='photo')."
        return f"--config: no such setting: {_text(error)} {where}"
    if missed := _MISSED.search(str(error)):
        return f"--{missed[1]} must be given, as in: {_example()}"
    return f"{'' if isinstance(error, flags.Error) else '--config: '}{_text(error)}"


def _example() -> str:
    """The first command in the text at the head of the launcher."""
    lines = (sys.modules["__main__"].__doc__ or "").splitlines()
    return next((line.strip() for line in lines if line.startswith("    python ")), "see --help")


def _text(error: BaseException) -> str:
    """What the error says, as sentences; a missing file's, without the places that were tried."""
    while error.args and isinstance(error.args[0], Exception):  # ml_collections' hold a KeyError
        error = error.args[0]
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    lines = [line.strip().rstrip(".") for line in text.strip().splitlines()]
    text = lines[-1] if isinstance(error, OSError) else ". ".join(lines)
    return text if text.endswith("?") else f"{text}."
