"""Where two classifiers disagree: the inconsistency mask of LabOR, at label resolution."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax_labor.ops.rows import class_argmax, class_softmax, map_rows

PROBABILITIES = ("mean", "c1", "c2")
BOTH = "both"


class Disagreement(NamedTuple):
    """What two classifiers say of each pixel.

    Attributes:
      mask: bool[B,H,W], whether their best classes differ (LabOR eq. 4).
      discrepancy: float32[B,H,W] in [0, 2/K], the mean over classes of |p1 - p2| (the discrepancy
        of Saito et al., CVPR 2018, pixel by pixel).
      prediction: int32[B,H,W], the class of the pixel; int32[B,2,H,W] where it has that of each
        classifier.
    """

    mask: jax.Array
    discrepancy: jax.Array
    prediction: jax.Array


def combine(p1: jax.Array, p2: jax.Array, probs: str) -> jax.Array:
    """Returns the probabilities that speak for both classifiers: `mean`, or those of `c1` or `c2`.

    Raises:
      ValueError: `probs` is none of the three.
    """
    if probs not in PROBABILITIES:
        raise ValueError(f"probabilities are one of {PROBABILITIES}, not {probs!r}")
    return {"mean": (p1 + p2) / 2, "c1": p1, "c2": p2}[probs]


def disagreement(
    logits1: jax.Array,
    logits2: jax.Array,
    size: tuple[int, int],
    align_corners: bool = True,
    class_of_pixel: str = "mean",
) -> Disagreement:
    """Computes the inconsistency mask M = [argmax p1 != argmax p2] (Shin et al., ICCV 2021, eq. 4).

    The logits are upsampled, then the softmax is taken, block of rows by block of rows.

    Args:
      logits1: float [B,h,w,K] of the first classifier.
      logits2: float [B,h,w,K] of the second.
      size: static (H, W) of the labels.
      align_corners: as in `resize_bilinear`.
      class_of_pixel: whose argmax is the class of a pixel: `mean` of both, `c1` or `c2`; with
        `both` a pixel has two classes.

    Returns:
      A `Disagreement` of arrays [B,H,W].

    Raises:
      ValueError: an unknown `class_of_pixel`, or logits of different shapes.
    """
    if logits1.shape != logits2.shape:
        raise ValueError(f"logits of two classifiers differ: {logits1.shape}, {logits2.shape}")

    def block(x1: jax.Array, x2: jax.Array) -> Disagreement:
        p1, p2 = class_softmax(x1), class_softmax(x2)
        first, second = class_argmax(x1), class_argmax(x2)
        if class_of_pixel == BOTH:
            prediction = first, second
        else:
            prediction = class_argmax(combine(p1, p2, class_of_pixel))
        return Disagreement(first != second, jnp.abs(p1 - p2).mean(1), prediction)

    def image(pair: tuple[jax.Array, jax.Array]) -> Disagreement:
        found = map_rows(block, pair, size, align_corners)
        if class_of_pixel == BOTH:
            found = found._replace(prediction=jnp.stack(found.prediction))
        return found

    return jax.lax.map(image, (logits1, logits2))
