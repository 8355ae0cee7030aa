"""One trainer at a time in a work directory."""

import fcntl
import os

from etils import epath

from jax_labor.errors import UserError
from jax_labor.files import is_remote

_HELD: dict[str, int] = {}


def hold(workdir: epath.PathLike) -> None:
    """Keep other processes from training in `workdir` until `release` or the end of this one.

    The system lets go of it however the process ends. Does nothing in a bucket, or on a disk that
    knows no locks.

    Raises:
      UserError: another process trains there.
    """
    path = os.path.realpath(workdir)
    if is_remote(workdir) or path in _HELD:
        return
    handle = os.open(os.path.join(path, ".lock"), os.O_RDWR | os.O_CREAT, 0o644)
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


def release() -> None:
    """Let go of every work directory: the process of a notebook outlives its runs."""
    while _HELD:
        os.close(_HELD.popitem()[1])
