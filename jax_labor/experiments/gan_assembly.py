"""From a card to the parts of a generator's training: images, networks, optimisers, state."""

import jax
import numpy as np

from jax_labor.data.pipeline import TrainIterator, train_iterator
from jax_labor.data.records import CachedRecords
from jax_labor.data.views import TrainView
from jax_labor.engine.startup import check_batch
from jax_labor.errors import UserError
from jax_labor.experiments.bounds import check_least, check_positive, check_share
from jax_labor.models.stylegan2 import build_discriminator, build_generator
from jax_labor.ops.ada import check_kinds
from jax_labor.steps.gan_state import Gan, GanState, create, lazy_adam

_SHARED = ("resolution", "base", "channel_base", "channel_max", "low_precision_blocks", "dtype")
_GENERATOR = (*_SHARED, "z_dim", "w_dim", "mapping_layers")
_DISCRIMINATOR = (*_SHARED, "mbstd_group")
_LEAST = {
    **dict.fromkeys(("loss.path_every", "loss.r1_every", "augment.every"), 1),
    **dict.fromkeys(("network.z_dim", "network.w_dim", "network.mapping_layers"), 1),
    **dict.fromkeys(("network.conv_clamp", "network.low_precision_blocks"), 0),
    **dict.fromkeys(("loss.r1_gamma", "loss.path_weight", "average.kimg", "average.ramp"), 0),
    **dict.fromkeys(("distance.images", "train.psi", "train.pictures_every"), 0),
}
_OPTIMIZERS = ("generator_optimizer", "discriminator_optimizer")


def check(config) -> None:
    """Raises a UserError, naming the setting, where settings cannot work together here."""
    each = check_batch(config.data.train_batch, jax.device_count(), "config.data.train_batch")
    group = config.network.mbstd_group
    if (group or 0) < 1 or each % group:
        raise UserError(
            f"config.network.mbstd_group={group} does not divide the {each} images that each of"
            f" {jax.device_count()} devices holds of config.data.train_batch: change one of them."
        )
    if each % 2 and config.loss.path_weight and jax.device_count() > 1:
        raise UserError(
            f"config.data.train_batch gives {each} images to a device, and path-length"
            " regularisation takes half of them: make that even."
        )
    check_kinds(config.augment.kinds, "config.augment.kinds")
    check_least(config, _LEAST)
    check_positive(config, ("augment.kimg", "train.kimg", *(f"{o}.lr" for o in _OPTIMIZERS)))
    check_share(config, ("loss.path_decay", "loss.mixing", "augment.p", "augment.target"))
    check_share(config, (f"{o}.{name}" for o in _OPTIMIZERS for name in ("b1", "b2")), below=True)
    if config.data.view.resize == "scale_crop":
        raise UserError(
            "config.data.view.resize=scale_crop leaves borders without an image, which the"
            " generator would learn: use fixed, random_crop or pad."
        )


def iterations(config) -> int:
    """How many iterations show `config.train.kimg` thousand images."""
    steps = -(-int(config.train.kimg * 1000) // config.data.train_batch)
    if steps < 1:
        raise UserError(f"config.train.kimg is {config.train.kimg}: train on at least one image.")
    return steps


def build_gan(config) -> Gan:
    """Builds everything that has parameters."""
    clamp = {"conv_clamp": config.network.conv_clamp or None}
    loss = config.loss
    return Gan(
        build_generator({name: config.network[name] for name in _GENERATOR} | clamp),
        build_discriminator({name: config.network[name] for name in _DISCRIMINATOR} | clamp),
        lazy_adam(config.generator_optimizer, loss.path_every if loss.path_weight else 0),
        lazy_adam(config.discriminator_optimizer, loss.r1_every if loss.r1_gamma else 0),
    )


def first_state(config, gan: Gan) -> GanState:
    """The state before the first iteration, on the host."""
    # The default generator's draws compile far longer, see assembly.py.
    key = jax.random.key(config.seed, impl="rbg")
    return jax.device_get(jax.jit(lambda: create(gan, key, config.augment.p))())


def view(config, size: tuple[int, int]) -> TrainView:
    """How images of any size become those of `size` = (H, W) that the network makes."""
    settings = config.data.view.to_dict()
    return TrainView(size=size, normalize="unit", **settings, name="config.data.view")


class Images:
    """The training images as the network's size and range want them."""

    def __init__(self, config, records, size: tuple[int, int]):
        self._config, self.size = config, size
        self._view = view(config, size)
        fixed = size if self._view.resize == "fixed" else None
        self._records = CachedRecords(records, fixed) if config.data.cache else records

    def __len__(self) -> int:
        return len(self._records)

    def iterator(self) -> TrainIterator:
        """This process's part of the endless batches of training."""
        data = self._config.data
        return self._iterate(
            data.train_batch,
            self._config.seed,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
            workers=data.workers,
        )

    def pixels(self, count: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The first `count` images to compare with, in another order than the training's.

        Returns:
            uint8[count, H, W, 3], and under the view's rule "pad" bool[count, H, W, 1], False
            beside the photo; else None.
        """
        images = np.empty((count, *self.size, 3), np.uint8)
        masks = np.empty((count, *self.size, 1), bool) if self._view.resize == "pad" else None
        iterator = self._iterate(1, (self._config.seed + 1) % 2**32)
        # One by one into their place, as floats of all of them may not fit into memory.
        for place, batch in zip(range(count), iterator, strict=False):
            images[place] = np.rint((batch["image"][0] + 1) * 127.5)
            if masks is not None:
                masks[place] = batch["mask"][0]
        iterator.close()
        return images, masks

    def _iterate(self, batch, seed, **parts):
        threads = self._config.data.threads
        return train_iterator(
            self._records,
            self._view,
            batch,
            seed,
            threads=threads,
            use_labels=False,
            name="config.data.train",
            **parts,
        )
