"""The one exception that stands for a user's mistake, and how a command ends on it."""

import contextlib
import difflib
import sys
from collections.abc import Collection, Iterable, Iterator


class UserError(Exception):
    """A mistake its user can mend.

    The message names the file or setting and the remedy. Launchers print it without a traceback and
    exit with status 2; anything else that escapes is a bug of ours and keeps its traceback.
    """


def unknown(what: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a `name` that is none of `known`: the nearest, and what there is."""
    known = list(known)
    return UserError(f"no {what} {name!r}.{_nearest(name, known)} There are {', '.join(known)}.")


def check_choice(setting: str, value: str, choices: Collection[str]) -> None:
    """`UserError` where the `value` of `setting` is none of `choices`: the nearest, and all."""
    if value not in choices:
        *others, last = choices
        rule = f"{', '.join(others)} or {last}" if others else last
        raise UserError(f"{setting} is {value!r}: use {rule}.{_nearest(value, choices)}")


def _nearest(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


@contextlib.contextmanager
def about(what: object) -> Iterator[None]:
    """Puts `what`, a file or a setting, before the message of a `UserError` that escapes."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{what}: {error}") from None


@contextlib.contextmanager
def exit_on_mistake() -> Iterator[None]:
    """Ends the command on a `UserError`: its message on stderr, status 2, no traceback.

    So does a file or folder that may not be read or written, which may be any that is looked at.
    """
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except PermissionError as error:
        if error.filename is None:
            raise
        print(
            f"error: {error.filename}: {error.strerror}. Give this user the right, or name another"
            " file or folder.",
            file=sys.stderr,
        )
        sys.exit(2)
