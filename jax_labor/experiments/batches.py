"""Work in batches of one size, so that one compiled program does all of it."""

from collections.abc import Iterator

import numpy as np


def filled_batches(count: int, batch: int) -> Iterator[tuple[np.ndarray, int]]:
    """Yields (rows int[batch], kept) that cover rows 0 .. count - 1 in order.

    The last batch is filled up with the last row; only its first `kept` results count.
    """
    for start in range(0, count, batch):
        yield np.minimum(np.arange(start, start + batch), count - 1), min(batch, count - start)
