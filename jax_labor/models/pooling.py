"""Max pooling with PyTorch's floor and ceil output sizes."""

import jax
import jax.numpy as jnp
from flax import linen as nn


def max_pool(
    x: jax.Array, window: int = 3, stride: int = 2, padding: int = 1, ceil_mode: bool = False
) -> jax.Array:
    """Max-pool `x[B,H,W,C]` into `[B,h,w,C]`, padding with -inf, sized as PyTorch's max_pool2d.

    h = (H + 2 padding - window) / stride + 1, rounded down, or up with `ceil_mode`; a last window
    that would start beyond the input and its left padding is dropped.
    """
    pads = tuple(_pads(n, window, stride, padding, ceil_mode) for n in x.shape[1:3])
    return nn.max_pool(x, (window, window), strides=(stride, stride), padding=pads)


def _pads(size, window, stride, padding, ceil_mode):
    """(left, right) padding that yields PyTorch's output size along one axis."""
    span = size + 2 * padding - window
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if (count - 1) * stride >= size + padding:
        count -= 1
    covered = (count - 1) * stride + window
    return padding, max(covered - size - padding, 0)


def global_average(x: jax.Array) -> jax.Array:
    """Mean of `x[B,H,W,C]` over the image, `[B,1,1,C]`, accumulated in float32."""
    return x.mean((1, 2), keepdims=True, dtype=jnp.float32).astype(x.dtype)
