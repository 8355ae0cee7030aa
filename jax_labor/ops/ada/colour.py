"""Colour transforms of ADA (Karras et al., NeurIPS 2020, appendix B.3), as one matrix a sample."""

import math

import jax
import jax.numpy as jnp
import numpy as np

BRIGHTNESS_STD, CONTRAST_STD, SATURATION_STD = 0.2, 0.5, 1.0

_GREY = np.array([1, 1, 1, 0], np.float32)[:, None] / math.sqrt(3)  # the axis of luma
_LUMA = _GREY @ _GREY.T
_CROSS = np.array([[0, -1, 1, 0], [1, 0, -1, 0], [-1, 1, 0, 0], [0, 0, 0, 0]]) / math.sqrt(3)


def draw_colour(key: jax.Array, p: jax.Array) -> jax.Array:
    """Draws one sample's transforms, each with probability `p`.

    In this order: brightness added to all channels, contrast about zero, luma inverted, hue turned
    about the grey axis, saturation.

    Args:
        key: of the sample.
        p: float32[].

    Returns:
        float32[4, 4], as `recolour` takes it.
    """
    uniform_key, normal_key = jax.random.split(key)
    uniform = jax.random.uniform(uniform_key, (7,))
    normal = jax.random.normal(normal_key, (3,))

    def drawn(index, value, otherwise=0.0):
        return jnp.where(uniform[index] < p, value, otherwise)

    brightness = drawn(0, BRIGHTNESS_STD * normal[0])
    contrast = drawn(1, jnp.exp2(CONTRAST_STD * normal[1]), 1.0)
    inverted = drawn(2, jnp.floor(2 * uniform[5]))
    angle = drawn(3, math.pi * (2 * uniform[6] - 1))
    saturation = drawn(4, jnp.exp2(SATURATION_STD * normal[2]), 1.0)
    matrix = jnp.eye(4).at[:3, 3].set(brightness)
    matrix = jnp.diag(jnp.ones(4).at[:3].set(contrast)) @ matrix
    matrix = (jnp.eye(4) - 2 * inverted * _LUMA) @ matrix
    matrix = hue_rotation(angle) @ matrix
    return (_LUMA + (jnp.eye(4) - _LUMA) * saturation) @ matrix  # the last row is not used


def hue_rotation(angle: jax.Array) -> jax.Array:
    """Rotation float32[4, 4] of (R, G, B, 1) about the grey axis (Rodrigues' formula)."""
    across = jnp.diag(jnp.array([1.0, 1, 1, 0])) - _LUMA
    fixed = _LUMA + jnp.diag(jnp.array([0.0, 0, 0, 1]))
    return fixed + jnp.cos(angle) * across + jnp.sin(angle) * jnp.asarray(_CROSS, jnp.float32)


def recolour(images: jax.Array, matrix: jax.Array) -> jax.Array:
    """Multiplies (R, G, B, 1) of images[B, H, W, 3] by each sample's matrix[B, 4, 4]."""
    turned = jnp.einsum("bhwc,bdc->bhwd", images, matrix[:, :3, :3], precision="highest")
    return turned + matrix[:, None, None, :3, 3]
