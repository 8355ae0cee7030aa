"""The tables and the plot of a DatasetGAN study: mIoU and IoU by class for every method.

The published figure is the factory's mIoU in multiples of transfer learning's on the same labels
(Zhang et al., CVPR 2021). Where the runs chose their checkpoints by folds (see `folds`), the mIoU
is that of the folds; `last` is always that of the last step.
"""

from pathlib import Path

import numpy as np

from jax_labor.experiments.comparison import check_evaluated, save, spread
from jax_labor.plots import new_figure, png
from jax_labor.tables import table

COLUMNS = [
    "method",
    "labelled images",
    "mIoU %",
    "spread",
    "last %",
    "x transfer",
    "of supervised %",
    "seeds",
]


def summarise(results: dict[str, list[dict]]) -> dict[str, dict]:
    """Means over seeds by method.

    Args:
        results: contents of results.json, by method, one for each seed.

    Returns:
        by method: labelled_images, seeds; miou, its `spread` over seeds, that of the last step and
        every seed's, all in percent; and, where the study has those methods, times_transfer and
        percent_of_supervised.

    Raises:
        UserError: a run was evaluated on images without labels.
    """
    check_evaluated(results)
    rows = {method: _row(runs) for method, runs in results.items()}
    for row in rows.values():
        if "transfer" in rows:
            row["times_transfer"] = row["miou"] / rows["transfer"]["miou"]
        if "supervised" in rows:
            row["percent_of_supervised"] = 100 * row["miou"] / rows["supervised"]["miou"]
    return rows


def _row(runs: list[dict]) -> dict:
    by_seed = [100 * _chosen(run)["miou"] for run in runs]
    return {
        "labelled_images": float(np.mean([run["labelled_images"] for run in runs])),
        "miou": float(np.mean(by_seed)),
        "miou_std": spread(by_seed),
        "miou_last": 100 * float(np.mean([run["miou"] for run in runs])),
        "miou_by_seed": by_seed,
        "seeds": len(runs),
    }


def by_class(results: dict[str, list[dict]]) -> dict[str, dict[str, float | None]]:
    """Mean IoU in percent over the seeds that have one, by class and method; else None."""
    found = {}
    for method, runs in results.items():
        for name in runs[0]["classes"]:
            values = [_chosen(run)["iou_by_class"][name] for run in runs]
            values = [100 * value for value in values if value is not None]
            found.setdefault(name, {})[method] = float(np.mean(values)) if values else None
    return found


def _chosen(run: dict) -> dict:
    """The figures to compare: the folds' where there are any, else the last step's."""
    return run.get("folds", run)


def write(folder: Path, results: dict[str, list[dict]]) -> str:
    """Writes study.json, study.txt and study.png into `folder`; returns the text."""
    rows, classes = summarise(results), by_class(results)
    methods = table([_cells(method, row) for method, row in rows.items()], COLUMNS)
    ious = table([[n, *v.values()] for n, v in classes.items()], ["IoU %", *rows])
    text = f"{methods}\n\n{ious}"
    save(folder, text, {"methods": rows, "by_class": classes, "runs": results}, plot(rows))
    return text


def _cells(method: str, row: dict) -> list:
    return [
        method,
        round(row["labelled_images"]),
        row["miou"],
        row["miou_std"],
        row["miou_last"],
        row.get("times_transfer"),
        row.get("percent_of_supervised"),
        row["seeds"],
    ]


def plot(rows: dict[str, dict]) -> bytes:
    """A PNG: a bar of mIoU for each method with its spread, and a point for each seed."""
    figure = new_figure((1.5 + 1.4 * len(rows), 4))
    axes = figure.subplots()
    for index, row in enumerate(rows.values()):
        axes.bar(index, row["miou"], yerr=row["miou_std"], width=0.6, capsize=5, color=f"C{index}")
        seeds = row["miou_by_seed"]
        axes.plot(np.full(len(seeds), index), seeds, "o", color="0.2", markersize=4, mfc="white")
        axes.annotate(
            f"{row['miou']:.1f}", (index, 0), (0, 5), textcoords="offset points", ha="center"
        )
    names = [f"{m}\n{round(row['labelled_images'])} labelled" for m, row in rows.items()]
    axes.set_xticks(range(len(rows)), names)
    axes.set(ylabel="mIoU, %", ylim=(0, None))
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    return png(figure)
