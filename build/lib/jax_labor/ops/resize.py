"""Bilinear and nearest resizing with torch's sampling rules, and the taps behind them."""

import jax
import jax.numpy as jnp
import numpy as np


def bilinear_taps(
    n: int, size: int, align_corners: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns for each of `size` outputs its two inputs out of `n` and the second one's weight.

    The source coordinate of output i is i*(n-1)/(size-1) with aligned corners, else
    max((i+0.5)*n/size - 0.5, 0): the rules of torch's `interpolate` without anti-aliasing, in
    float32 as there.

    Returns:
      low int32[size], high int32[size], weight float32[size] of `high` (that of `low` is 1-weight).
    """
    i = np.arange(size, dtype=np.float32)
    if align_corners:
        scale = np.float32(n - 1) / np.float32(size - 1) if size > 1 else np.float32(0)
        source = i * scale
    else:
        scale = np.float32(n) / np.float32(size)
        source = np.maximum((i + np.float32(0.5)) * scale - np.float32(0.5), np.float32(0))
    low = np.minimum(source.astype(np.int32), n - 1)
    high = np.minimum(low + 1, n - 1)
    return low, high, (source - low).astype(np.float32)


def bilinear_matrix(n: int, size: int, align_corners: bool) -> np.ndarray:
    """Returns the interpolation along one axis as a matrix float32[size, n]; rows sum to one."""
    low, high, weight = bilinear_taps(n, size, align_corners)
    matrix = np.zeros((size, n), np.float32)
    rows = np.arange(size)
    np.add.at(matrix, (rows, low), 1 - weight)
    np.add.at(matrix, (rows, high), weight)
    return matrix


def resize_bilinear(x: jax.Array, size: tuple[int, int], align_corners: bool) -> jax.Array:
    """Resizes by bilinear interpolation, as torch's `interpolate(mode="bilinear")`.

    Two small dense products rather than gathers: the gradient is then two products as well, where
    a gather's would be a scatter-add (slower on CPU, and of undefined summation order on a GPU).
    The products run in float32 at full precision whatever the type of `x`.

    Args:
      x: float [..., h, w, C].
      size: static (H, W) of the result.
      align_corners: whether the centres of corner pixels map to each other (else the corners do).

    Returns:
      [..., H, W, C] of the type of `x`.
    """
    (h, w), (height, width) = x.shape[-3:-1], size
    y = x.astype(jnp.float32)
    full = jax.lax.Precision.HIGHEST
    if w != width:
        columns = bilinear_matrix(w, width, align_corners)
        y = jnp.einsum("...hwc,Ww->...hWc", y, columns, precision=full)
    if h != height:
        rows = bilinear_matrix(h, height, align_corners)
        y = jnp.einsum("...hwc,Hh->...Hwc", y, rows, precision=full)
    return y.astype(x.dtype)


def resize_nearest(x: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Resizes label maps: output i takes input floor(i*n/size), torch's `mode="nearest"`.

    Args:
      x: [..., h, w] of any type.
      size: static (H, W) of the result.

    Returns:
      [..., H, W] of the type of `x`.
    """
    for axis, n, length in ((-2, x.shape[-2], size[0]), (-1, x.shape[-1], size[1])):
        scale = np.float32(n) / np.float32(length)
        index = (np.arange(length, dtype=np.float32) * scale).astype(np.int32)
        x = jnp.take(x, np.minimum(index, n - 1), axis=axis)
    return x
