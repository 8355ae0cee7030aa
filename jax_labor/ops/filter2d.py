"""Separable filtering with up- and downsampling: what StyleGAN2 resizes its maps with."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

# The binomial low-pass of StyleGAN2 along one axis; it sums to one.
LOWPASS = (0.125, 0.375, 0.375, 0.125)

Padding = tuple[tuple[int, int], tuple[int, int]]


def upfirdn2d(
    x: jax.Array,
    taps: Sequence[float] = LOWPASS,
    up: int = 1,
    down: int = 1,
    padding: Padding = ((0, 0), (0, 0)),
    gain: float = 1.0,
) -> jax.Array:
    """Puts zeros between pixels, pads, convolves and keeps every `down`-th pixel.

    The filter is outer(taps, taps), convolved (not correlated). Each of the `up` pixels between
    two zeros is followed by `up - 1` zeros, the last one too. Sums of shifted slices rather than a
    depthwise convolution: some 15 times as fast on CPU, one fused pass on a GPU, and gradients of
    any order are sums of the same kind. Zeros that were put in are never multiplied.

    Args:
      x: float [B,h,w,C].
      taps: the filter along one axis, static.
      up, down: static whole factors, for both axes.
      padding: ((top, bottom), (left, right)) pixels of zeros, after the first step; negative crops.
      gain: factor of the result.

    Returns:
      [B,H,W,C] of the type of `x`, H = ceil((h*up + top + bottom - len(taps) + 1) / down).

    Raises:
      ValueError: nothing would be left along an axis.
    """
    for axis, pads in ((1, padding[0]), (2, padding[1])):
        x = _filter_axis(x, axis, taps, up, down, pads)
    return x if gain == 1.0 else x * gain


def upsample2d(x: jax.Array, taps: Sequence[float] = LOWPASS, factor: int = 2) -> jax.Array:
    """Enlarges x[B,h,w,C] to [B,h*factor,w*factor,C], low-pass filtered, of the same mean."""
    pads = ((len(taps) + factor - 1) // 2, (len(taps) - factor) // 2)
    return upfirdn2d(x, taps, up=factor, padding=(pads, pads), gain=float(factor**2))


def downsample2d(x: jax.Array, taps: Sequence[float] = LOWPASS, factor: int = 2) -> jax.Array:
    """Shrinks x[B,h,w,C] to [B,h/factor,w/factor,C], low-pass filtered."""
    pads = ((len(taps) - factor + 1) // 2, (len(taps) - factor) // 2)
    return upfirdn2d(x, taps, down=factor, padding=(pads, pads))


def _filter_axis(x, axis, taps, up, down, pads):
    length = x.shape[axis] * up + sum(pads) - len(taps) + 1
    if length < 1:
        raise ValueError(f"axis {axis} of {x.shape}: padded by {pads}, shorter than the filter")
    if up == 1:
        return _phase(x, axis, list(enumerate(taps[::-1])), -pads[0], -(-length // down), down)
    # Output i sees only the taps that meet a pixel, not a zero: one set for each i modulo `up`.
    phases = []
    for phase in range(up):
        met = [(k, tap) for k, tap in enumerate(taps[::-1]) if (phase + k - pads[0]) % up == 0]
        met = [((phase + k - pads[0]) // up, tap) for k, tap in met]
        phases.append(_phase(x, axis, met, 0, -(-length // up), 1))
    y = jnp.stack(phases, axis + 1)
    y = y.reshape(*x.shape[:axis], -1, *x.shape[axis + 1 :])
    return lax.slice_in_dim(y, 0, length, down, axis)


def _phase(x, axis, taps, offset, count, stride):
    """Gives sum of tap * x[i*stride + offset + place], i < count, x zero beyond its ends."""
    reach = (count - 1) * stride + 1
    starts = [offset + place for place, _ in taps] or [0]
    before = max(-min(starts), 0)
    after = max(max(starts) + reach - x.shape[axis], 0)
    widths = [(0, 0, 0)] * x.ndim
    widths[axis] = (before, after, 0)
    padded = lax.pad(x, jnp.zeros((), x.dtype), widths)
    slices = (
        tap * lax.slice_in_dim(padded, start + before, start + before + reach, stride, axis)
        for start, (_, tap) in zip(starts, taps, strict=False)
    )
    empty = jnp.zeros((*x.shape[:axis], count, *x.shape[axis + 1 :]), x.dtype)
    return sum(slices, empty)
