"""Pictures of human effort."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import FuncFormatter, NullLocator

from jax_labor.labels.effort import figures
from jax_labor.plots import new_figure, png

# Nobody answers faster; on a logarithmic axis zero has no place.
_FASTEST = 0.05
# Seconds, the more welcome ticks first; those that would crowd are left out.
_TICKS = (
    *(1, 10, 60, 600, 3600, 36000, 0.1),
    *(0.2, 0.5, 2, 5, 20, 30, 120, 300, 1200, 1800, 7200, 18000),
    *(0.05, 0.15, 0.3, 0.7, 1.5, 3, 7, 15, 45, 90, 180, 420, 900, 2700, 5400, 10800),
)
_MOST_TICKS = 12
_SMALLEST_SPAN = 8.0  # no axis spans less than this ratio: it would magnify noise
_MOST_PEOPLE = 10
_MOST_CLASSES = 30


def draw(images: Sequence[dict]) -> dict[str, bytes]:
    """PNGs by name, only those that the data can fill: "images", "answers", "pace".

    Args:
        images: as of `report.read`.
    """
    drawn = {}
    kinds = {kind: figures.image_seconds(group) for kind, group in _split(images, "kind").items()}
    people = {p: figures.image_seconds(group) for p, group in _split(images, "annotator").items()}
    if any(kinds.values()):
        panels = [(_name_kinds(kinds), "query")]
        # One person's times over several kinds of query would mean nothing as one row.
        if len(people) > 1 and len(kinds) == 1:
            panels.append(_most(people, "annotator", _MOST_PEOPLE))
        drawn["images"] = _panels(panels, "time per image")
    outcomes = figures.by_suggestion(images)
    if any(outcomes.values()):
        classes = _most(figures.seconds_by_class(images), "class", _MOST_CLASSES)
        drawn["answers"] = _panels([(outcomes, "suggestion"), classes], "time per answer")
    curves = figures.pace(images)
    if any(len(curve) > 1 for curve in curves.values()):
        drawn["pace"] = _pace(*_most(curves, "annotator", _MOST_PEOPLE))
    return drawn


def _split(images: Sequence[dict], key: str) -> dict[str, list[dict]]:
    values = sorted({facts[key] for facts in images})
    return {value: [facts for facts in images if facts[key] == value] for value in values}


def _name_kinds(kinds: Mapping[str, Sequence[float]]) -> dict[str, Sequence[float]]:
    names = {"points": "points", "mask": "segments", "full": "full masks"}
    return {names.get(kind, kind): values for kind, values in kinds.items()}


def _most(rows: Mapping[str, Sequence[float]], title: str, limit: int) -> tuple[Mapping, str]:
    """(the `limit` rows with most values, title): more could not be told apart."""
    if len(rows) <= limit:
        return rows, title
    most = sorted(rows, key=lambda name: -len(rows[name]))[:limit]
    shown = {name: values for name, values in rows.items() if name in most}
    return shown, f"{title} ({limit} of {len(rows)})"


def _panels(panels: Sequence[tuple[Mapping, str]], what: str) -> bytes:
    """Panels above each other with one axis of time; a row of dots for each group of values."""
    panels = [({k: v for k, v in rows.items() if len(v)}, title) for rows, title in panels]
    panels = [(rows, title) for rows, title in panels if rows]
    heights = [len(rows) + 0.5 for rows, _ in panels]
    figure = new_figure((8, 1.3 + 0.4 * sum(heights)))
    grid = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)
    for axes, (rows, title) in zip(grid[:, 0], panels, strict=True):
        _strips(axes, rows)
        axes.set_ylabel(title)
    _time_axis(axes, "x", [row for rows, _ in panels for row in rows.values()])
    figure.align_ylabels()
    axes.set_xlabel(f"{what} (bar: middle half, line: median)")
    return png(figure)


def _strips(axes, rows: Mapping[str, Sequence[float]]) -> None:
    """A row of dots for each group: its middle half as a bar, its median as a line and in words."""
    jitter = np.random.default_rng(0)
    for row, values in enumerate(rows.values()):
        values = np.maximum(values, _FASTEST)
        offset = jitter.uniform(-0.22, 0.22, len(values)) if len(values) > 1 else np.zeros(1)
        alpha = float(np.clip(60 / len(values), 0.03, 0.7))
        axes.scatter(values, row + offset, s=9, color="C0", alpha=alpha, linewidths=0)
        lower, median, upper = figures.quartiles(values)
        if len(values) > 3:
            axes.barh(row, upper - lower, 0.62, lower, color="C0", alpha=0.25, linewidth=0)
        axes.vlines(median, row - 0.31, row + 0.31, color="0.1", linewidth=2)
        note = f"{_say(median)}  (n = {len(values)})"
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate(note, (1, row), (6, 0), **place, va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [_plain(name) for name in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _pace(curves: Mapping[str, Sequence[float]], title: str) -> bytes:
    """Time per item against the number of the image, with a running median for each person."""
    figure = new_figure((8, 5))
    axes = figure.subplots()
    for index, (person, curve) in enumerate(curves.items()):
        curve = np.maximum(curve, _FASTEST)
        number = np.arange(1, len(curve) + 1)
        alpha = float(np.clip(40 / len(curve), 0.15, 0.7))
        axes.scatter(number, curve, s=9, color=f"C{index}", alpha=alpha, linewidths=0)
        axes.plot(
            number, running_median(curve), color=f"C{index}", linewidth=2, label=_plain(person)
        )
    _time_axis(axes, "y", list(curves.values()))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="images answered so far", ylabel="time per item (line: running median)")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title=title, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return png(figure)


def running_median(curve: np.ndarray) -> np.ndarray:
    """float[n]: the median of each value and its neighbours, about a fifth of the curve in all."""
    reach = max(1, len(curve) // 10)
    return np.array(
        [np.median(curve[max(0, i - reach) : i + reach + 1]) for i in range(len(curve))]
    )


def _time_axis(axes, which: str, rows: Sequence[Sequence[float]]) -> None:
    """Makes "x" or "y" a logarithmic axis of seconds that holds every value of `rows`."""
    axis = getattr(axes, f"{which}axis")
    axes.set(**{f"{which}scale": "log"})
    values = np.maximum(np.concatenate(rows), _FASTEST)
    lower, upper = values.min(), values.max()
    widen = max(1.1, (_SMALLEST_SPAN * lower / upper) ** 0.5)
    lower, upper = lower / widen, upper * widen
    axes.set(**{f"{which}lim": (lower, upper)})
    axis.set_ticks(ticks(lower, upper))
    axis.set_major_formatter(FuncFormatter(lambda seconds, _: _say(seconds)))
    axis.set_minor_locator(NullLocator())


def ticks(lower: float, upper: float) -> list[float]:
    """Round times in [lower, upper], at least a twelfth of the logarithmic axis apart."""
    apart = (upper / lower) ** (1 / _MOST_TICKS)
    chosen = []
    for tick in _TICKS:
        if lower <= tick <= upper and all(max(tick / t, t / tick) >= apart for t in chosen):
            chosen.append(tick)
    return sorted(chosen)


def _plain(name: str) -> str:
    """A person's or class's name as it is: matplotlib reads $ as mathematics and hides _names."""
    name = name.replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def _say(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.2g} s"
    if seconds < 3570:
        return f"{seconds / 60:.3g} min"
    return f"{seconds / 3600:.3g} h"
