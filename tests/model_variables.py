"""Random variables of a network, drawn by NumPy: no compilation, and every leaf matters."""

import jax
import numpy as np


def random_variables(model, *inputs, seed=0):
    """Variables for `model(*inputs)` with kernels of unit gain and non-trivial norms."""
    shapes = jax.eval_shape(lambda key: model.init(key, *inputs), jax.random.key(0))
    rng = np.random.default_rng(seed)
    return jax.tree_util.tree_map_with_path(
        lambda path, x: _draw(path[-1].key, x.shape, rng), shapes
    )


def _draw(leaf, shape, rng):
    noise = rng.standard_normal(shape).astype(np.float32)
    if leaf == "kernel":
        return noise / np.float32(np.sqrt(np.prod(shape[:-1])))
    if leaf in ("scale", "var"):
        return 1 + np.float32(0.2) * np.abs(noise)
    return np.float32(0.1) * noise
