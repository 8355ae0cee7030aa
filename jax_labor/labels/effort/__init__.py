"""Human effort: what the labels of a run cost people in seconds, clicks and keys."""

from collections.abc import Sequence

from etils import epath

from jax_labor.labels.effort.figures import summary

__all__ = ["summary", "write_report"]


def write_report(workdir: epath.PathLike, out: epath.PathLike, beside: Sequence = ()) -> str:
    """See `report.write_report`."""
    # A training run reads `summary` and must not wait for matplotlib.
    from jax_labor.labels.effort import report

    return report.write_report(workdir, out, beside)
