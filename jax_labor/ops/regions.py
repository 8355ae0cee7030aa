"""Greedy selection of windows under an exact pixel budget, as region-based methods ask."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax_labor.ops.select import select_top


class _State(NamedTuple):
    """Of one image, with a border of `pad` pixels around it.

    score: float32[H', W'], -inf where no window may be centred any more.
    row_best: float32[H'], the maximum of each row of `score`.
    open: bool[H', W'], available pixels not asked yet.
    left: int32, pixels of the budget not spent.
    """

    score: jax.Array
    row_best: jax.Array
    open: jax.Array
    left: jax.Array


def _ask(state: _State, y: jax.Array, x: jax.Array, radius: int) -> _State:
    """Asks the open pixels of the window around (y, x), in flat order, as far as the budget goes."""
    side = 2 * radius + 1
    corner = (y - radius, x - radius)
    window = jax.lax.dynamic_slice(state.open, corner, (side, side))
    order = jnp.cumsum(window.ravel().astype(jnp.int32)).reshape(side, side)
    asked = window & (order <= state.left)
    opened = jax.lax.dynamic_update_slice(state.open, window & ~asked, corner)
    return state._replace(open=opened, left=state.left - asked.sum(dtype=jnp.int32))


def _suppress(state: _State, y: jax.Array, x: jax.Array, radius: int) -> _State:
    """Rules out centres in the window around (y, x); only the rows it touches are searched again."""
    strip = jax.lax.dynamic_slice_in_dim(state.score, y - radius, 2 * radius + 1)
    near = jnp.abs(jnp.arange(strip.shape[1]) - x) <= radius
    strip = jnp.where(near, -jnp.inf, strip)
    score = jax.lax.dynamic_update_slice_in_dim(state.score, strip, y - radius, 0)
    row_best = jax.lax.dynamic_update_slice(state.row_best, strip.max(1), (y - radius,))
    return state._replace(score=score, row_best=row_best)


def _greedy(
    score: jax.Array, available: jax.Array, budget: jax.Array, radius: int, suppress: int
) -> tuple[jax.Array, jax.Array]:
    """Returns (asked bool[H,W], unspent budget int32) of one image."""
    pad = suppress
    score = jnp.where(available & ~jnp.isnan(score), score, -jnp.inf)
    score = jnp.pad(score, pad, constant_values=-jnp.inf)
    state = _State(score, score.max(1), jnp.pad(available, pad), jnp.maximum(budget, 0))

    def unfinished(state: _State) -> jax.Array:
        return (state.left > 0) & (state.row_best.max() > -jnp.inf)

    def pick(state: _State) -> _State:
        y = jnp.argmax(state.row_best)
        x = jnp.argmax(state.score[y])
        return _suppress(_ask(state, y, x, radius), y, x, suppress)

    state = jax.lax.while_loop(unfinished, pick, state)
    height, width = available.shape
    opened = jax.lax.slice(state.open, (pad, pad), (pad + height, pad + width))
    return available & ~opened, state.left


def select_regions(
    score: jax.Array,
    available: jax.Array,
    budget: jax.Array | int,
    radius: int,
    suppress: int,
) -> jax.Array:
    """Asks windows around the highest scores, one after the other, until the budget is spent.

    The region selection of RIPU (Xie et al., CVPR 2022): regions are radius 1 with suppress 2,
    points are radius 0 with suppress 32. The maximum of each row is kept and only touched rows are
    searched again, so that a pick costs (2*suppress+1) rows, not the image.

    Args:
      score: float32[B,H,W]. Centres are available pixels with a score above -inf (NaN counts as
        -inf): give suppressed areas of earlier rounds -inf to keep them excluded.
      available: bool[B,H,W], the pixels that may be asked.
      budget: int32[B] or int, pixels per image.
      radius: static; a pick asks the available pixels of its (2*radius+1)^2 window. The last window
        is cut to the budget, in flat order.
      suppress: static, >= radius; no later centre lies in the (2*suppress+1)^2 window of a pick.

    Returns:
      bool[B,H,W] with exactly min(budget, available) pixels per image: when no centre is left, the
      rest of the budget goes to the highest scores among the remaining available pixels.

    Raises:
      ValueError: `suppress` < `radius`, or a negative radius.
    """
    if not 0 <= radius <= suppress:
        raise ValueError(f"need 0 <= radius <= suppress, not {radius} and {suppress}")
    budget = jnp.broadcast_to(jnp.asarray(budget, jnp.int32), score.shape[:1])
    asked, left = jax.lax.map(
        lambda args: _greedy(*args, radius, suppress), (score, available, budget)
    )
    return asked | select_top(score, available & ~asked, left)
