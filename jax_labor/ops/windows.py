"""Which inputs a strip of rows, or a run of columns, of a bilinearly resized map reads."""

import math
from typing import NamedTuple

import numpy as np

from jax_labor.ops.resize import bilinear_taps


class Windows(NamedTuple):
    """Consecutive outputs along one axis in groups of equal length, and what each group reads.

    Attributes:
      start: int32[groups], first input of a group.
      length: inputs a group reads, the same for all.
      low: int32[groups, outputs], first tap of each output, counted from `start`.
      high: int32[groups, outputs], second tap.
      weight: float32[groups, outputs] of the second tap; the first has 1 - weight.
    """

    start: np.ndarray
    length: int
    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray

    def matrix(self) -> np.ndarray:
        """The interpolation of every group as a product, float32[groups, outputs, length]."""
        matrix = np.zeros((*self.low.shape, self.length), np.float32)
        g, i = np.indices(self.low.shape)
        np.add.at(matrix, (g, i, self.low), 1 - self.weight)
        np.add.at(matrix, (g, i, self.high), self.weight)
        return matrix


def windows(
    n: int,
    size: int,
    outputs: int,
    span: tuple[int, int] | None = None,
    align_corners: bool = False,
) -> Windows:
    """Groups the outputs of a resize from `n` to `size` by `outputs` each.

    Args:
      n: inputs along the axis.
      size: outputs along the axis.
      outputs: outputs in a group. Where they do not divide evenly the last output is repeated.
      span: the part [first, last) of the outputs that is wanted; all by default.
      align_corners: as in `resize_bilinear`.
    """
    first, last = span or (0, size)
    groups = math.ceil((last - first) / outputs)
    index = np.minimum(first + np.arange(groups * outputs), last - 1)
    taps = bilinear_taps(n, size, align_corners)
    low, high, weight = (t[index].reshape(groups, outputs) for t in taps)
    length = int((high.max(1) - low.min(1)).max()) + 1
    start = np.minimum(low.min(1), n - length).astype(np.int32)
    return Windows(start, length, low - start[:, None], high - start[:, None], weight)
