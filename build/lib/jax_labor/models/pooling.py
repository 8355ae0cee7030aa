"""Max pooling with PyTorch's floor and ceil output sizes."""

import functools

import jax
import jax.numpy as jnp
from jax import lax


def max_pool(
    x: jax.Array, window: int = 3, stride: int = 2, padding: int = 1, ceil_mode: bool = False
) -> jax.Array:
    """Max-pool `x[B,H,W,C]` into `[B,h,w,C]`, padding with -inf, sized as PyTorch's max_pool2d.

    h = (H + 2 padding - window) / stride + 1, rounded down, or up with `ceil_mode`; a last window
    that would start beyond the input and its left padding is dropped.

    Equal maxima of a window share its gradient, where PyTorch gives all to the first; after a
    ReLU, whose zeros pass no gradient on, that is no difference.
    """
    for axis in (1, 2):
        x = _max_along(x, axis, window, stride, padding, ceil_mode)
    return x


def global_average(x: jax.Array) -> jax.Array:
    """Mean of `x[B,H,W,C]` over the image, `[B,1,1,C]`, accumulated in float32."""
    return x.mean((1, 2), keepdims=True, dtype=jnp.float32).astype(x.dtype)


def _max_along(x, axis, window, stride, padding, ceil_mode):
    # Maxima of strided slices, one axis at a time: the gradient of lax.reduce_window is a
    # select-and-scatter, about four times as slow on CPU.
    widths = [(0, 0, 0)] * x.ndim
    widths[axis] = (*_pads(x.shape[axis], window, stride, padding, ceil_mode), 0)
    x = lax.pad(x, jnp.array(-jnp.inf, x.dtype), widths)
    reach = x.shape[axis] - window + 1
    taps = [lax.slice_in_dim(x, i, i + reach, stride, axis) for i in range(window)]
    return functools.reduce(jnp.maximum, taps)


def _pads(size, window, stride, padding, ceil_mode):
    """(left, right) padding that yields PyTorch's output size along one axis."""
    span = size + 2 * padding - window
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    if (count - 1) * stride >= size + padding:
        count -= 1
    covered = (count - 1) * stride + window
    return padding, max(covered - size - padding, 0)
