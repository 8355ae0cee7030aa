"""Aligned tables for the terminal and for text files."""

from collections.abc import Sequence
from typing import Any


def table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> str:
    """Return an aligned text table, a rule under the column names.

    A column that holds a number is aligned right. A float has two decimals, None and NaN are a
    dash, text stands as it is.
    """
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    right = [
        any(isinstance(value, (int, float)) for value in column)
        for column in (zip(*rows, strict=True) if rows else [()] * len(columns))
    ]
    lines = [_line(columns, widths, right), "  ".join("-" * width for width in widths)]
    return "\n".join(lines + [_line(row, widths, right) for row in cells])


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = (
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right, strict=True)
    )
    return "  ".join(padded).rstrip()


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
