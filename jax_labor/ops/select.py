"""Exact-budget selection of the highest scores, and SPL on top of it."""

import jax
import jax.numpy as jnp

from jax_labor.ops.disagreement import Disagreement


def ordered_keys(score: jax.Array) -> jax.Array:
    """Maps float32 to uint32 of the same order: NaN lowest (1), then -inf ... +inf; 0 is unused."""
    bits = jax.lax.bitcast_convert_type(jnp.where(score == 0, 0.0, score), jnp.uint32)
    negative = bits >> 31 == 1
    keys = jnp.where(negative, ~bits, bits | jnp.uint32(1 << 31))
    return jnp.where(jnp.isnan(score), jnp.uint32(1), keys)


def _threshold(keys: jax.Array, count: jax.Array) -> jax.Array:
    """Returns the largest uint32 t such that at least `count` of `keys` [H,W] are >= t."""

    def bit(i: jax.Array, t: jax.Array) -> jax.Array:
        candidate = t | (jnp.uint32(1 << 31) >> i.astype(jnp.uint32))
        return jnp.where(jnp.sum(keys >= candidate, dtype=jnp.int32) >= count, candidate, t)

    return jax.lax.fori_loop(0, 32, bit, jnp.uint32(0))


def _first(mask: jax.Array, count: jax.Array) -> jax.Array:
    """Returns the first `count` true pixels of `mask` [H,W] in flat order (count <= their number).

    Whole rows are settled by their counts; only the row where the count runs out needs a scan.
    """
    through = jnp.cumsum(mask.sum(1, dtype=jnp.int32))
    before = jnp.concatenate([jnp.zeros(1, jnp.int32), through[:-1]])
    row = jnp.argmax(through > count)
    partial = mask[row] & (jnp.cumsum(mask[row].astype(jnp.int32)) <= count - before[row])
    whole = mask & (through <= count)[:, None]
    return whole.at[row].set(jnp.where(through[row] > count, partial, whole[row]))


def _select(score: jax.Array, available: jax.Array, budget: jax.Array) -> jax.Array:
    """`select_top` for one image [H,W]."""
    keys = jnp.where(available, ordered_keys(score), jnp.uint32(0))
    count = jnp.clip(budget, 0, available.sum(dtype=jnp.int32))
    t = _threshold(keys, count)
    above = keys > t
    ties = available & (keys == t)
    return above | _first(ties, count - above.sum(dtype=jnp.int32))


def select_top(score: jax.Array, available: jax.Array, budget: jax.Array | int) -> jax.Array:
    """Selects per image exactly `budget` available pixels of the highest score.

    The threshold is found bit by bit on an order-preserving uint32 encoding of the scores: 32
    counting passes instead of a sort.

    Args:
      score: float32[B,H,W]; NaN ranks below everything else.
      available: bool[B,H,W], the pixels that may be asked.
      budget: int32[B] or int, pixels per image; negative counts as 0. When it exceeds the number of
        available pixels, all of those are selected.

    Returns:
      bool[B,H,W]. Equal scores are taken in order of their flat index.
    """
    budget = jnp.broadcast_to(jnp.asarray(budget, jnp.int32), score.shape[:1])
    return jax.lax.map(lambda args: _select(*args), (score, available, budget))


def select_spl(
    disagreement: Disagreement,
    available: jax.Array,
    budget: jax.Array | int,
    order: jax.Array | None = None,
) -> jax.Array:
    """Segment-based pixel labelling (SPL; Shin et al., ICCV 2021): asks the whole mask.

    Args:
      disagreement: of the two classifiers, arrays [B,H,W].
      available: bool[B,H,W], the pixels that may be asked.
      budget: int32[B] or int. A mask larger than this is cut to its highest pixels by `order`.
      order: float32[B,H,W]; None for the discrepancy.

    Returns:
      bool[B,H,W], the mask within `available`, at most `budget` pixels per image.
    """
    order = disagreement.discrepancy if order is None else order
    return select_top(order, available & disagreement.mask, budget)
