"""Greedy selection of windows under an exact pixel budget, as region-based methods ask."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax_labor.ops.select import select_top


class _State(NamedTuple):
    """Of one image with a border wide enough for any window.

    XLA copies a whole array at every pick when a read of it is not ordered before the write that
    follows. So each write below is a constant, at a position that depends on what was read: maxima
    are brought up to date at the next pick, and the window that exceeds the budget is left to
    `_last_window`.

    score: float32[H', W'], -inf where no window may be centred any more.
    row_best: float32[H'], the maximum of each row of `score`, save the rows from `touched` on.
    touched: int32, first of the 2*suppress+1 rows that the last pick has changed.
    open: bool[H', W'], available pixels in no window yet.
    left: int32, pixels of the budget not spent.
    corner: (int32, int32), the first pixel of the last window.
    found: bool, whether the last search found a centre.
    fits: bool, whether its window was within the budget, and so was asked.
    """

    score: jax.Array
    row_best: jax.Array
    touched: jax.Array
    open: jax.Array
    left: jax.Array
    corner: tuple[jax.Array, jax.Array]
    found: jax.Array
    fits: jax.Array


def _pick(state: _State, radius: int, suppress: int) -> _State:
    """Asks the window around the highest score if it fits, and rules out the centres near it."""
    side, area = 2 * radius + 1, 2 * suppress + 1
    strip = jax.lax.dynamic_slice_in_dim(state.score, state.touched, area)
    row_best = jax.lax.dynamic_update_slice(state.row_best, strip.max(1), (state.touched,))
    y = jnp.argmax(row_best).astype(jnp.int32)
    x = jnp.argmax(state.score[y]).astype(jnp.int32)
    found = row_best[y] > -jnp.inf

    corner = (y - radius, x - radius)
    count = jax.lax.dynamic_slice(state.open, corner, (side, side)).sum(dtype=jnp.int32)
    fits = found & (count <= state.left)
    target = tuple(jnp.where(fits, c, 0) for c in corner)  # else write in the border, to no effect
    none = jnp.full((area, area), -jnp.inf, jnp.float32)
    return _State(
        score=jax.lax.dynamic_update_slice(state.score, none, (y - suppress, x - suppress)),
        row_best=row_best,
        touched=y - suppress,
        open=jax.lax.dynamic_update_slice(state.open, jnp.zeros((side, side), bool), target),
        left=state.left - jnp.where(fits, count, 0),
        corner=corner,
        found=found,
        fits=fits,
    )


def _last_window(state: _State, radius: int) -> _State:
    """Asks of the window that did not fit its first pixels in flat order, to spend the budget."""
    side = 2 * radius + 1
    window = jax.lax.dynamic_slice(state.open, state.corner, (side, side))
    order = jnp.cumsum(window.ravel().astype(jnp.int32)).reshape(side, side)
    asked = window & (order <= state.left) & state.found
    opened = jax.lax.dynamic_update_slice(state.open, window & ~asked, state.corner)
    return state._replace(open=opened, left=state.left - asked.sum(dtype=jnp.int32))


def _greedy(
    score: jax.Array,
    available: jax.Array,
    centres: jax.Array,
    budget: jax.Array,
    radius: int,
    suppress: int,
) -> tuple[jax.Array, jax.Array]:
    """Returns (asked bool[H,W], unspent budget int32) of one image."""
    (height, width), pad = available.shape, suppress + radius + 1
    score = jnp.where(available & centres & ~jnp.isnan(score), score, -jnp.inf)
    score = jnp.pad(score, pad, constant_values=-jnp.inf)
    zero, yes = jnp.int32(0), jnp.array(True)
    state = _State(
        score=score,
        row_best=score.max(1),
        touched=zero,
        open=jnp.pad(available, pad),
        left=jnp.maximum(budget, 0),
        corner=(zero, zero),
        found=yes,
        fits=yes,
    )
    state = jax.lax.while_loop(
        lambda s: (s.left > 0) & s.fits, lambda s: _pick(s, radius, suppress), state
    )
    state = _last_window(state, radius)
    opened = jax.lax.slice(state.open, (pad, pad), (pad + height, pad + width))
    return available & ~opened, state.left


def select_regions(
    score: jax.Array,
    available: jax.Array,
    budget: jax.Array | int,
    radius: int,
    suppress: int,
    centres: jax.Array | None = None,
) -> jax.Array:
    """Asks windows around the highest scores, one after the other, until the budget is spent.

    The region selection of RIPU (Xie et al., CVPR 2022): regions are radius 1 with suppress 2,
    points are radius 0 with suppress 32. The maximum of each row is kept and only touched rows are
    searched again, so that a pick costs (2*suppress+1) rows, not the image.

    Args:
      score: float32[B,H,W]. A pixel of -inf or NaN is no centre.
      available: bool[B,H,W], the pixels that may be asked.
      budget: int32[B] or int, pixels per image.
      radius: static; a pick asks the available pixels of its (2*radius+1)^2 window. The last window
        is cut to the budget, in flat order.
      suppress: static, >= radius; no later centre lies in the (2*suppress+1)^2 window of a pick.
      centres: bool[B,H,W], where windows may be centred besides, such as not near earlier rounds'
        picks; None for everywhere.

    Returns:
      bool[B,H,W] with exactly min(budget, available) pixels per image: when no centre is left, the
      rest of the budget goes to the highest scores among the remaining available pixels.

    Raises:
      ValueError: `suppress` < `radius`, or a negative radius.
    """
    if not 0 <= radius <= suppress:
        raise ValueError(f"need 0 <= radius <= suppress, not {radius} and {suppress}")
    budget = jnp.broadcast_to(jnp.asarray(budget, jnp.int32), score.shape[:1])
    centres = available if centres is None else centres
    asked, left = jax.lax.map(
        lambda args: _greedy(*args, radius, suppress), (score, available, centres, budget)
    )
    return asked | select_top(score, available & ~asked, left)
