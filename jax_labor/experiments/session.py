"""A run in its work directory: resume, train from step to step, save, report."""

import logging

import jax
from etils import epath

from jax_labor.data.pipeline import CachedRecords, TrainView, train_iterator
from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.clock import Clock
from jax_labor.engine.config import record_config
from jax_labor.engine.finite import check_finite
from jax_labor.engine.profile import Profiler
from jax_labor.engine.report import Progress, Reporter
from jax_labor.engine.signals import StopFlag, agreed
from jax_labor.engine.startup import check_batch
from jax_labor.errors import UserError
from jax_labor.experiments.assembly import build_network, initial_state, load_data
from jax_labor.experiments.evaluation import Evaluation, Evaluator
from jax_labor.experiments.phases import ANSWERS, FULL, Phase
from jax_labor.files import prepare_workdir, remove_parts
from jax_labor.steps import parallel
from jax_labor.steps.adapt import make_train_step

# Settings that may change between a start and its resume: they do not change what is computed.
FREE = (
    *("data.root", "data.dir", "data.threads", "data.workers", "data.cache"),
    *("train.log_every", "train.eval_every", "train.checkpoint_every", "train.keep"),
    *("train.tensorboard", "train.profile", "train.pictures", "annotator_wait"),
)
_LOG = logging.getLogger(__name__)


class Stopped(Exception):
    """A signal asked for a stop; the state is saved."""


