"""A generator's training in its work directory."""

import jax

from jax_labor.data.augment import check_crops
from jax_labor.data.records import named_sizes
from jax_labor.engine.processes import together
from jax_labor.experiments import gan_assembly, run_session
from jax_labor.experiments.assembly import load_domain
from jax_labor.experiments.gan_pictures import progress_picture
from jax_labor.experiments.gan_samples import Sampler
from jax_labor.experiments.same_data import check_data, write_data
from jax_labor.steps import gan as gan_steps
from jax_labor.steps import parallel

# A longer training may go on from a shorter one.
FREE = (*run_session.FREE, "train.kimg", "train.pictures_every", "train.psi", "distance")
_SHOWN = {"loss_generator": "G", "loss_discriminator": "D", "augment_p": "p"}


class GanSession(run_session.RunSession):
    """What the training of a generator needs while it lasts; a context manager.

    Attributes:
        gan: the networks and their optimisers.
        records: the data set.
        images: its images as the training sees them.
        state: the present GanState.
        sampler: draws images of the generator.
    """

    def __init__(self, config, workdir: str, force: bool = False):
        gan_assembly.check(config)
        steps = gan_assembly.iterations(config)
        self.gan = gan_assembly.build_gan(config)
        super().__init__(config, workdir, FREE, force)
        size = self.gan.generator.pyramid.image_size
        self.records = together(lambda: _checked_records(config, workdir, size, force))
        self.images = gan_assembly.Images(config, self.records, size)
        each = config.data.train_batch // jax.device_count()
        self.sampler = Sampler(self.gan.generator, config.seed, each)
        self._phases = {
            name: parallel.parallel_step(phase)
            for name, phase in gan_steps.make_phases(self.gan, config).items()
        }
        self._open(steps)
        if self.is_main:
            write_data(self.workdir, {"train": self.records})

    @property
    def variables(self) -> dict:
        """The averaged generator's, on the host."""
        return jax.device_get({"params": self.state.average, "stats": self.state.stats})

    def train(self) -> None:
        """Trains to the end, and saves there; raises as `RunSession._advance`."""
        iterator = self.images.iterator()
        if self._position is not None:
            iterator.set_state(self._position)
        try:
            self._advance(
                self.steps,
                self.config.data.train_batch,
                lambda step: self._iterate(step, next(iterator)),
                lambda step: self._save(step, iterator),
            )
        finally:
            iterator.close()

    def _iterate(self, step: int, batch: dict) -> dict:
        batch = {name: batch[name] for name in ("image", "mask") if name in batch}
        batch, metrics = parallel.split(batch), {}
        for name in gan_steps.phases_of(step, self.config.loss):
            self.state, more = self._phases[name](self.state, batch)
            metrics |= more
        return metrics

    def _between(self, step: int) -> None:
        every = self.config.train.pictures_every
        if every and step % every == 0 and self.is_main:
            with self.clock.pause():
                self._reporter.image(step, "samples", progress_picture(self))

    def _line(self, step: int, metrics: dict) -> tuple[dict, dict]:
        kimg = step * self.config.data.train_batch / 1000
        shown = {word: metrics[name] for name, word in _SHOWN.items()}
        return metrics | {"kimg": kimg}, {"kimg": kimg} | shown

    def _save(self, step: int, iterator) -> None:
        meta = {"position": iterator.get_state(), **self._meta()}
        self.checkpoints.save(step, self.state, meta)

    def _first_state(self):
        def fresh():
            return gan_assembly.first_state(self.config, self.gan)

        state, meta = self._resumed(jax.eval_shape(fresh)) or (fresh(), {"position": None})
        self._position = meta["position"]
        return state


def _checked_records(config, workdir, size, force: bool):
    """This process's training images; a UserError where they will not do."""
    records = load_domain(config, "train")
    check_crops(named_sizes(records), gan_assembly.view(config, size))
    check_data(workdir, {"train": records}, force)
    return records
