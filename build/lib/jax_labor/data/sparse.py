"""Resize label maps of which only few pixels are answered, without losing or inventing answers."""

import numpy as np

from jax_labor.classes import IGNORE


def resize_sparse(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Carry answered pixels to a grid of another size.

    One rule in both directions: an answered pixel belongs to the one output cell that contains its
    centre (a centre on the border of two cells belongs to the later one), and a cell takes the
    answer nearest its own centre among those that belong to it; equal distances go to the lowest
    flat index. So shrinking drops an answer only for a nearer one in the same cell, where nearest
    sampling would lose nearly all of them, and enlarging never spreads an answer to neighbours that
    nobody asked about. Distances are compared in integers: the result is the same everywhere.

    Args:
        labels: uint8[h, w] train ids, 255 = not asked.
        size: (H, W) of the output grid.

    Returns:
        uint8[H, W] train ids, 255 = no answer in this cell.
    """
    if labels.shape == tuple(size):
        return labels
    rows, columns = np.nonzero(labels != IGNORE)
    (h, w), (height, width) = labels.shape, size
    cell_row, off_row = _cell(rows, h, height)
    cell_column, off_column = _cell(columns, w, width)
    # off_row / (2 H) is in input pixels; times 2 H W both axes share one integer unit.
    distance = (off_row * width) ** 2 + (off_column * height) ** 2
    # NumPy keeps the last of repeated assignments, so the nearest answer is written last.
    order = np.argsort(distance, kind="stable")[::-1]
    out = np.full(size, IGNORE, np.uint8)
    out[cell_row[order], cell_column[order]] = labels[rows[order], columns[order]]
    return out


def _cell(pixels: np.ndarray, length: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Index of the cell that contains each pixel's centre, and 2 * cells * (centre offset)."""
    centre = (2 * pixels.astype(np.int64) + 1) * cells
    cell = centre // (2 * length)
    return cell, centre - (2 * cell + 1) * length
