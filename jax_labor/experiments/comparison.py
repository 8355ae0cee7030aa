"""The table and the plot of a LabOR study: mIoU against labelled pixels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from jax_labor.errors import UserError
from jax_labor.files import write_bytes, write_json, write_text
from jax_labor.plots import new_figure, png
from jax_labor.tables import table

COLUMNS = [
    "method",
    "labelled %",
    "pixels/image",
    "mIoU %",
    "spread",
    "of supervised %",
    "gap closed %",
    "seeds",
]


def summarise(results: dict[str, list[dict]]) -> dict[str, dict]:
    """Means over seeds by method.

    Args:
        results: contents of results.json, by method, one for each seed.

    Returns:
        by method: seeds, miou and its `spread` over them in percent, asked share in percent,
        asked pixels per image, and, where the study has the two ends, the share of the supervised
        mIoU and of the gap between source only and supervised.

    Raises:
        UserError: a run was evaluated on images without labels.
    """
    check_evaluated(results)
    mean = {m: 100 * float(np.mean([r["miou"] for r in runs])) for m, runs in results.items()}
    rows = {}
    for method, runs in results.items():
        row = {
            "miou": mean[method],
            "miou_std": spread([100 * r["miou"] for r in runs]),
            "asked_percent": 100 * float(np.mean([r["asked_share"] for r in runs])),
            "asked_pixels_per_image": float(np.mean([r["asked_pixels_per_image"] for r in runs])),
            "seeds": len(runs),
        }
        if "supervised" in mean:
            row["percent_of_supervised"] = 100 * mean[method] / mean["supervised"]
            gap = mean["supervised"] - mean.get("source", mean["supervised"])
            if gap > 0:
                row["gap_closed_percent"] = 100 * (mean[method] - mean["source"]) / gap
        rows[method] = row
    return rows


def check_evaluated(results: Mapping[str, Sequence[dict]]) -> None:
    """Refuses results, by method, of which some were evaluated without labels; UserError."""
    unknown = [m for m, runs in results.items() if any(r["miou"] is None for r in runs)]
    if unknown:
        raise UserError(
            f"the runs of {', '.join(unknown)} have no mIoU to compare: config.data.eval has no"
            " labels. Study data that has."
        )


def spread(by_seed: Sequence[float]) -> float | None:
    """Standard deviation over seeds; None of one, which has none."""
    return float(np.std(by_seed)) if len(by_seed) > 1 else None


def write(folder: Path, results: dict[str, list[dict]]) -> str:
    """Writes study.json, study.txt and study.png into `folder`; returns the table."""
    rows = summarise(results)
    text = table([_cells(method, row) for method, row in rows.items()], COLUMNS)
    save(folder, text, {"methods": rows, "runs": results}, plot(rows))
    return text


def save(folder: Path, text: str, facts: dict, picture: bytes) -> None:
    """Writes the files of any study: study.json, study.txt and study.png."""
    write_json(folder / "study.json", facts)
    write_text(folder / "study.txt", text + "\n")
    write_bytes(folder / "study.png", picture)


def _cells(method: str, row: dict) -> list:
    return [
        method,
        f"{row['asked_percent']:.3f}",
        round(row["asked_pixels_per_image"]),
        row["miou"],
        row["miou_std"],
        row.get("percent_of_supervised"),
        row.get("gap_closed_percent"),
        row["seeds"],
    ]


def plot(rows: dict[str, dict]) -> bytes:
    """A PNG: mIoU with its spread against labelled pixels (logarithmic); lines for the two ends."""
    figure = new_figure((8, 5))
    axes = figure.subplots()
    asked = {m: r for m, r in rows.items() if 0 < r["asked_percent"] < 100}
    for index, (method, row) in enumerate(asked.items()):
        style = {"color": f"C{index % 10}", "marker": "osD^vPX*"[index % 8], "capsize": 4}
        x = row["asked_pixels_per_image"] * 1.05 ** (index - len(asked) / 2)
        axes.errorbar(x, row["miou"], row["miou_std"], linestyle="", label=method, **style)
    for index, (method, row) in enumerate((m, r) for m, r in rows.items() if m not in asked):
        style = {"color": "0.35", "linestyle": ["--", ":", "-."][index % 3]}
        axes.axhline(
            row["miou"], label=f"{method} ({row['asked_percent']:.0f} % labelled)", **style
        )
    axes.set(xscale="log", xlabel="labelled pixels per image", ylabel="mIoU, %")
    axes.xaxis.set(
        major_locator=LogLocator(subs=(1, 2, 5)),
        major_formatter=FuncFormatter(lambda pixels, _: f"{pixels:g}"),
        minor_locator=NullLocator(),
    )
    if asked:  # one budget alone would leave the axis to chance
        pixels = [row["asked_pixels_per_image"] for row in asked.values()]
        axes.set_xlim(min(pixels) / 3, max(pixels) * 3)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return png(figure)