class Session:
    """What a run needs while it lasts; a context manager.

    Attributes:
        config: the card's settings.
        workdir: the work directory.
        data: source, target and evaluation data.
        network: the network and its optimisers.
        state: the present TrainState.
    """

    def __init__(self, config, workdir: str, force: bool = False):
        for role in ("source", "target", "eval"):
            setting = f"config.data.{role}_batch"
            check_batch(config.data[f"{role}_batch"], jax.device_count(), setting)
        self.config, self.workdir = config, epath.Path(workdir)
        self.is_main = jax.process_index() == 0
        if self.is_main:
            prepare_workdir(workdir)
            remove_parts(workdir)
        record_config(workdir, config.to_dict(), FREE, force, self.is_main)
        self.data = load_data(config)
        self.network = build_network(config, self.data.table.num_classes)
        self._profiler = Profiler(config.train.profile, self.workdir / "profile")
        self.clock = Clock()
        self.checkpoints = Checkpoints(workdir, config.train.keep)
        state, self._positions = self._first_state()
        self.state = parallel.place(state)
        self.evaluator = Evaluator(config, self.network.model, self.data.eval)
        self._progress = Progress(config.train.steps, self.clock, is_main=self.is_main)
        self._stop = StopFlag()
        self._train_steps = {}
        self._unchecked = []
        self._cached = {}
        # Last: it holds a file open, and everything above may refuse the settings.
        self._reporter = Reporter(workdir, self.step, config.train.tensorboard, self.is_main)

    def __enter__(self):
        self._stop.__enter__()
        return self

    def __exit__(self, *error):
        self._stop.__exit__(*error)
        self._profiler.close()
        self._reporter.close()
        self.checkpoints.close()

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state.step)

    @property
    def variables(self) -> dict:
        """What the network is applied with, on the host."""
        return jax.device_get({"params": self.state.params, "batch_stats": self.state.batch_stats})

    def train(self, phase: Phase, overlay=None) -> None:
        """Trains to the end of `phase`, and saves there.

        Args:
            phase: where to stop and which target labels to use.
            overlay: target record index -> answered labels, for a phase that uses answers.

        Raises:
            Stopped: a signal came; the state is saved.
            NonFiniteLoss: a loss term is not finite; the last good checkpoint is kept.
        """
        iterators = self._iterators(phase, overlay)
        train_step = self._mapped_step(phase.trains_selector)
        images = sum(self.config.data[f"{role}_batch"] for role in iterators)
        step = self.step
        self.clock.start()
        try:
            while step < phase.end:
                self._profiler.before(step)
                with self._profiler.annotate(step):
                    batch = {role: _arrays(next(it)) for role, it in iterators.items()}
                    batch = parallel.split(batch)
                    self.state, metrics = train_step(self.state, batch)
                step += 1
                if self._unchecked:
                    # One step may be under way while the next batch is made, no more: the clock
                    # then counts work done, not work asked for.
                    jax.block_until_ready(self._unchecked[-1][1])
                self.clock.tick(images)
                self._unchecked.append((step, metrics))
                self._after(step, phase, iterators)
        finally:
            for iterator in iterators.values():
                iterator.close()

    def evaluate(self) -> Evaluation:
        """Evaluates the present state."""
        with self.clock.pause():
            return self.evaluator.run(self.variables)

    def check_stop(self) -> None:
        """Raises Stopped if a signal came since the last checkpoint; call in all processes."""
        if agreed(self._stop.set):
            raise Stopped(f"stopped at step {self.step} by a signal; its checkpoint is saved")

    def _after(self, step: int, phase: Phase, iterators) -> None:
        """What follows a step, in this order: look at losses, log, evaluate, save, stop."""
        train = self.config.train
        last, saves = step == phase.end, step % train.checkpoint_every == 0
        if step % train.log_every == 0 or last or saves:
            self._look(step, logs=step % train.log_every == 0 or last)
        stops = agreed(self._stop.set) if self._agrees(step) else False
        # Lines of a step come before its checkpoint: a resume repeats what is not saved.
        if train.eval_every and step % train.eval_every == 0 and step < train.steps:
            miou = self.evaluate().miou
            self._reporter.write(step, {"miou": miou})
            _LOG.info("step %d: mIoU %.2f %%", step, 100 * miou)
        if last or saves or stops:
            self._save(step, phase, iterators)
        if stops and step < train.steps:
            raise Stopped(f"stopped at step {step} by a signal; its checkpoint is saved")

    def _agrees(self, step: int) -> bool:
        """Whether to ask all processes for a stop now: always alone, at times in company."""
        return jax.process_count() == 1 or step % self.config.train.log_every == 0

    def _look(self, step: int, logs: bool) -> None:
        """Checks the losses since the last look, and writes this step's."""
        for number, metrics in jax.device_get(self._unchecked):
            check_finite(number, metrics)
        if logs:
            self._reporter.write(step, metrics)
            self._progress.update(step, {"loss": metrics["loss"]})
        self._unchecked.clear()

    def _save(self, step: int, phase: Phase, iterators) -> None:
        with self.clock.pause():
            if self._unchecked:
                self._look(step, logs=False)
            self._positions |= {role: it.get_state() for role, it in iterators.items()}
            if phase.round is None and step == phase.end < self.config.train.steps:
                self._save_warmup(step, phase)
            self.checkpoints.save(step, self.state, self._meta(phase))

    def _save_warmup(self, step: int, phase: Phase) -> None:
        """Keeps the end of the warm-up for good, for other runs to start from."""
        warmup = Checkpoints(self.workdir / "warmup", keep=1)
        warmup.save(step, self.state, self._meta(phase))
        warmup.close()

    def _meta(self, phase: Phase) -> dict:
        return {
            "positions": self._positions,
            "round": phase.round,
            "clock": self.clock.state(),
            "warmup": self.config.rounds.warmup,
        }

    def _first_state(self):
        """The newest checkpoint's state, else the warm-up's to start from, else a fresh one."""
        fresh = initial_state(self.config, self.network, self.data.table.num_classes)
        found = self.checkpoints.restore(fresh)
        if found is not None:
            step, state, meta = found
            self.clock.load(meta["clock"])
            _LOG.info("%s: going on from step %d", self.workdir, step)
            return state, meta["positions"]
        return self._from_warmup(fresh) if self.config.start_from else (fresh, {})

    def _from_warmup(self, fresh):
        place = self.config.start_from
        warmup = Checkpoints(place, read_only=True)
        found = warmup.restore(fresh)
        warmup.close()
        if found is None or found[0] != self.config.rounds.warmup:
            raise UserError(
                f"config.start_from={place} holds no warm-up of {self.config.rounds.warmup} steps:"
                " name the folder WORKDIR/warmup of a run with the same config.rounds.warmup."
            )
        step, state, meta = found
        _LOG.info("warm-up of %d steps taken from %s", step, place)
        return state, meta["positions"]

    def _mapped_step(self, trains_selector: bool):
        if trains_selector not in self._train_steps:
            step = make_train_step(self.network, self.config, trains_selector)
            self._train_steps[trains_selector] = parallel.parallel_step(step)
        return self._train_steps[trains_selector]

    def _iterators(self, phase: Phase, overlay):
        roles = ("source", "target") if phase.uses_target else ("source",)
        labels = {"source": {}, "target": _target_labels(phase, overlay)}
        iterators = {role: self._iterator(role, **labels[role]) for role in roles}
        for role, iterator in iterators.items():
            if role in self._positions:
                iterator.set_state(self._positions[role])
        return iterators

    def _iterator(self, role: str, **labels):
        data = self.config.data
        view = TrainView(**data[f"{role}_view"].to_dict(), normalize=data.normalize)
        return train_iterator(
            self._records(role, view),
            view,
            data[f"{role}_batch"],
            # Source and target are shuffled apart even where they are one data set.
            (2 * self.config.seed + (role == "target")) % 2**32,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            threads=data.threads,
            workers=data.workers,
            name=f"config.data.{role}",
            **labels,
        )

    def _records(self, role: str, view: TrainView):
        records = getattr(self.data, role)
        if not self.config.data.cache:
            return records
        if role not in self._cached:
            size = view.size if view.resize == "fixed" else None
            self._cached[role] = CachedRecords(records, size)
        return self._cached[role]


def _target_labels(phase: Phase, overlay) -> dict:
    if phase.labels == ANSWERS:
        return {"overlay": overlay}
    return {"use_labels": phase.labels == FULL}


def _arrays(batch) -> dict:
    """What the step reads of a batch."""
    return {"image": batch["image"], "label": batch["label"]}
