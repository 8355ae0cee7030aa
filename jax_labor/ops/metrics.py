"""Predictions at label resolution and the confusion matrix."""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jax_labor.ops.rows import class_argmax, class_softmax, map_rows


def confusion_matrix(labels: jax.Array, predictions: jax.Array, num_classes: int) -> jax.Array:
    """Counts pixels by true and predicted class.

    int32 holds the counts of 2^31 - 1 pixels of one pair of classes, about a thousand images of
    1024x2048: accumulate a whole data set on the host in int64.

    Args:
      labels: int[...], true classes; pixels outside [0, num_classes), such as 255, are ignored.
      predictions: int[...] of the same shape; pixels outside [0, num_classes) are ignored too.
      num_classes: static C.

    Returns:
      int32[C, C]; rows are true classes, columns predicted ones.
    """
    c = num_classes
    labels, predictions = (x.astype(jnp.int32) for x in (labels, predictions))
    counted = (labels >= 0) & (labels < c) & (predictions >= 0) & (predictions < c)
    cell = jnp.where(counted, labels * c + predictions, c * c)
    return jnp.bincount(cell.ravel(), length=c * c + 1)[:-1].reshape(c, c).astype(jnp.int32)


def predict(logits: jax.Array, size: tuple[int, int], align_corners: bool) -> jax.Array:
    """Returns the best class int32[B,H,W] of upsampled logits [B,h,w,C]; ties to the lowest class.

    `size` is the static (H, W) of the result. The upsampled logits exist a block of rows at a time.
    """
    upsampled = functools.partial(map_rows, class_argmax, size=size, align_corners=align_corners)
    return jax.lax.map(lambda x: upsampled([x]), logits)


def predict_ensemble(
    logits: Sequence[jax.Array], size: tuple[int, int], align_corners: bool
) -> jax.Array:
    """Returns the best class int32[B,H,W] of the mean probability over several passes.

    Args:
      logits: one float [B,h,w,C] per pass (flipped ones flipped back); h and w may differ, as they
        do between scales.
      size: static (H, W) of the result.
      align_corners: as in `resize_bilinear`.
    """

    def block(*xs: jax.Array) -> jax.Array:
        return class_argmax(sum(class_softmax(x) for x in xs))

    return jax.lax.map(lambda xs: map_rows(block, xs, size, align_corners), tuple(logits))
