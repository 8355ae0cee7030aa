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


def hash_files(paths: Sequence[str], memory: Path) -> list[str]:
    """SHA-256 of every file, "" for one that cannot be read.

    Only a file whose size or time of change is not the remembered one is read: a copy of a data set
    has the same hashes whatever its times, a label written anew has another even in the same size.

    Args:
      paths: the files.
      memory: JSON file of what is known, {path: [bytes, time of change, hash]}; written where it
        can be, and begun anew where it is damaged.
    """
    known = {}
    with contextlib.suppress(OSError, UserError):
        known = _sound(files.read_json(memory))
    stats = {os.path.abspath(path): os.stat(path) for path in paths}
    marks = {path: [stat.st_size, stat.st_mtime_ns] for path, stat in stats.items()}
    changed = [path for path, mark in marks.items() if known.get(path, [])[:2] != mark]
    if changed:
        _LOG.info("reading %d files to see what is in them", len(changed))
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            found = zip(changed, pool.map(_hash, changed), strict=True)
            known |= {path: [*marks[path], digest] for path, digest in found}
        with contextlib.suppress(OSError, UserError):
            files.write_json(memory, _sound(known))
    return [known[path][2] for path in marks]


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
