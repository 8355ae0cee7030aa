"""How far generated images are from real ones: by patches at each scale, and by features."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jax_labor.errors import about
from jax_labor.experiments.batches import filled_batches
from jax_labor.models.inception import SIZE, Inception, prepare
from jax_labor.models.pretrained import import_weights, read_checkpoint
from jax_labor.ops.frechet import frechet_distance
from jax_labor.ops.wasserstein import (
    laplacian_pyramid,
    normalise,
    patches,
    pyramid_heights,
    sliced_wasserstein,
)

_AT_ONCE, _GREY = 64, 128
_LAYOUT = "inception_fid"


def distances(real: np.ndarray, fake: np.ndarray, seed: int) -> dict[str, float]:
    """Sliced Wasserstein distance times 1000 by level of the pyramid, and their mean.

    Args:
        real, fake: uint8[N, H, W, 3], of the same N; the figure falls slightly with N.
        seed: of the places and directions.

    Returns:
        {"HxW": distance, ..., "mean": ...}, largest level first. As in the paper, a level other
        than the last holds only the detail that the smaller ones lack.
    """
    key = jax.random.key(seed)
    height, width = real.shape[1:3]
    found = {}
    for level, rows in enumerate(pyramid_heights(height, width)):
        place, direction = jax.random.split(jax.random.fold_in(key, level))
        clouds = [
            _cloud(images, level, jax.random.fold_in(place, number))
            for number, images in enumerate((real, fake))
        ]
        distance = _distance(*clouds, direction)
        found[f"{rows}x{width * rows // height}"] = 1000 * float(distance)
    return {**found, "mean": float(np.mean(list(found.values())))}


class Features:
    """The features that the published Fréchet distances (FID) are measured in.

    Args:
        path: their weights, pt_inception-2015-12-05-*.pth.

    Raises:
        UserError: the file cannot be read, or holds other weights.
    """

    def __init__(self, path: str):
        tensors, network = read_checkpoint(path), Inception()
        image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), jnp.float32)
        shapes = jax.eval_shape(network.init, jax.random.key(0), image)
        with about(f"config.distance.features={path}"):
            self._variables, _ = import_weights(tensors, _LAYOUT, shapes)
        self._apply = jax.jit(lambda variables, x: network.apply(variables, prepare(x)))

    def distance(self, real: np.ndarray, fake: np.ndarray) -> float:
        """FID between uint8[N, H, W, 3] and uint8[M, H, W, 3]; published ones have N = 50,000."""
        return frechet_distance(self._of(real), self._of(fake))

    def _of(self, images: np.ndarray) -> np.ndarray:
        variables = jax.device_put(self._variables)
        parts = [
            np.asarray(self._apply(variables, images[rows]))[:kept]
            for rows, kept in filled_batches(len(images), _AT_ONCE)
        ]
        return np.concatenate(parts)


def masked(images: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """Paints uint8[N, H, W, 3] grey where masks[N, H, W, 1] are 0, to compare the rest alone."""
    return np.where(masks > 0, images, np.uint8(_GREY))


def _cloud(images, level: int, key) -> jax.Array:
    parts = [
        np.asarray(_cut(images[start : start + _AT_ONCE], jax.random.fold_in(key, start), level))
        for start in range(0, len(images), _AT_ONCE)
    ]
    return _normalise(np.concatenate(parts))


@functools.partial(jax.jit, static_argnums=2)
def _cut(images, key, level):
    return patches(laplacian_pyramid(images.astype(jnp.float32))[level], key)


_normalise, _distance = jax.jit(normalise), jax.jit(sliced_wasserstein)
