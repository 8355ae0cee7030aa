"""A training in its work directory, whatever it trains: resume, go on, look, save, stop, close."""

import contextlib
import logging
from collections.abc import Callable

import jax
from etils import epath

from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.clock import Clock
from jax_labor.engine.config import write_config
from jax_labor.engine.finite import check_finite
from jax_labor.engine.profile import Profiler
from jax_labor.engine.report import Progress, Reporter
from jax_labor.engine.signals import StopFlag, agreed
from jax_labor.engine.workdir import take
from jax_labor.steps import parallel

# Settings that may change between a start and its resume: they do not change what is computed.
FREE = (
    *("data.root", "data.dir", "data.threads", "data.workers", "data.cache"),
    *("train.log_every", "train.checkpoint_every", "train.keep"),
    *("train.tensorboard", "train.profile", "train.pictures"),
)
_LOG = logging.getLogger(__name__)


class Stopped(Exception):
    """A signal asked for a stop; the state is saved."""


class RunSession:
    """What any training needs while it lasts; a context manager.

    A subclass's constructor calls this one, builds its parts, and calls `_open` last. It says what
    it saves, reports and does between steps by the methods that raise NotImplementedError here.

    Attributes:
        config: the card's settings.
        workdir: the work directory.
        is_main: whether this process writes.
        steps: at which step the training ends.
        clock: of training alone.
        checkpoints: of the work directory.
        stop: set by a signal.
        state: the present state; its `step` counts the steps done.
    """

    def __init__(self, config, workdir: str, free: tuple[str, ...], force: bool):
        self.config, self.workdir = config, epath.Path(workdir)
        self.is_main = jax.process_index() == 0
        take(workdir, config.to_dict(), free, force)

    def _open(self, steps: int) -> None:
        """Takes up the state, and opens what the run writes to."""
        train = self.config.train
        self.steps, self.clock = steps, Clock()
        self._profiler = Profiler(train.profile, self.workdir / "profile")
        self.checkpoints = Checkpoints(self.workdir, train.keep)
        self._owes = False
        self.state = parallel.place(self._first_state())
        self._progress = Progress(steps, self.clock, is_main=self.is_main)
        self.stop, self._unchecked = StopFlag(), []
        # Last, as everything above may refuse the settings: the next start may correct them.
        if self.is_main:
            write_config(self.workdir, self.config.to_dict())
        self._reporter = Reporter(self.workdir, self.step, train.tensorboard, self.is_main)

    def __enter__(self):
        self.stop.__enter__()
        return self

    def __exit__(self, *error):
        with contextlib.ExitStack() as parts:  # a full disk may keep one of them from closing
            parts.callback(self.checkpoints.close)
            parts.callback(self._reporter.close)
            parts.callback(self._profiler.close)
            parts.callback(self.stop.__exit__, *error)

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state.step)

    def check_stop(self) -> None:
        """Raises Stopped if a signal came since the last checkpoint; call in all processes."""
        if agreed(self.stop.set):
            raise self._stopped(self.step)

    def _first_state(self):
        """The state to begin with, on the host; see `_resumed`."""
        raise NotImplementedError

    def _line(self, step: int, metrics: dict) -> tuple[dict, dict]:
        """What of a step's metrics metrics.jsonl takes, and what of them is shown."""
        raise NotImplementedError

    def _between(self, step: int) -> None:
        """What else is due after `step`, such as an evaluation."""
        raise NotImplementedError

    def _resumed(self, shape):
        """The newest checkpoint's state, of this `shape`, and what lies beside it; or None."""
        found = self.checkpoints.restore(shape)
        if found is None:
            return None
        step, state, meta = found
        self.clock.load(meta["clock"])
        self._owes = meta.get("owes", False)
        _LOG.info("%s: going on from step %d", self.workdir, step)
        return state, meta

    def _meta(self) -> dict:
        """What every checkpoint keeps beside its state."""
        return {"clock": self.clock.state(), "owes": self._owes}

    def _advance(
        self, end: int, images: int, iterate: Callable[[int], dict], save: Callable[[int], None]
    ) -> None:
        """Goes on to step `end`, and saves there.

        Args:
            end: where to stop.
            images: of one step over all devices.
            iterate: trains a step after so many others, and returns its metrics.
            save: writes the checkpoint of a step.

        Raises:
            Stopped: a signal came; the state is saved.
            NonFiniteLoss: a loss term is not finite; the last good checkpoint is kept.
        """
        step = self.step
        self.check_stop()
        if self._owes:
            self._between(step)
            self._owes = False
        self.clock.start()
        while step < end:
            self._profiler.before(step)
            with self._profiler.annotate(step):
                metrics = iterate(step)
            step += 1
            if self._unchecked:
                # One step may be under way while the next batch is made, no more: the clock then
                # counts work done, not work asked for.
                jax.block_until_ready(self._unchecked[-1][1])
            self.clock.tick(images)
            self._unchecked.append((step, metrics))
            self._after(step, step == end, save)

    def _after(self, step: int, last: bool, save) -> None:
        """What follows a step, in this order: look at losses, log, what is between, save, stop.

        A stop leaves no time for what is between, which the next start then owes.
        """
        train = self.config.train
        logs = last or step % train.log_every == 0
        saves = last or (train.checkpoint_every and step % train.checkpoint_every == 0)
        if logs or saves:
            self._look(step, logs)
        stops = step < self.steps and self._agrees(step) and agreed(self.stop.set)
        self._owes = stops
        # Lines of a step come before its checkpoint: a resume repeats what is not saved.
        if not stops:
            self._between(step)
        if saves or stops:
            with self.clock.pause():
                if self._unchecked:
                    self._look(step, logs=False)
                self._reporter.flush()
                save(step)
        if stops:
            raise self._stopped(step)

    def _agrees(self, step: int) -> bool:
        """Whether to ask all processes for a stop now: always alone, at times in company."""
        return jax.process_count() == 1 or step % self.config.train.log_every == 0

    def _look(self, step: int, logs: bool) -> None:
        """Checks the losses since the last look, and writes this step's."""
        for number, metrics in jax.device_get(self._unchecked):
            check_finite(number, metrics)
        if logs:
            written, shown = self._line(step, metrics)
            self._reporter.write(step, written)
            self._progress.update(step, shown)
        self._unchecked.clear()

    def _stopped(self, step: int) -> Stopped:
        return Stopped(f"stopped at step {step} by a signal; all work is saved")
