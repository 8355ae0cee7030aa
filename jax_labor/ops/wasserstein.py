"""Sliced Wasserstein distance by scale: how far generated images are from real ones.

Karras et al., "Progressive Growing of GANs", ICLR 2018, section 5 and appendix; it needs no
network. Small patches of each level of a Laplacian pyramid are compared as two clouds of points.
"""

import jax
import jax.numpy as jnp

PATCH, PATCHES = 7, 128
SMALLEST = 16
_BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


def pyramid_heights(height: int, width: int) -> tuple[int, ...]:
    """Heights of the levels of `laplacian_pyramid`, largest first."""
    heights = [height]
    while height % 2 == width % 2 == 0 and min(height, width) // 2 >= SMALLEST:
        height, width = height // 2, width // 2
        heights.append(height)
    return tuple(heights)


def laplacian_pyramid(images: jax.Array) -> list[jax.Array]:
    """Splits images into bands of detail, and the small image that is left as the last.

    Halves the size for as long as both sides are even and keep at least 16 pixels.

    Args:
        images: float32[B, H, W, C].

    Returns:
        float32[B, H / 2^i, W / 2^i, C] for each level i.
    """
    levels = []
    for _ in pyramid_heights(*images.shape[1:3])[1:]:
        smaller = _blur(images)[:, ::2, ::2]
        levels.append(images - _enlarge(smaller))
        images = smaller
    return [*levels, images]


def patches(level: jax.Array, key: jax.Array, count: int = PATCHES) -> jax.Array:
    """Cuts `count` 7x7 patches out of each image, at random places.

    Args:
        level: float32[B, h, w, C], h and w at least 7.
        key: of the places.
        count: patches per image.

    Returns:
        float32[B * count, 7, 7, C].
    """
    batch, height, width, channels = level.shape
    across, down = jax.random.split(key)
    top = jax.random.randint(down, (batch, count, 1, 1), 0, height - PATCH + 1)
    left = jax.random.randint(across, (batch, count, 1, 1), 0, width - PATCH + 1)
    inside = jnp.arange(PATCH)
    rows, columns = top + inside[None, None, :, None], left + inside[None, None, None, :]
    cut = level[jnp.arange(batch)[:, None, None, None], rows, columns]
    return cut.reshape(-1, PATCH, PATCH, channels)


def normalise(cloud: jax.Array) -> jax.Array:
    """Gives each channel of cloud[N, 7, 7, C] mean 0 and deviation 1 over all; returns [N, 49 C].

    A channel whose deviation is below 0.001 (of values from 0 to 255) is only centred and scaled.
    """
    mean = cloud.mean((0, 1, 2), keepdims=True)
    deviation = cloud.std((0, 1, 2), keepdims=True)
    return ((cloud - mean) / jnp.maximum(deviation, 1e-3)).reshape(cloud.shape[0], -1)


def sliced_wasserstein(
    a: jax.Array, b: jax.Array, key: jax.Array, directions: int = 512, at_once: int = 32
) -> jax.Array:
    """Mean Wasserstein-1 distance of two clouds along random directions.

    Args:
        a, b: float32[N, d], of the same N.
        key: of the directions.
        directions: how many (4 times 128 in the paper); a multiple of `at_once`.
        at_once: static; how many are sorted together, for the sake of memory.

    Returns:
        float32[].
    """

    def some(key):
        line = jax.random.normal(key, (a.shape[1], at_once))
        line = line / jnp.linalg.norm(line, axis=0, keepdims=True)
        along_a, along_b = (jnp.sort(x @ line, axis=0) for x in (a, b))
        return jnp.abs(along_a - along_b).mean()

    return jax.lax.map(some, jax.random.split(key, directions // at_once)).mean()


def _blur(images: jax.Array, gain: float = 1.0) -> jax.Array:
    """The binomial filter over [B, h, w, C], the image mirrored about its edge pixels."""
    for axis in (1, 2):
        length, pad = images.shape[axis], [(0, 0)] * 4
        pad[axis] = (2, 2)
        padded = jnp.pad(images, pad, "reflect")
        slices = (
            tap * jax.lax.slice_in_dim(padded, i, i + length, axis=axis)
            for i, tap in enumerate(_BINOMIAL)
        )
        images = sum(slices)
    return images * gain


def _enlarge(images: jax.Array) -> jax.Array:
    """Doubles [B, h, w, C]: zeros between the pixels, blurred, brightness kept."""
    batch, height, width, channels = images.shape
    zeros = jnp.zeros((batch, 2 * height, 2 * width, channels), images.dtype)
    return _blur(zeros.at[:, ::2, ::2].set(images), gain=4.0)
