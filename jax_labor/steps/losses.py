"""The loss terms of LabOR, each as a sum over this device and a count to divide by.

A term returns (sum, count). Dividing by the count of *all* devices before the gradients are summed
makes several devices equal one on the same global batch, also when the labelled pixels are spread
unevenly over them.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jax_labor.classes import IGNORE
from jax_labor.ops.resize import resize_bilinear

Term = tuple[jax.Array, jax.Array]


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    align_corners: bool = True,
    class_weights: jax.Array | None = None,
) -> Term:
    """Pixel cross-entropy over labelled pixels: L1, L2 and L5 of LabOR (Shin et al., ICCV 2021).

    Args:
        logits: float32[B, h, w, C], raised to the labels' size bilinearly.
        labels: int32[B, H, W] train ids, 255 where there is none.
        align_corners: how the logits are raised.
        class_weights: float32[C], what a pixel of each class weighs; None = 1.

    Returns:
        (weighted sum over labelled pixels, sum of their weights: their number without any).
    """
    logits = resize_bilinear(logits, labels.shape[-2:], align_corners)
    valid = labels != IGNORE
    labels = jnp.where(valid, labels, 0)
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    if class_weights is None:
        return jnp.where(valid, loss, 0.0).sum(), valid.sum()
    weights = jnp.where(valid, jnp.asarray(class_weights)[labels], 0.0)
    return (weights * loss).sum(), weights.sum()


def class_balance(pixels: np.ndarray, power: float) -> np.ndarray:
    """(median f / f_c) ** power: median frequency balancing (Eigen and Fergus, ICCV 2015) at 1.

    Here f_c is class c's share of all labelled pixels. A class without any weighs as the rarest
    that has some.

    Args:
        pixels: int[C], how many pixels each class has, not all 0.
        power: 0 weighs all pixels alike.

    Returns:
        float32[C], `class_weights` of the cross-entropy.
    """
    present = pixels[pixels > 0]
    weights = (np.median(present) / np.maximum(pixels, present.min())) ** power
    return weights.astype(np.float32)


def adversarial(logits: jax.Array, is_target: bool, kind: str) -> Term:
    """GAN loss of a discriminator's patch logits (Tsai et al., CVPR 2018, Eqs. 2 and 4).

    Args:
        logits: float32[B, h, w, 1], discriminator output.
        is_target: the domain that the loss pulls the output towards (source 0, target 1).
        kind: "vanilla" (binary cross-entropy) or "least_squares".
    """
    label = jnp.full_like(logits, float(is_target))
    if kind == "vanilla":
        loss = optax.sigmoid_binary_cross_entropy(logits, label)
    else:
        loss = (logits - label) ** 2
    return loss.sum(), jnp.asarray(loss.size)


def weighted_self_information(probs: jax.Array) -> jax.Array:
    """-p log2(p) / log2(C), the discriminator's input of ADVENT (Vu et al., CVPR 2019, 3.2).

    Args:
        probs: float32[..., C].
    """
    return -probs * jnp.log2(probs + 1e-30) / jnp.log2(float(probs.shape[-1]))


def discrepancy(logits1: jax.Array, logits2: jax.Array, inside: jax.Array | None = None) -> Term:
    """mean |p1 - p2|, which MCD's classifiers maximise (Saito et al., CVPR 2018, Eq. 1); L6.

    Args:
        logits1: float32[B, h, w, C] of the first classifier.
        logits2: float32[B, h, w, C] of the second.
        inside: bool[B, h, w], the pixels that count; None = all.
    """
    difference = jnp.abs(jax.nn.softmax(logits1) - jax.nn.softmax(logits2))
    if inside is None:
        return difference.sum(), jnp.asarray(difference.size)
    return (difference * inside[..., None]).sum(), inside.sum() * difference.shape[-1]


def weight_cosine(params1, params2) -> jax.Array:
    """Cosine between two classifiers' parameters, the other reading of L6; 1 = same direction.

    Args:
        params1: parameters of the first classifier (any tree).
        params2: parameters of the second, of the same structure.
    """
    a, b = (jnp.concatenate([jnp.ravel(x) for x in jax.tree.leaves(p)]) for p in (params1, params2))
    return a @ b / (jnp.linalg.norm(a) * jnp.linalg.norm(b) + 1e-12)
