"""Reading files that other programs wrote: what is wrong with one is said in one sentence."""

import contextlib
import json
import math
from collections.abc import Iterator
from typing import Any

from etils import epath

from jax_labor.errors import UserError

_MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError, OSError)


@contextlib.contextmanager
def well_formed(where: str, what: str) -> Iterator[None]:
    """Turns what goes wrong while taking a file's content apart into a UserError naming `where`."""
    try:
        yield
    except _MALFORMED as error:
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise UserError(
            f"{where}: not {what} as the tool writes it ({reason}). Export it again from the tool."
        ) from error


def read_bytes(path: epath.Path) -> bytes:
    """Content of a file of the user's; a UserError when it is missing or empty."""
    if not path.exists() or path.is_dir():
        raise UserError(f"{path}: no such file. Give the file that the tool exported.")
    content = path.read_bytes()
    if not content.strip():
        raise UserError(f"{path} is empty. Export it again from the tool.")
    return content


def seconds(value) -> float:
    """A time as a tool states it, 0 when it does not; ValueError when it is no time."""
    number = float(value or 0)
    if not (math.isfinite(number) and number >= 0):
        raise ValueError(f"{value!r} seconds")
    return number


def file_in(source: epath.Path, file_name: str) -> epath.Path:
    """`source` itself, or the file called `file_name` when `source` is a folder."""
    return source / file_name if source.is_dir() else source


def read_json(path: epath.Path) -> Any:
    """A JSON file of the user's; a UserError when it is missing, empty or not JSON."""
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}). Export it again from the tool.") from error
