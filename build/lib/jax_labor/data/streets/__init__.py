"""Street scenes the project renders itself, in a source style and a shifted target style."""

from jax_labor.data.streets.scene import render
from jax_labor.data.streets.styles import STYLES

__all__ = ["STYLES", "render"]
