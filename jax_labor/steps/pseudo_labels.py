"""Instance-adaptive pseudo-labels (Mei et al., IAST, ECCV 2020, Eqs. 2-4)."""

import jax
import jax.numpy as jnp

from jax_labor.classes import IGNORE

INITIAL_THRESHOLD = 0.9
RULES = IAST, ARGMAX = "iast", "argmax"


def update_thresholds(
    thresholds: jax.Array,
    confidence: jax.Array,
    prediction: jax.Array,
    alpha: float,
    beta: float,
    gamma: float,
) -> jax.Array:
    """Moves each class's confidence threshold towards this batch's percentile.

    theta_c <- beta theta_c + (1 - beta) percentile_c(100 (1 - alpha theta_c^gamma)), where the
    percentile (linear interpolation) runs over the confidences of the pixels predicted c, rounded
    to float16 as the published code does, together with theta_c itself: a class that is absent
    keeps its threshold. Values of 1 and above become 0.999.

    Args:
        thresholds: float32[C].
        confidence: float32[...], largest probability of each pixel.
        prediction: int32[...], its class; 255 for pixels that do not count.
        alpha: share of pixels kept at threshold 1.
        beta: how slowly thresholds move.
        gamma: how much fewer pixels a hard class keeps.

    Returns:
        float32[C].
    """
    classes = jnp.arange(thresholds.size)
    values = confidence.reshape(-1).astype(jnp.float16).astype(jnp.float32)
    values = jnp.concatenate([values, thresholds])
    labels = jnp.concatenate([prediction.reshape(-1), classes])
    # One sort by (class, confidence) lays the classes side by side, each in order.
    labels, values = jax.lax.sort((labels, values), num_keys=2)
    start = jnp.searchsorted(labels, classes, side="left")
    count = jnp.searchsorted(labels, classes, side="right") - start
    position = (1 - alpha * thresholds**gamma) * (count - 1)
    below = jnp.clip(jnp.floor(position).astype(jnp.int32), 0, count - 1)
    above = jnp.minimum(below + 1, count - 1)
    low, high = values[start + below], values[start + above]
    percentile = low + (position - below) * (high - low)
    moved = beta * thresholds + (1 - beta) * percentile
    return jnp.where(moved >= 1, 0.999, moved)


def select(thresholds: jax.Array, confidence: jax.Array, prediction: jax.Array) -> jax.Array:
    """Labels of the pixels at or above their class's threshold, 255 elsewhere.

    Args:
        thresholds: float32[C].
        confidence: float32[B, H, W].
        prediction: int32[B, H, W]; what is 255 stays so.

    Returns:
        int32[B, H, W].
    """
    # JAX takes the last threshold for 255, which is the answer either way.
    return jnp.where(confidence >= thresholds[prediction], prediction, IGNORE)
