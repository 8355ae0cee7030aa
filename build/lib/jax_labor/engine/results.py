"""How a run ends: `results.json`, and tables for the terminal."""

import datetime
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from etils import epath

from jax_labor import files

_PACKAGES = ("jax_labor", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    found = {name: importlib.metadata.version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}


def write_results(workdir: epath.PathLike, results: Mapping[str, Any]) -> dict[str, Any]:
    """Write `workdir/results.json` and return its content.

    Adds to `results` (mIoU, IoU by class, pixels, seconds, seed ...) the UTC date, the versions,
    and the kind and number of devices and processes. NaN becomes null.
    """
    content = {
        **results,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "devices": {
            "kind": jax.devices()[0].device_kind,
            "count": jax.device_count(),
            "processes": jax.process_count(),
        },
        "versions": versions(),
    }
    files.write_json(epath.Path(workdir) / "results.json", content)
    return files.plain(content)


def table(rows: Sequence[Sequence[Any]], columns: Sequence[str]) -> str:
    """Return an aligned text table, a rule under the column names.

    A column that holds a number is aligned right. A float is written with its decimals as given
    when it is text already, else with two; None and NaN as a dash.
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
