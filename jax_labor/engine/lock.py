"""One trainer at a time in a work directory."""

import fcntl
import os

from etils import epath

from jax_labor.errors import UserError
from jax_labor.files import disk_errors, is_remote

_HELD: dict[str, int] = {}


def hold(workdir: epath.PathLike) -> None:
    """Keep other processes from training in `workdir` until `release` or the end of this one.

    The system lets go of it however the process ends. Does nothing in a bucket, or on a disk that
    knows no locks.

    Raises:
      UserError: another process trains there, or its file of a lock cannot be opened.
    """
    path = os.path.realpath(workdir)
    if is_remote(workdir) or path in _HELD:
        return
    handle = _open(os.path.join(path, ".lock"))
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UserError(
            f"{workdir}: another process is training here. Wait for it, stop it, or choose another "
            "--workdir"
        ) from None
    except OSError:
        os.close(handle)
        return
    _HELD[path] = handle


def _open(path: str) -> int:
    with disk_errors(path):
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except PermissionError:  # another user made it: to be read is enough for a lock
            return os.open(path, os.O_RDONLY)


def release() -> None:
    """Let go of every work directory: the process of a notebook outlives its runs."""
    while _HELD:
        os.close(_HELD.popitem()[1])
