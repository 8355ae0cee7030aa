"""What files hold, told by hashes that are remembered from start to start."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jax_labor import files
from jax_labor.errors import UserError

_LOG = logging.getLogger(__name__)
_THREADS = 16


def hash_files(paths: Sequence[str], *memories: Path) -> list[str]:
    """SHA-256 of every file, "" for one that cannot be read.

    Only a file whose size or time of change is not the remembered one is read: a copy of a data set
    has the same hashes whatever its times, a label written anew has another even in the same size.

    Args:
      paths: the files.
      memories: JSON files of what is known, {path: [bytes, time of change, hash]}, begun anew where
        they are damaged; the first that can be written is.
    """
    kept = [_read(memory) for memory in memories]
    paths = [os.path.abspath(path) for path in paths]
    with ThreadPoolExecutor(_THREADS) as pool:  # on a network disk a look takes long
        parts = pool.map(_marks, [paths[first::_THREADS] for first in range(_THREADS)])
        marks = {path: mark for part in parts for path, mark in part.items()}
        known = {path: entry for memory in reversed(kept) for path, entry in memory.items()}
        for memory in kept:  # of which one may be out of date
            known |= {path: entry for path, entry in memory.items() if entry[:2] == marks.get(path)}
        changed = [path for path in paths if known.get(path, [])[:2] != marks[path]]
        if changed:
            _LOG.info("reading %d files to see what is in them", len(changed))
            found = zip(changed, pool.map(_hash, changed), strict=True)
            known |= {path: [*marks[path], digest] for path, digest in found}
            _remember(memories, _sound(known))
    return [known[path][2] for path in paths]


def _read(memory: Path) -> dict[str, list]:
    with contextlib.suppress(OSError, UserError):
        return _sound(files.read_json(memory))
    return {}


def _marks(paths: Sequence[str]) -> dict[str, list[int]]:
    """Size and time of change of each file."""
    stats = ((path, os.stat(path)) for path in paths)
    return {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats}


def _remember(memories: Sequence[Path], known: dict[str, list]) -> None:
    for memory in memories:
        with contextlib.suppress(OSError, UserError):
            files.write_json(memory, known)
            return
    _LOG.warning(
        "%s cannot be written: every start reads all files again", " and ".join(map(str, memories))
    )


def _sound(memory) -> dict[str, list]:
    """The entries to go by: others may have written to this file, and a file that could not be read
    may be readable at the next start."""
    entries = memory.items() if isinstance(memory, dict) else ()
    return {path: entry for path, entry in entries if _is_entry(entry)}


def _is_entry(entry) -> bool:
    kinds = [type(part) for part in entry] if isinstance(entry, list) else []
    return kinds == [int, int, str] and entry[2] != ""


def _hash(path: str) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
