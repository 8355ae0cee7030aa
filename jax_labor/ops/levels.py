"""Small feature maps: projected a strip of rows at a time, and raised to a tile of the image."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_labor.ops.windows import Windows, windows

FULL = jax.lax.Precision.HIGHEST


class Level(NamedTuple):
    """The maps of one resolution.

    Attributes:
      maps: float [N, h, w, C_l] each, of a batch.
      kernel: float32[M, sum C_l, K], their part of the first layer.
      rows: groups are strips of the image's rows.
      columns: groups are runs of the image's columns.
    """

    maps: tuple[jax.Array, ...]
    kernel: jax.Array
    rows: Windows
    columns: Windows

    @property
    def pixels(self) -> int:
        """Pixels of this level that one strip reads."""
        return self.rows.length * self.maps[0].shape[2]


def make_levels(
    maps: Sequence[tuple[jax.Array, jax.Array]],
    size: tuple[int, int],
    span: tuple[int, int],
    strip: int,
    columns: int,
) -> list[Level]:
    """Gathers pairs (map [N,h,w,C], kernel [M,C,K]) by resolution; the rest as in `windows`."""
    groups: dict[tuple[int, int], list] = {}
    for x, own in maps:
        groups.setdefault(x.shape[1:3], []).append((x, own))
    levels = []
    for (h, w), pairs in groups.items():
        own, kernels = zip(*pairs, strict=True)
        rows = windows(h, size[0], strip, span)
        levels.append(Level(own, jnp.concatenate(kernels, 1), rows, windows(w, size[1], columns)))
    return levels


def project(levels: Sequence[Level], image: jax.Array | int, strip: jax.Array) -> jax.Array:
    """Projects what strip number `strip` of one image of the batch reads of every level.

    Maps of one resolution are summed by the product itself.

    Returns:
      float32[M * P, K], the P pixels of all levels for one member after the other.
    """
    inputs = [_strip(level, image, strip) for level in levels]

    def member(kernels):
        return jnp.concatenate(
            [jnp.dot(x, w, precision=FULL) for x, w in zip(inputs, kernels, strict=True)]
        )

    projected = jax.lax.map(member, [level.kernel for level in levels])
    return projected.reshape(-1, projected.shape[-1])


def _strip(level: Level, image: jax.Array | int, strip: jax.Array) -> jax.Array:
    """Returns the pixels that a strip reads, float32[pixels, C]."""
    place = (image, jnp.asarray(level.rows.start)[strip], 0, 0)
    sizes = [(1, level.rows.length, *x.shape[2:]) for x in level.maps]
    parts = [jax.lax.dynamic_slice(x, place, n) for x, n in zip(level.maps, sizes, strict=True)]
    joined = jnp.concatenate(parts, -1)
    return joined.reshape(level.pixels, -1).astype(jnp.float32)


class Taps(NamedTuple):
    """What the pixels of a tile read of a projected strip.

    Attributes:
      low: int32[J, T, R], upper pixel of each of the T columns that run J reads for row R.
      high: int32[J, T, R], lower pixel.
      weight: float32[T, R] of the lower one.
    """

    low: jax.Array
    high: jax.Array
    weight: jax.Array


def tile_taps(levels: Sequence[Level], strip: jax.Array, first: jax.Array, count: int) -> Taps:
    """Returns the taps of `count` rows of a strip, from its row `first` on."""
    parts, base = [], 0
    for level in levels:
        rows, columns, width = level.rows, level.columns, level.maps[0].shape[2]
        low, high, weight = (
            jax.lax.dynamic_slice_in_dim(jnp.asarray(a)[strip], first, count)
            for a in (rows.low, rows.high, rows.weight)
        )
        column = base + columns.start[:, None] + np.arange(columns.length)
        index = (r[None, None] * width + column[..., None] for r in (low, high))
        parts.append((*index, jnp.tile(weight, (columns.length, 1))))
        base += level.pixels
    low, high, weight = zip(*parts, strict=True)
    return Taps(jnp.concatenate(low, 1), jnp.concatenate(high, 1), jnp.concatenate(weight))


def interpolation(levels: Sequence[Level]) -> np.ndarray:
    """Returns the weights float32[J, X, T] of the X columns of run J over its T taps."""
    return np.concatenate([level.columns.matrix() for level in levels], -1)


def raise_tile(projected: jax.Array, taps: Taps, offset: jax.Array, matrix: jax.Array) -> jax.Array:
    """Sums all levels at the pixels of a tile.

    Along rows two taps each, by a gather; along columns a product per run of columns, which adds
    up the levels as well (two more gathers per level took 6 % longer on a CPU).

    Args:
      projected: as `project` returns it.
      taps: of the tile.
      offset: int32[], where the member's pixels begin in `projected`.
      matrix: as `interpolation` returns it.

    Returns:
      float32[J * X * R, K]: columns of the image, and the tile's rows within a column.
    """

    def read(index):
        return projected.at[offset + index].get(mode="promise_in_bounds")

    weight = taps.weight[None, :, :, None]
    lines = read(taps.low) * (1 - weight) + read(taps.high) * weight
    raised = jnp.einsum("jxt,jtrk->jxrk", matrix, lines, precision=FULL)
    return raised.reshape(-1, raised.shape[-1])
