"""StyleGAN2's losses and regularisers, each a number per sample of this device."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np


def wants_real(logits: jax.Array) -> jax.Array:
    """softplus(-logits): low where D believes in the images (Goodfellow et al., 2014, section 3).

    The non-saturating loss of the generator on its own images, and of D on real ones. logits [B].
    """
    return jax.nn.softplus(-logits)


def wants_fake(logits: jax.Array) -> jax.Array:
    """softplus(logits): low where D sees through the images. logits [B]."""
    return jax.nn.softplus(logits)


def r1_penalty(judge: Callable[[jax.Array], jax.Array], images: jax.Array) -> jax.Array:
    """Squared length of D's gradient at real images (Mescheder et al., ICML 2018, Eq. 9).

    Args:
        judge: images -> logits [B].
        images: float32[B, H, W, 3].

    Returns:
        float32[B], before the weight gamma / 2.
    """
    grads = jax.grad(lambda images: judge(images).sum())(images)
    return jnp.square(grads).sum((1, 2, 3))


def path_lengths(
    synthesise: Callable[[jax.Array], jax.Array], styles: jax.Array, noise: jax.Array
) -> jax.Array:
    """How far an image moves with its styles: |J^T y| (Karras et al., CVPR 2020, Eq. 4).

    Args:
        synthesise: styles -> images float32[B, H, W, 3].
        styles: float32[B, n, d], a style for each of n layers.
        noise: float32[B, H, W, 3], y, drawn N(0, 1).

    Returns:
        float32[B], the root of the mean over layers of the squared lengths.
    """
    scaled = noise / np.sqrt(noise.shape[1] * noise.shape[2])
    grads = jax.grad(lambda styles: (synthesise(styles) * scaled).sum())(styles)
    return jnp.sqrt(jnp.square(grads).sum(2).mean(1))
