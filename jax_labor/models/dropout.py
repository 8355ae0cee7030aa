"""Dropout that does not depend on how a batch is shared out over devices."""

import jax
import jax.numpy as jnp


def dropout(
    x: jax.Array, rate: float, keys: jax.Array | None, whole_maps: bool = False
) -> jax.Array:
    """Sets values to 0 with probability `rate`, and scales the others so that means stay.

    Srivastava et al., JMLR 2014.

    Args:
        x: float[B, h, w, C].
        rate: in [0, 1).
        keys: key[B], one for each example; None drops nothing.
        whole_maps: whether an example's whole channels are dropped (PyTorch's Dropout2d).
    """
    if keys is None or not rate:
        return x
    shape = (1, 1, x.shape[-1]) if whole_maps else x.shape[1:]
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, shape))(keys)
    return jnp.where(kept, x / (1 - rate), 0)
