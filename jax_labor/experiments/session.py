"""A run in its work directory: resume, train from step to step, save, evaluate, report."""

import dataclasses
import logging

import jax
from etils import epath

from jax_labor.data.pipeline import train_iterator
from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.clock import Clock
from jax_labor.engine.config import record_config
from jax_labor.engine.files import prepare_workdir
from jax_labor.engine.finite import check_finite
from jax_labor.engine.profile import Profiler
from jax_labor.engine.report import Progress, Reporter
from jax_labor.engine.signals import StopFlag
from jax_labor.engine.startup import check_batch
from jax_labor.errors import UserError
from jax_labor.experiments.assembly import build_network, initial_state, load_data
from jax_labor.experiments.evaluation import Evaluator
from jax_labor.experiments.phases import ANSWERS, FULL, Phase
from jax_labor.steps import parallel
from jax_labor.steps.adapt import make_train_step

# Settings that may change between a start and its resume.
FREE = ("train.log_every", "train.tensorboard", "train.profile", "train.pictures", "train.keep")
FREE += ("data.threads", "data.workers", "data.cache", "data.root", "data.dir", "train.eval_every")
FREE += ("train.checkpoint_every",)


class Stopped(Exception):
    """A signal asked for a stop; the state is saved."""


class Session:
    """Holds what a run needs while it lasts. Use as a context manager."""

    def __init__(self, config, workdir: str):
        check_batches(config)
        self.config, self.workdir = config, epath.Path(workdir)
        prepare_workdir(workdir)
        record_config(workdir, config.to_dict(), FREE)
        self.data = load_data(config)
        self.num_classes = self.data.table.num_classes
        self.network = build_network(config, self.num_classes)
        self.checkpoints = Checkpoints(workdir, keep=config.train.keep)
        self.clock = Clock()
        self.positions = {}
        self.state = self._resume(initial_state(config, self.network, self.num_classes))
        self.evaluator = Evaluator(config, self.network.model, self.data.eval)
        main = jax.process_index() == 0
        self.reporter = Reporter(workdir, self.step, config.train.tensorboard, main)
        self.progress = Progress(config.train.steps, self.clock)
        self.profiler = Profiler(config.train.profile, str(self.workdir / "profile"))
        self.stop = StopFlag()
        self._train_step = None

    def __enter__(self):
        self.stop.__enter__()
        return self

    def __exit__(self, *error):
        self.stop.__exit__(*error)
        self.profiler.close()
        self.checkpoints.close()
        self.reporter.close()

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.state.step)

    def train(self, phase: Phase, overlay=None) -> None:
        """Trains to the end of `phase`.

        Args:
            phase: where to stop and which target labels to use.
            overlay: target record index -> answered labels, for a phase that uses answers.

        Raises:
            Stopped: a signal came; the state is saved.
            NonFiniteLoss: a loss term is not finite; the last good checkpoint is kept.
        """
        iterators = self._iterators(phase, overlay)
        key = jax.random.key(self.config.seed)
        train_step = self._mapped_step()
        pending = []
        while self.step < phase.end:
            step = self.step
            self.profiler.before(step)
            batch = {name: next(iterator) for name, iterator in iterators.items()}
            self.state, metrics = train_step(self.state, parallel.split(_arrays(batch)), key)
            pending.append((step + 1, metrics))
            self.clock.tick(self._images(iterators))
            self._after_step(phase, iterators, pending)
        self._save(iterators, pending)

    def evaluate(self):
        """Evaluates the present state; returns an `Evaluation`."""
        with self.clock.pause():
            return self.evaluator.run(self.state.params, self.state.batch_stats)
