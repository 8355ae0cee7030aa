"""Scores of the baselines with one classifier: entropy, margin, region impurity."""

import math

import jax
import jax.numpy as jnp

from jax_labor.ops.metrics import predict
from jax_labor.ops.rows import class_softmax, map_rows

# RIPU's published code adds this inside its logarithms; kept, so that rankings can be compared.
LOG_OFFSET = 1e-6


def _entropy(x: jax.Array) -> jax.Array:
    """Returns -sum p log p / log K in [R, W] of a block of logits [R, K, W]."""
    p = class_softmax(x)
    return -(p * jnp.log(p + LOG_OFFSET)).sum(1) / math.log(x.shape[1])


def _margin(x: jax.Array) -> jax.Array:
    """Returns 1 - (p_first - p_second) in [R, W] of a block of logits [R, K, W]."""
    p = class_softmax(x)
    best = p.max(1, keepdims=True)
    several = (p == best).sum(1) > 1
    second = jnp.where(p == best, -jnp.inf, p).max(1)
    return 1 - (best[:, 0] - jnp.where(several, best[:, 0], second))


KINDS = {"entropy": _entropy, "margin": _margin}


def uncertainty(
    logits: jax.Array, size: tuple[int, int], kind: str, align_corners: bool = True
) -> jax.Array:
    """Scores each pixel by how unsure its probabilities are; higher is less sure.

    Args:
      logits: float [B,h,w,K] with K >= 2.
      size: static (H, W) of the labels.
      kind: `entropy` (over log K, in [0, 1]) or `margin` (1 - best + second best, in [0, 1]).
      align_corners: as in `resize_bilinear`.

    Returns:
      float32[B,H,W].

    Raises:
      ValueError: an unknown `kind`.
    """
    if kind not in KINDS:
        raise ValueError(f"kind of uncertainty is one of {tuple(KINDS)}, not {kind!r}")
    return jax.lax.map(lambda x: map_rows(KINDS[kind], [x], size, align_corners), logits)


def window_sum(x: jax.Array, radius: int) -> jax.Array:
    """Sums `x` [H,W] over the (2*radius+1)^2 window around each pixel, zeros beyond the border.

    Windows of twice the length are sums of two: about 2*log2(radius) additions per axis, and exact
    for integers.
    """
    for axis in (0, 1):
        n, length = x.shape[axis], 2 * radius + 1
        pad = [(0, 0), (0, 0)]
        pad[axis] = (radius, radius)
        power, width, offset, total = jnp.pad(x, pad), 1, 0, jnp.zeros_like(x)
        while width <= length:
            if length & width:
                total += jax.lax.slice_in_dim(power, offset, offset + n, axis=axis)
                offset += width
            if 2 * width <= length:
                end = power.shape[axis]
                early = jax.lax.slice_in_dim(power, 0, end - width, axis=axis)
                power = early + jax.lax.slice_in_dim(power, width, end, axis=axis)
            width *= 2
        x = total
    return x


def _impurity(classes: jax.Array, count: jax.Array, num_classes: int, radius: int) -> jax.Array:
    """Returns the entropy of the class histogram of each window, over log K; arrays [H,W]."""

    def add(total: jax.Array, k: jax.Array) -> tuple[jax.Array, None]:
        share = window_sum((classes == k).astype(jnp.float32), radius) / count
        return total - share * jnp.log(share + LOG_OFFSET), None

    zero = jnp.zeros(classes.shape, jnp.float32)
    total, _ = jax.lax.scan(add, zero, jnp.arange(num_classes))
    return total / math.log(num_classes)


def region_impurity(
    logits: jax.Array,
    size: tuple[int, int],
    radius: int,
    align_corners: bool = True,
    pick: int | None = None,
) -> jax.Array:
    """Region impurity times prediction uncertainty (RIPU; Xie et al., CVPR 2022).

    The entropy of the histogram of predicted classes over the (2*radius+1)^2 window of each pixel,
    times the mean entropy of the pixels that would be asked, its (2*pick+1)^2 window; each over
    log K. Windows are cut at the border.

    Args:
      logits: float [B,h,w,K] with K >= 2.
      size: static (H, W) of the labels.
      radius: static, >= 0; the published settings are 1 (regions) and 32 (points).
      align_corners: as in `resize_bilinear`.
      pick: static, >= 0; `radius` by default, as for the published regions; 0 for their points,
        whose own entropy counts.

    Returns:
      float32[B,H,W].
    """
    pick = radius if pick is None else pick
    scored, asked = (window_sum(jnp.ones(size, jnp.float32), r) for r in (radius, pick))

    def image(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        classes, entropy = pair
        mean = window_sum(entropy, pick) / asked
        return mean * _impurity(classes, scored, logits.shape[-1], radius)

    classes = predict(logits, size, align_corners)
    return jax.lax.map(image, (classes, uncertainty(logits, size, "entropy", align_corners)))
