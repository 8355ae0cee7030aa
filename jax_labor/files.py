"""Whole files or none: every file of a run is written beside its name and then renamed."""

import contextlib
import errno
import json
import math
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from etils import epath

from jax_labor.errors import UserError

_NEEDED_FREE_BYTES = 64 * 2**20


def is_remote(path: epath.PathLike) -> bool:
    """Whether `path` is in a bucket (`gs://...`), where a whole object appears or none."""
    return "://" in os.fspath(path)


def is_utf8(path: epath.PathLike) -> bool:
    """Whether `path` can be written as UTF-8; Python keeps bytes that are none as surrogates."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def local_folder(path: epath.PathLike, setting: str) -> Path:
    """Return `path`, the value of `setting`, with `~` resolved; `UserError` for a bucket."""
    if is_remote(path):
        raise UserError(
            f"{setting}={os.fspath(path)} is in a bucket, and has to be on a disk. Copy the folder "
            "to one (gcloud storage rsync -r), or mount the bucket, and give that path"
        )
    return Path(path).expanduser()


@contextlib.contextmanager
def disk_errors(path: epath.PathLike) -> Iterator[None]:
    """Turn a full or forbidden disk, a path that cannot be, or a bucket whose package is missing,
    met at `path`, into a `UserError`; ArrayRecord's writer and TFDS report it as a RuntimeError."""
    try:
        yield
    except (ImportError, OSError, RuntimeError) as error:
        mistake = disk_mistake(path, error)
        if mistake is None:
            raise
        raise mistake from error


def disk_mistake(path: epath.PathLike, error: BaseException) -> UserError | None:
    """Return the `UserError` that `error`, met while writing `path`, stands for, else None.

    Looks along the chain of causes, and at the text as well as at `errno`: storage libraries wrap
    the error of the system in their own.
    """
    chain: BaseException | None = error
    while chain is not None:
        text = str(chain)
        if isinstance(chain, ImportError) and is_remote(path):
            return UserError(f"{path}: {text}: pip install it, or choose a folder on a disk")
        code = getattr(chain, "errno", None)
        if code in (errno.ENOSPC, errno.EDQUOT) or "No space left" in text:
            return UserError(f"{path}: the disk is full. Free some space or choose another folder")
        if code in (errno.EACCES, errno.EPERM, errno.EROFS) or "Permission denied" in text:
            return UserError(f"{path}: not writable ({text}). Choose another workdir")
        if code in (errno.ENOTDIR, errno.EEXIST):
            return UserError(f"{path}: a file stands where a folder is needed. Choose another path")
        if code == errno.EISDIR:
            return UserError(f"{path}: a folder stands where a file is needed. Choose another path")
        if code in (errno.ENOENT, errno.ENAMETOOLONG):
            return UserError(f"{path}: cannot be made ({text}). Choose another path")
        chain = chain.__cause__ or chain.__context__
    return None


def write_with(path: epath.PathLike, write: Callable[[BinaryIO], object]) -> None:
    """Call `write` on a stream so that a reader of `path` finds the old file or the new one whole.

    Creates the folder. Raises `UserError` when the disk is full or not writable; the old file then
    still stands.
    """
    path = epath.Path(path)
    if is_remote(path):
        with path.open("wb") as stream:
            write(stream)
        return
    beside = path.parent / f".{secrets.token_hex(8)}.tmp"  # no longer than any name that can be
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(beside, "wb") as stream:
                write(stream)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(beside, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            raise


def check_writable(path: epath.PathLike) -> None:
    """`UserError` when no file can be written to `path`: to be told before long work, not after."""
    path = epath.Path(path)
    if path.is_dir():
        raise disk_mistake(path, IsADirectoryError(errno.EISDIR, ""))
    prepare_workdir(path.parent, needed_bytes=0)


def remove_parts(folder: epath.PathLike) -> None:
    """Remove what a killed process left of its writing in `folder`, where nobody writes now."""
    folder = epath.Path(folder)
    if folder.exists() and not is_remote(folder):
        for part in folder.glob(".*.tmp"):
            part.unlink()


def files_ending(folder: epath.Path, suffix: str) -> list[epath.Path]:
    """Files of `folder` whose name ends in `suffix`, in capitals or not, by name.

    epath's own `glob` takes a [ in the folder's name for a part of the pattern.
    """
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == suffix)


def write_bytes(path: epath.PathLike, content: bytes) -> None:
    """Write `content` to `path`; atomic, and with the errors of `write_with`."""
    write_with(path, lambda stream: stream.write(content))


def write_text(path: epath.PathLike, text: str) -> None:
    """Write `text` as UTF-8; atomic, and with the errors of `write_with`."""
    write_bytes(path, text.encode())


def write_json(path: epath.PathLike, content: Any) -> None:
    """Write `content` as indented JSON; see `plain` for what it may hold."""
    write_text(path, json.dumps(plain(content), indent=2, allow_nan=False) + "\n")


def read_json(path: epath.PathLike) -> Any:
    """Read a JSON file; `UserError` when it is missing or is not JSON."""
    try:
        return json.loads(epath.Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Restore it, or name another folder") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}). Restore it or remove it") from None


def read_object(path: epath.PathLike) -> dict[str, Any]:
    """Read a JSON file that holds an object; `UserError` as of `read_json`, or for another."""
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: not a JSON object. Restore it or remove it")
    return content


def plain(content: Any) -> Any:
    """Reduce `content` to what JSON can say.

    NumPy and JAX scalars and arrays become numbers and lists, tuples lists, keys text, paths text;
    a number that is not finite becomes None, since JSON has no word for it.
    """
    if isinstance(content, Mapping):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple, set, frozenset)):
        items = sorted(content) if isinstance(content, (set, frozenset)) else content
        return [plain(item) for item in items]
    if content is None or isinstance(content, (bool, int, str)):
        return content
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, (np.generic, np.ndarray)) or hasattr(content, "__array__"):
        return plain(np.asarray(content).astype(_json_dtype(content.dtype)).tolist())
    if isinstance(content, os.PathLike):
        return os.fspath(content)
    raise TypeError(f"{type(content).__name__} has no JSON form: {content!r}")


def _json_dtype(dtype: np.dtype) -> Any:
    """bfloat16 and its kin have no Python number of their own; every other dtype stays."""
    return np.float32 if np.dtype(dtype).kind == "V" else dtype


def check_plain(folder: epath.PathLike) -> None:
    """`UserError` for a path that Orbax or etils would take for a pattern: files below it get lost.

    A checkpoint of Orbax's in `[lab]/run` has no arrays, and says nothing.
    """
    path = os.fspath(folder) if is_remote(folder) else os.path.abspath(folder)
    if strange := sorted(set(path) & {"*", "?", "[", "\\"} - {os.sep}):
        raise UserError(f"{path}: a path of checkpoints cannot hold {strange[0]}; choose another")


def prepare_workdir(path: epath.PathLike, needed_bytes: int = _NEEDED_FREE_BYTES) -> epath.Path:
    """Create the work directory and try that it can be written.

    Raises `UserError` when it cannot be created or written, or has less than `needed_bytes` free.
    """
    workdir = epath.Path(path)
    with disk_errors(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
    if not is_remote(workdir):
        free = shutil.disk_usage(workdir).free
        if free < needed_bytes:
            raise UserError(
                f"{workdir}: only {free / 2**20:.0f} MiB free, {needed_bytes / 2**20:.0f} MiB "
                "needed. Free some space, or choose another --workdir"
            )
    probe = workdir / f".probe.{secrets.token_hex(4)}"
    write_bytes(probe, b"x" * 4096)
    probe.unlink()
    return workdir
