"""Checkpoints of a run: whole or not at all, readable on any number of devices.

The one module that knows Orbax. It keeps *host* arrays, so that a bare `orbax` restore needs
neither our code nor the same devices. With several processes only the first one touches the disk
and sends the others what it reads.
"""

import contextlib
import errno
import json
import logging
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath
from flax.traverse_util import unflatten_dict
from orbax.checkpoint.checkpoint_managers import LatestN

from jax_labor import files
from jax_labor.engine import tree
from jax_labor.engine.finite import check_finite_state
from jax_labor.engine.processes import from_main
from jax_labor.errors import UserError

_LOG = logging.getLogger(__name__)
_CHECKSUM = "_crc32"


class Checkpoints:
    """The checkpoints of `workdir`, in `workdir/checkpoints/<step>/{state,meta}`.

    A checkpoint is written under another name and renamed when it is complete; a process killed in
    between leaves a part that the next start removes. A checksum over all of it finds damage
    that the file format does not.
    """

    def __init__(self, workdir: epath.PathLike, keep: int = 3, read_only: bool = False):
        """Open the folder.

        Args:
          workdir: the work directory.
          keep: how many of the newest checkpoints stay.
          read_only: for a look at another run: create, remove and rename nothing.

        Raises:
          UserError: there can be none at this path; see `files.check_plain`.
        """
        files.check_plain(workdir)
        self.folder = epath.Path(workdir).resolve() / "checkpoints"
        self._keep, self._read_only = keep, read_only
        self._manager: ocp.CheckpointManager | None = None
        if jax.process_index() == 0:
            self._open()

    def steps(self) -> list[int]:
        """Return the steps on disk, oldest first (process 0; empty in the others)."""
        return sorted(self._manager.all_steps()) if self._manager else []

    def save(self, step: int, state: Any, meta: Mapping[str, Any]) -> None:
        """Begin to write `state` and `meta`; at once free to train on, the arrays are copied.

        Args:
          step: the number of steps done; not below that of an earlier save. A step that is on disk
            already is left as it is.
          state: a pytree of arrays, the same in all processes. Only arrays are kept, by their path.
          meta: a small JSON mapping (position of the data, round, clock).

        Raises:
          UserError: this save or the one before met a full or forbidden disk; earlier checkpoints
            are intact.
          NonFiniteLoss: an array is not finite; nothing is written.
          ValueError: a later step is on disk already.
        """
        if self._manager is None or self._read_only:
            return
        self.wait()
        steps = self.steps()
        if steps and step <= steps[-1]:
            if step in steps:
                return
            raise ValueError(f"step {step} cannot be saved after step {steps[-1]}")
        arrays = tree.host_arrays(state)
        check_finite_state(step, arrays)
        meta = files.plain(meta)
        meta = {**meta, _CHECKSUM: _checksum(arrays, meta)}
        state = ocp.args.StandardSave(unflatten_dict(arrays, sep="/"))
        items = ocp.args.Composite(state=state, meta=ocp.args.JsonSave(meta))
        try:
            self._manager.save(step, args=items)
        except Exception as error:
            self._save_failed(error)

    def wait(self) -> None:
        """Wait until the save in progress is on disk; raises what `save` would."""
        if self._manager is None:
            return
        try:
            self._manager.wait_until_finished()
            self._manager.check_for_errors()
        except Exception as error:
            self._save_failed(error)

    def restore(self, target: Any, step: int | None = None) -> tuple[int, Any, dict] | None:
        """Read the newest good checkpoint, or that of `step`, into the structure of `target`.

        A newer one that cannot be read is named in a warning and renamed to `<step>.damaged`, out
        of the way of later saves.

        Args:
          target: a pytree with the structure, shapes and dtypes of the saved state; its arrays may
            be `jax.ShapeDtypeStruct`.
          step: a step on disk; None for the newest.

        Returns:
          (step, state with NumPy arrays, meta), the same in all processes; None without any
          checkpoint.

        Raises:
          UserError: none can be read, `step` is not there, or its arrays are not those of `target`.
        """
        found = from_main(lambda: self._read_newest(step))
        if found is None:
            return None
        step, arrays, meta = found
        place = self.folder / str(step)
        return step, tree.fill(target, arrays, str(place)), meta

    def read(self) -> tuple[int, dict] | None:
        """Read the newest good checkpoint as it is: (step, nested dicts of arrays), or None."""
        found = from_main(lambda: self._read_newest(None))
        return found and (found[0], unflatten_dict(found[1], sep="/"))

    def close(self) -> None:
        """Wait for the save in progress and let go of the folder."""
        if self._manager is not None:
            self.wait()
            self._manager.close()
            self._manager = None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _open(self) -> None:
        if not self._read_only:
            with files.disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=LatestN(self._keep),
            cleanup_tmp_directories=not self._read_only,
            create=False,
            read_only=self._read_only,
            # The other processes hold the same state: they neither write nor wait in a barrier.
            multiprocessing_options=ocp.options.MultiprocessingOptions(
                primary_host=0, active_processes={0}, barrier_sync_key_prefix="checkpoints"
            ),
        )
        self._manager = ocp.CheckpointManager(
            self.folder, options=options, item_names=("state", "meta")
        )

    def _save_failed(self, error: Exception) -> None:
        """Clear away the part that was written, then raise `error` in words for its user."""
        mistake = files.disk_mistake(self.folder, error)
        # A new manager removes the part and forgets the failed save, so that a later one can work.
        with contextlib.suppress(Exception):
            self._manager.close()
        self._open()
        raise (mistake or error) from error

    def _read_newest(self, step: int | None) -> tuple[int, dict[str, np.ndarray], dict] | None:
        steps = self.steps() if self.folder.exists() else []
        if step is not None:
            return self._read_asked(step, steps)
        damaged = []
        for candidate in reversed(steps):
            try:
                arrays, meta = self._read(candidate)
            except MemoryError:
                raise  # of this machine, not of the file
            except Exception as error:
                if isinstance(error, OSError) and error.errno not in (None, errno.ENOENT):
                    raise UserError(
                        f"{self.folder / str(candidate)} cannot be read now ({_first_line(error)});"
                        " it is left as it is. Start again, or move it away to go on from the one"
                        " before it"
                    ) from error
                _LOG.warning(
                    "%s cannot be read (%s); trying the checkpoint before it",
                    self.folder / str(candidate),
                    _first_line(error),
                )
                damaged.append(candidate)
                continue
            self._set_aside(damaged)
            return candidate, arrays, meta
        if damaged:
            raise UserError(
                f"{self.folder}: none of the checkpoints can be read ({damaged}). Restore the "
                "folder from a copy, or remove it to start from the beginning"
            )
        return None

    def _read_asked(self, step: int, steps: list[int]) -> tuple[int, dict[str, np.ndarray], dict]:
        if step not in steps:
            raise UserError(f"{self.folder}: no checkpoint of step {step}; there are {steps}")
        try:
            return step, *self._read(step)
        except Exception as error:
            raise UserError(
                f"{self.folder / str(step)} cannot be read ({_first_line(error)}). "
                f"Choose another one: {[s for s in steps if s != step]}"
            ) from error

    def _read(self, step: int) -> tuple[dict[str, np.ndarray], dict]:
        items = ocp.args.Composite(state=ocp.args.StandardRestore(), meta=ocp.args.JsonRestore())
        with _late_reads_muted():
            found = self._manager.restore(step, args=items)
        arrays, meta = tree.host_arrays(found.state), dict(found.meta)
        if meta.pop(_CHECKSUM) != _checksum(arrays, meta):
            raise ValueError("its checksum is wrong")
        return arrays, meta

    def _set_aside(self, steps: list[int]) -> None:
        if not steps or self._read_only:
            return
        for step in steps:
            place = self.folder / str(step)
            aside = self.folder / f"{step}.damaged"
            if aside.exists():
                aside.rmtree()
            place.rename(aside)
        self._manager.reload()


def _checksum(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> int:
    """CRC-32 over `meta` and over the names, dtypes, shapes and bytes of `arrays`."""
    value = zlib.crc32(json.dumps(meta, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        value = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), value)
        value = zlib.crc32(np.ascontiguousarray(array).reshape(-1).view(np.uint8), value)
    return value


@contextlib.contextmanager
def _late_reads_muted() -> Iterator[None]:
    """When one array cannot be read, the reads of the others end after Orbax closed its event loop.

    Each would print a traceback that nobody can act on, after our one line that says what happened.
    """
    usual = sys.unraisablehook

    def hook(event: Any) -> None:
        if "Event loop is closed" not in str(event.exc_value):
            usual(event)

    sys.unraisablehook = hook
    try:
        yield
    except Exception:
        time.sleep(0.2)
        raise
    finally:
        sys.unraisablehook = usual


def _first_line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text[:200]}"
