"""Geometric transforms of ADA (Karras et al., NeurIPS 2020, appendix B.2).

The transforms of a sample are multiplied into one matrix, and the image is resampled once: raised
to twice its size, sampled bilinearly, and lowered again, both by the wavelet sym6, so that nothing
aliases. Beyond its edges the image is mirrored.
"""

import math

import jax
import jax.numpy as jnp

from jax_labor.ops.filter2d import downsample2d, upsample2d

SHIFT_MAX, SHIFT_STD, SCALE_STD, STRETCH_STD = 0.125, 0.125, 0.2, 0.2

# The scaling filter of Daubechies' least asymmetric wavelet with six vanishing moments, of sum 1.
SYM6 = tuple(
    tap / math.sqrt(2)
    for tap in (
        *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057),
        *(-0.048311742585633, 0.4910559419267466, 0.787641141030194),
        *(0.3379294217276218, -0.07263752278646252, -0.021060292512300564),
        *(0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
    )
)
REACH = len(SYM6) // 4  # pixels of the image that half the filter covers


def draw_geometry(
    key: jax.Array, p: jax.Array, size: tuple[int, int], blit: bool = True, general: bool = True
) -> jax.Array:
    """Draws one sample's transforms, each with probability `p`.

    Args:
        key: of the sample.
        p: float32[].
        size: (H, W) of the image.
        blit: mirror left-right, turn by a multiple of 90 degrees, shift by whole pixels.
        general: scale, rotate, stretch along any axis, shift.

    Returns:
        float32[3, 3], as `warp` takes it.
    """
    uniform_key, normal_key = jax.random.split(key)
    gates, values = jax.random.uniform(uniform_key, (2, 8))
    normal = jax.random.normal(normal_key, (4,))
    height, width = size
    # With this chance of each of two rotations, some rotation happens with probability p.
    turn = 1 - jnp.sqrt(jnp.clip(1 - p, 0, 1))

    def drawn(index, value, otherwise=0.0, chance=p):
        return jnp.where(gates[index] < chance, value, otherwise)

    matrix = jnp.eye(3)
    if blit:
        mirrored = drawn(0, jnp.floor(2 * values[0]))
        quarters = drawn(1, jnp.floor(4 * values[1]))
        x, y = (drawn(2, SHIFT_MAX * (2 * values[i] - 1)) for i in (2, 3))
        matrix = matrix @ _scaling(1 - 2 * mirrored, 1.0) @ _rotation(quarters * (math.pi / 2))
        matrix = matrix @ _translation(-jnp.round(x * width), -jnp.round(y * height))
    if general:
        scale = drawn(3, jnp.exp2(SCALE_STD * normal[0]), 1.0)
        before, after = (drawn(i, math.pi * (2 * values[i] - 1), 0.0, turn) for i in (4, 5))
        stretch = drawn(6, jnp.exp2(STRETCH_STD * normal[1]), 1.0)
        x, y = (drawn(7, SHIFT_STD * normal[i]) for i in (2, 3))
        matrix = matrix @ _scaling(1 / scale, 1 / scale) @ _rotation(before)
        matrix = matrix @ _scaling(1 / stretch, stretch) @ _rotation(after)
        matrix = matrix @ _translation(-x * width, -y * height)
    return matrix


def warp(images: jax.Array, inverse: jax.Array) -> jax.Array:
    """Resamples each image by its own matrix.

    With the identity, or a shift by whole pixels, the result is the image itself, as sym6 is
    orthogonal. Farther than 3 pixels outside the image its upsampled self is mirrored rather than
    the image upsampled, which differs by the filter's slight asymmetry.

    Args:
        images: float32[B, H, W, C].
        inverse: float32[B, 3, 3]: (x, y, 1) of the output to (x, y, 1) of the input, in pixels
            from the middle of the image, x to the right and y downwards.

    Returns:
        float32[B, H, W, C].
    """
    height, width = images.shape[1:3]
    margin = 2 * REACH + 1
    padded = jnp.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)), "reflect")
    fine = upsample2d(padded, SYM6)
    y, x = (_fine_places(length) - (length - 1) / 2 for length in (height, width))
    at = jnp.stack(jnp.broadcast_arrays(x[None, :], y[:, None], jnp.ones((1, 1))))
    source = jnp.einsum("bij,jhw->bihw", inverse[:, :2], at, precision="highest")
    xs, ys = (
        2 * (_mirrored(source[:, i] + (length - 1) / 2, length) + margin)
        for i, length in enumerate((width, height))
    )
    warped = jax.vmap(_bilinear)(fine, ys, xs)
    # Output and input are filtered by mirror images of each other: together they shift nothing.
    return downsample2d(warped, SYM6[::-1])[:, REACH:-REACH, REACH:-REACH]


def _fine_places(length: int) -> jax.Array:
    """Positions, in pixels, of the samples of twice the resolution, REACH pixels outside too.

    Every second one is a pixel's own place: the filter's centre of mass is half a sample early.
    """
    return jnp.arange(-2 * REACH, 2 * (length + REACH)) / 2


def _mirrored(place: jax.Array, length: int) -> jax.Array:
    """Folds positions far outside 0 .. length - 1 into it, as a mirror at each end does."""
    folded = (length - 1) - jnp.abs(jnp.mod(place, 2 * (length - 1)) - (length - 1))
    near = (place >= -REACH) & (place <= length - 1 + REACH)
    return jnp.where(near, place, folded)


def _bilinear(image: jax.Array, y: jax.Array, x: jax.Array) -> jax.Array:
    """Samples image[h, w, C] at y, x [H, W], inside the image; returns [H, W, C]."""
    height, width, channels = image.shape
    top, left = (
        jnp.clip(jnp.floor(v), 0, n - 2).astype(jnp.int32) for v, n in ((y, height), (x, width))
    )
    down, right = ((v - start)[..., None] for v, start in ((y, top), (x, left)))
    pixels = image.reshape(-1, channels)
    first = top * width + left
    upper = pixels[first] * (1 - right) + pixels[first + 1] * right
    lower = pixels[first + width] * (1 - right) + pixels[first + width + 1] * right
    return upper * (1 - down) + lower * down


def _matrix(*rows) -> jax.Array:
    return jnp.stack([jnp.stack([jnp.asarray(v, jnp.float32) for v in row]) for row in rows])


def _scaling(x, y) -> jax.Array:
    return _matrix((x, 0, 0), (0, y, 0), (0, 0, 1))


def _rotation(angle) -> jax.Array:
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    return _matrix((cos, -sin, 0), (sin, cos, 0), (0, 0, 1))


def _translation(x, y) -> jax.Array:
    return _matrix((1, 0, x), (0, 1, y), (0, 0, 1))
