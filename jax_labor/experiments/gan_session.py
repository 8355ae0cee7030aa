"""A generator's training in its work directory: resume, iterate, save, report, stop."""

import logging

import jax
from etils import epath

from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.clock import Clock
from jax_labor.engine.config import record_config
from jax_labor.engine.finite import check_finite
from jax_labor.engine.profile import Profiler
from jax_labor.engine.report import Progress, Reporter
from jax_labor.engine.signals import StopFlag, agreed
from jax_labor.experiments import gan_assembly, session
from jax_labor.experiments.assembly import load_domain
from jax_labor.experiments.gan_pictures import progress_picture
from jax_labor.experiments.gan_samples import Sampler
from jax_labor.files import prepare_workdir, remove_parts
from jax_labor.steps import gan as gan_steps
from jax_labor.steps import parallel

# Settings that may change between a start and its resume; a longer training is one too.
FREE = (*session.FREE, "train.kimg", "train.pictures_every", "train.psi", "distance")
_SHOWN = {"loss_generator": "G", "loss_discriminator": "D", "augment_p": "p"}
_LOG = logging.getLogger(__name__)


class GanSession:
    """What the training of a generator needs while it lasts; a context manager.

    Attributes:
        config: the card's settings.
        workdir: the work directory.
        gan: the networks and their optimisers.
        images: the training images.
        state: the present GanState.
        sampler: draws images of the generator.
    """

    def __init__(self, config, workdir: str, force: bool = False):
        gan_assembly.check(config)
        self.config, self.workdir = config, epath.Path(workdir)
        self.steps = gan_assembly.iterations(config)
        self.gan = gan_assembly.build_gan(config)
        self.is_main = jax.process_index() == 0
        if self.is_main:
            prepare_workdir(workdir)
            remove_parts(workdir)
        record_config(workdir, config.to_dict(), FREE, force, self.is_main)
        self.records = load_domain(config, "train")
        size = self.gan.generator.pyramid.image_size
        self.images = gan_assembly.Images(config, self.records, size)
        self.clock = Clock()
        self._profiler = Profiler(config.train.profile, self.workdir / "profile")
        self._checkpoints = Checkpoints(workdir, config.train.keep)
        state, self._position = self._first_state()
        self.state = parallel.place(state)
        each = config.data.train_batch // jax.device_count()
        self.sampler = Sampler(self.gan.generator, config.seed, each)
        self._phases = {
            name: parallel.parallel_step(phase)
            for name, phase in gan_steps.make_phases(self.gan, config).items()
        }
        self._progress = Progress(self.steps, self.clock, is_main=self.is_main)
        self._stop, self._unchecked = StopFlag(), []
        # Last: it holds a file open, and everything above may refuse the settings.
        self._reporter = Reporter(workdir, self.step, config.train.tensorboard, self.is_main)

    def __enter__(self):
        self._stop.__enter__()
        return self

    def __exit__(self, *error):
        self._stop.__exit__(*error)
        self._profiler.close()
        self._reporter.close()
        self._checkpoints.close()

    @property
    def step(self) -> int:
        """Iterations done."""
        return int(self.state.step)

    @property
    def variables(self) -> dict:
        """The averaged generator's, on the host."""
        return jax.device_get({"params": self.state.average, "stats": self.state.stats})

    def train(self) -> None:
        """Trains to the end, and saves there.

        Raises:
            session.Stopped: a signal came; the state is saved.
            NonFiniteLoss: a loss is not finite; the last good checkpoint is kept.
        """
        step, iterator = self.step, self.images.iterator()
        if self._position is not None:
            iterator.set_state(self._position)
        self.clock.start()
        try:
            while step < self.steps:
                self._profiler.before(step)
                with self._profiler.annotate(step):
                    metrics = self._iterate(step, next(iterator)["image"])
                step += 1
                if self._unchecked:
                    # The clock counts work done, not work asked for; see Session.train.
                    jax.block_until_ready(self._unchecked[-1][1])
                self.clock.tick(self.config.data.train_batch)
                self._unchecked.append((step, metrics))
                self._after(step, iterator)
        finally:
            iterator.close()

    def _iterate(self, step: int, images) -> dict:
        batch, metrics = parallel.split({"image": images}), {}
        for name in gan_steps.phases_of(step, self.config.loss):
            self.state, more = self._phases[name](self.state, batch)
            metrics |= more
        return metrics

    def _after(self, step: int, iterator) -> None:
        """What follows an iteration, in this order: look at losses, log, draw, save, stop."""
        train = self.config.train
        last, logs = step == self.steps, step % train.log_every == 0
        stops = agreed(self._stop.set) if self._agrees(step) else False
        saves = last or stops or step % train.checkpoint_every == 0
        if logs or saves:
            self._look(step, logs or last)
        if train.pictures_every and step % train.pictures_every == 0 and self.is_main:
            with self.clock.pause():
                self._reporter.image(step, "samples", progress_picture(self))
        if saves:
            self._save(step, iterator)
        if stops and not last:
            raise session.Stopped(f"stopped at step {step} by a signal; its checkpoint is saved")

    def _agrees(self, step: int) -> bool:
        """Whether to ask all processes for a stop now: always alone, at times in company."""
        return jax.process_count() == 1 or step % self.config.train.log_every == 0

    def _look(self, step: int, logs: bool) -> None:
        """Checks the losses since the last look, and writes this iteration's."""
        for number, metrics in jax.device_get(self._unchecked):
            check_finite(number, metrics)
        if logs:
            kimg = step * self.config.data.train_batch / 1000
            self._reporter.write(step, metrics | {"kimg": kimg})
            shown = {word: metrics[name] for name, word in _SHOWN.items()}
            self._progress.update(step, {"kimg": kimg} | shown)
        self._unchecked.clear()

    def _save(self, step: int, iterator) -> None:
        with self.clock.pause():
            meta = {"position": iterator.get_state(), "clock": self.clock.state()}
            self._checkpoints.save(step, self.state, meta)

    def _first_state(self):
        """The newest checkpoint's state and place in the data, or a fresh one."""
        fresh = gan_assembly.first_state(self.config, self.gan)
        found = self._checkpoints.restore(fresh)
        if found is None:
            return fresh, None
        step, state, meta = found
        self.clock.load(meta["clock"])
        _LOG.info("%s: going on from step %d", self.workdir, step)
        return state, meta["position"]
