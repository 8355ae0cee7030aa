"""The files below a folder, without what systems and programs leave there."""

import os
from collections.abc import Iterator
from pathlib import Path

from jax_labor.errors import UserError

_SYSTEM = {
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
}


def is_system(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system or a network disk makes."""
    return name.startswith(".") or name.lower() in _SYSTEM


def files_below(folder: Path) -> Iterator[tuple[str, bool]]:
    """Every file, also behind links to folders: its path relative to `folder`, and whether it can
    be read, as a link to nothing cannot. In order, folder by folder.

    Strings and one look at each file: a data set has tens of thousands, and each start lists them.

    Raises:
      UserError: a folder cannot be listed.
    """
    return _below(os.fspath(folder), "", ())


def _below(folder: str, prefix: str, above: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    real = os.path.realpath(folder)
    if real in above:  # a link that leads back
        return
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        what = f"cannot be listed ({error.strerror}); make it readable"
        raise UserError(f"{folder}: {what}") from None
    for entry in entries:
        if is_system(entry.name):
            continue
        link = entry.is_symlink()
        if os.path.isdir(entry.path) if link else entry.is_dir():
            yield from _below(entry.path, f"{prefix}{entry.name}/", (*above, real))
        else:
            yield prefix + entry.name, os.path.isfile(entry.path) if link else entry.is_file()
