"""How far generated images are from real ones: sliced Wasserstein distance by scale."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_labor.ops.wasserstein import (
    laplacian_pyramid,
    normalise,
    patches,
    pyramid_heights,
    sliced_wasserstein,
)

_AT_ONCE = 64


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


def _cloud(images, level: int, key) -> jax.Array:
    parts = [
        _patches(images[start : start + _AT_ONCE], level, jax.random.fold_in(key, start))
        for start in range(0, len(images), _AT_ONCE)
    ]
    return _normalise(np.concatenate(parts))


@jax.jit
def _normalise(cloud):
    return normalise(cloud)


@jax.jit
def _distance(real, fake, key):
    return sliced_wasserstein(real, fake, key)


def _patches(images, level, key):
    return np.asarray(_cut(images, key, level))


def _cut_level(images, key, level):
    return patches(laplacian_pyramid(images.astype(jnp.float32))[level], key)


_cut = jax.jit(_cut_level, static_argnums=2)
