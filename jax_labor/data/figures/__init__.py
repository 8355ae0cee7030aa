"""Standing and walking figures the project renders itself, with a label for every part."""

from jax_labor.data.figures.scene import render

__all__ = ["render"]
