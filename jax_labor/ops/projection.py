"""An ensemble's first layer on upsampled features that never exist.

Upsampling and a linear layer commute: W up(concat_l f_l) = sum_l up(W_l f_l). So every map is
projected by its slice of W at its own resolution, and only the projected channels are raised to the
image: a tile of pixels and one member at a time, with the rest of the network applied to the tile
before the next is read. Work is nested as

    strip of rows: the rows of every small map that it needs are projected, for all members
      tile of rows: pixels of the maps that are not small are read
        member: the tile's hidden units, then whatever the member makes of them, summed over members

One member's tile stays in a CPU core's cache where rows of all members together do not, which
halves the time.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_labor.ops.corners import gather_pixels
from jax_labor.ops.levels import interpolation, make_levels, project, raise_tile, tile_taps
from jax_labor.ops.windows import windows

FULL = jax.lax.Precision.HIGHEST


class Sizes(NamedTuple):
    """How the work is cut on one kind of device.

    Attributes:
      columns: outputs per product of the interpolation along a row. More of them share the taps
        at their ends, fewer multiply fewer zeros.
      tile: hidden values of one member in a tile (pixels times hidden units).
      strip: projected values of all members in a strip.
    """

    columns: int
    tile: int
    strip: int


# 1 MiB and 64 MiB of float32: strips as large as that repeat few of the rows that neighbours
# share, and larger ones are no faster. An accelerator wants more work per kernel.
CPU = Sizes(columns=32, tile=2**18, strip=2**24)
ACCELERATOR = Sizes(columns=32, tile=2**24, strip=2**28)


def map_ensemble(
    member: Callable[[jax.Array, Any], Any],
    finish: Callable[[Any], Any],
    maps: Sequence[jax.Array],
    image: jax.Array | int,
    kernel: jax.Array,
    rest: Any,
    size: tuple[int, int],
    rows: tuple[int, int] | None = None,
    sizes: Sizes | None = None,
) -> Any:
    """Applies an ensemble of pixel classifiers to every pixel of one image's upsampled features.

    The features are those of DatasetGAN (Zhang et al., CVPR 2021, section 3.1), resized as in
    `gather_pixels`. Exact wherever the first layer is linear: what follows it is up to `member`.
    The maps of a batch are read where they lie: those of one image are not copied out.

    Args:
      member: takes the first layer's products float32[P, K] at P pixels and one member's part of
        `rest`; returns a pytree of arrays [..., P], which are summed over the members.
      finish: takes that sum; returns a pytree of arrays [P].
      maps: float [N, h_l, w_l, C_l] of a batch, in the order of the kernel's channels.
      image: int32[], which image of it.
      kernel: float32[M, sum C_l, K], first layer of the M members.
      rest: pytree of the members' other parameters, leading axis M.
      size: static (H, W) of the image.
      rows: static (first, last) rows that are wanted, as (64, 448); all by default.
      sizes: how the work is cut; by the kind of device unless given.

    Returns:
      The pytree of `finish` as arrays [rows, W].

    Raises:
      ValueError: the maps' channels are not those of the kernel.
    """
    if sum(x.shape[-1] for x in maps) != kernel.shape[1]:
        found = [x.shape[-1] for x in maps]
        raise ValueError(f"maps of {found} channels for a kernel of {kernel.shape[1]}")
    kind = CPU if jax.default_backend() == "cpu" else ACCELERATOR
    work = _Work(maps, image, kernel, size, rows or (0, size[0]), sizes or kind)

    def strip(index: jax.Array) -> Any:
        projected = project(work.levels, work.image, index) if work.levels else None
        return jax.lax.map(lambda t: tile(projected, index, t), jnp.arange(work.tiles))

    def tile(projected: jax.Array | None, index: jax.Array, number: jax.Array) -> Any:
        hidden = work.reader(projected, index, number)

        def term(part: tuple) -> Any:
            own, kernels, other = part
            return member(hidden(own, kernels), other)

        def add(total: Any, part: tuple) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, total, term(part)), None

        parts = (jnp.arange(len(kernel)), work.large_kernel, rest)
        shapes = jax.eval_shape(term, jax.tree.map(lambda a: a[0], parts))
        zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), shapes)
        return finish(jax.lax.scan(add, zero, parts)[0])

    return jax.tree.map(work.place, jax.lax.map(strip, jnp.arange(work.strips)))


class _Work:
    """One image's maps, cut into strips of tiles, and tiles of rows.

    Maps that are smaller than the image are projected first; those that are not, last, where fewer
    pixels are left of them. A tile's pixels run along its columns, and down its rows within one.
    """

    def __init__(self, maps, image, kernel, size, span, sizes):
        edges = np.cumsum([0] + [x.shape[-1] for x in maps])
        owned = [(x, kernel[:, a:b]) for x, a, b in zip(maps, edges, edges[1:], strict=False)]
        small = [(x, w) for x, w in owned if x.shape[1] < size[0] or x.shape[2] < size[1]]
        large = [(x, w) for x, w in owned if x.shape[1] >= size[0] and x.shape[2] >= size[1]]
        self.size, self.span, height = size, span, span[1] - span[0]
        runs = math.ceil(size[1] / sizes.columns)
        columns = math.ceil(size[1] / runs)
        self.column = np.minimum(np.arange(runs * columns), size[1] - 1)
        self.rows = max(1, min(height, sizes.tile // (size[1] * kernel.shape[2])))
        most = sizes.strip // (kernel.shape[0] * kernel.shape[2])
        shapes = {x.shape[1:3] for x, _ in small}
        self.tiles = _tiles_in_strip(shapes, size, span, self.rows, most)
        self.strips = math.ceil(height / (self.tiles * self.rows))
        self.levels = make_levels(small, size, span, self.tiles * self.rows, columns)
        self.matrix = interpolation(self.levels) if small else None
        self.large, self.image = [x for x, _ in large], image
        self.large_kernel = jnp.concatenate([w for _, w in large], 1) if large else None

    def reader(self, projected, strip, tile):
        """Returns a function from (member, its kernel of the large maps) to its products [P, K]."""
        first = tile * self.rows
        parts = []
        if self.levels:
            taps = tile_taps(self.levels, strip, first, self.rows)
            pixels = sum(level.pixels for level in self.levels)
            parts.append(lambda m, _: raise_tile(projected, taps, m * pixels, self.matrix))
        if self.large:
            row = self.span[0] + strip * self.tiles * self.rows + first + np.arange(self.rows)
            row = jnp.minimum(row, self.span[1] - 1)
            column, row = jnp.broadcast_arrays(self.column[:, None], row[None])
            x = gather_pixels(self.large, self.size, jnp.full_like(row, self.image), row, column)
            x = x.reshape(-1, x.shape[-1])
            parts.append(lambda _, kernel: jnp.dot(x, kernel, precision=FULL))
        return lambda m, kernel: sum(part(m, kernel) for part in parts)

    def place(self, x):
        """Puts values [strips, tiles, pixels of a tile] in their places in [rows, W]."""
        x = x.reshape(self.strips * self.tiles, len(self.column), self.rows)
        x = x.transpose(0, 2, 1).reshape(-1, len(self.column))
        return x[: self.span[1] - self.span[0], : self.size[1]]


def _tiles_in_strip(shapes, size, span, rows, most):
    """Returns how many tiles of `rows` rows a strip takes that reads at most `most` pixels."""
    tiles = math.ceil((span[1] - span[0]) / rows)
    while tiles > 1:
        cuts = [(windows(h, size[0], tiles * rows, span), w) for h, w in shapes]
        if sum(cut.length * w for cut, w in cuts) <= most:
            break
        tiles = math.ceil(tiles / 2)
    return tiles
