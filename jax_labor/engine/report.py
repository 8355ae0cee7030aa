"""What a run tells while it goes: `metrics.jsonl`, TensorBoard and the progress line."""

import json
import logging
import os
import time
from collections.abc import Callable, Mapping

import numpy as np
from etils import epath

from jax_labor import files
from jax_labor.engine.clock import Clock, as_time

_LOG = logging.getLogger(__name__)
_REMOTE_SECONDS = 60.0


class Reporter:
    """Writes metrics and pictures of the main process; a do-nothing in the others.

    A line of a step must be written before the checkpoint of that step: what a resume then repeats
    is exactly what it cuts off, and the file reads as if the run had never been stopped.
    """

    def __init__(
        self,
        workdir: epath.PathLike,
        start_step: int = 0,
        tensorboard: bool = True,
        is_main: bool = True,
    ):
        """Open the files.

        Args:
          workdir: the work directory; it exists.
          start_step: the steps done by the checkpoint that the run goes on from; lines of later
            steps are cut off. At 0, nothing was kept, and every line is. A line of this step that
            is there already is not written again.
          tensorboard: also write `workdir/tensorboard`.
          is_main: whether this process reports at all.
        """
        self._lines, self._board = None, None
        if not is_main:
            return
        path = epath.Path(workdir) / "metrics.jsonl"
        self._kept = [line for line in cut_metrics(path, start_step) if _step(line) == start_step]
        self._lines = _RemoteLines(path) if files.is_remote(path) else _LocalLines(path)
        if tensorboard:
            # Imported here: it costs a second and is not needed to read a checkpoint.
            from tensorboardX import SummaryWriter

            folder = os.fspath(epath.Path(workdir) / "tensorboard")
            self._board = SummaryWriter(folder, purge_step=start_step + 1, flush_secs=30)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write one line `{"step": step, name: value, ...}`; a value is a scalar of any kind."""
        if self._lines is None:
            return
        values = {name: float(value) for name, value in metrics.items()}
        line = json.dumps(files.plain({"step": int(step), **values}))
        if line not in self._kept:
            self._lines.append(line)
        for name, value in values.items() if self._board else ():
            self._board.add_scalar(name, value, step)

    def flush(self) -> None:
        """Write out the lines that are held; for before a checkpoint."""
        if self._lines:
            self._lines.flush()

    def image(self, step: int, name: str, picture: np.ndarray) -> None:
        """Add `picture`, uint8[H,W,3], to TensorBoard."""
        if self._board:
            self._board.add_image(name, picture, step, dataformats="HWC")

    def close(self) -> None:
        """Write out what is still held."""
        lines, board = self._lines, self._board
        self._lines, self._board = None, None
        try:
            if lines:
                lines.close()
        finally:
            if board:
                with files.disk_errors(board.logdir):
                    board.close()


def cut_metrics(path: epath.PathLike, last_step: int) -> list[str]:
    """Drop the lines after step `last_step`, all of them at 0, and a line that was cut short.

    Returns the lines that are left.
    """
    path = epath.Path(path)
    if not path.exists():
        return []
    text = path.read_text()
    kept = [line for line in text.splitlines() if last_step and _step(line) <= last_step]
    new = "".join(f"{line}\n" for line in kept)
    if new != text:
        files.write_text(path, new)
    return kept


def _step(line: str) -> float:
    try:
        return json.loads(line)["step"]
    except ValueError:
        return float("inf")


class _LocalLines:
    def __init__(self, path: epath.Path):
        self._path = path
        with files.disk_errors(path):
            self._stream = open(path, "a", encoding="utf-8")  # noqa: SIM115 (open for the run)

    def append(self, line: str) -> None:
        with files.disk_errors(self._path):
            self._stream.write(line + "\n")
            self._stream.flush()

    def flush(self) -> None:
        """Nothing: no line is held."""

    def close(self) -> None:
        with files.disk_errors(self._path):  # what a full disk did not take is tried once more
            self._stream.close()


class _RemoteLines:
    """A bucket cannot append: the file is held and written whole, when it is time to."""

    def __init__(self, path: epath.Path):
        self._path = path
        self._text = path.read_text() if path.exists() else ""
        self._written = time.monotonic()

    def append(self, line: str) -> None:
        self._text += line + "\n"
        if time.monotonic() - self._written > _REMOTE_SECONDS:
            self.flush()

    def flush(self) -> None:
        files.write_text(self._path, self._text)
        self._written = time.monotonic()

    close = flush


class Progress:
    """Logs a line every few seconds: steps done, rates, time to go, metrics."""

    def __init__(
        self,
        total_steps: int,
        clock: Clock,
        every_seconds: float = 10.0,
        is_main: bool = True,
        now: Callable[[], float] = time.monotonic,
    ):
        self._total, self._clock, self._is_main = total_steps, clock, is_main
        self._every, self._now = every_seconds, now
        self._last = -float("inf")

    def update(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Log a line if it is time, or the last step; return whether it was.

        Only then are the values of `metrics` looked at, which waits for the device.
        """
        due = self._now() - self._last >= self._every or step >= self._total
        if not (due and self._is_main):
            return False
        self._last = self._now()
        _LOG.info("%s", self.line(step, metrics))
        return True

    def line(self, step: int, metrics: Mapping[str, float]) -> str:
        """Return `step 120/400 30.0% | 5.2 steps/s 41.6 img/s | ETA 0:54 | loss 1.234`."""
        rates = self._clock.rates(self._total - step)
        parts = [f"step {step}/{self._total} {100 * step / max(self._total, 1):.1f}%"]
        if rates.steps_per_second:
            steps, images = _short(rates.steps_per_second), _short(rates.images_per_second)
            parts.append(f"{steps} steps/s {images} img/s")
        parts.append(f"ETA {as_time(rates.eta_seconds)}")
        parts.append(" ".join(f"{name} {_short(float(value))}" for name, value in metrics.items()))
        return " | ".join(part for part in parts if part)


def _short(value: float) -> str:
    """Four digits are enough to follow a loss: 1.234, 41.62, 3.1e-05."""
    return f"{value:.4g}"
