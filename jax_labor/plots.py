"""Plots as PNG files, without a screen or matplotlib's global state."""

import io

from matplotlib.figure import Figure


def new_figure(size: tuple[float, float]) -> Figure:
    """A figure of `size` (width, height) in inches, laid out so that nothing is cut off."""
    return Figure(figsize=size, dpi=120, layout="constrained")


def png(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
