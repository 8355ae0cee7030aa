"""What the data sets that the project renders itself have in common."""

import abc
import hashlib
from pathlib import Path

import numpy as np

from jax_labor.data.builders.source import Example, Item, Source
from jax_labor.errors import UserError
from jax_labor.pixels import count_values, encode_png

_SMALLEST = 16


class RenderedSource(Source):
    """Images with labels from a renderer; every split and index is a different one.

    Args:
      size: (height, width) of the images, in pixels.
      counts: number of images by split.
      seed: another seed gives other images.

    Attributes:
      renderer: the package that renders; its code is part of what decides the content.

    Raises:
      UserError: a size, count or seed that cannot be.
    """

    renderer: object

    def __init__(self, size: tuple[int, int], counts: dict[str, int], seed: int):
        if min(size) < _SMALLEST:
            raise UserError(
                f"{self.name}: {size[0]}x{size[1]} pixels; give at least {_SMALLEST} a side"
            )
        if min(counts.values()) < 1 or seed < 0:
            splits = ", ".join(counts)
            raise UserError(f"{self.name}: {splits} are at least 1, seed is not negative")
        self.size, self.counts, self.seed = size, counts, seed

    def splits(self) -> tuple[str, ...]:
        """Those that are counted."""
        return tuple(self.counts)

    def has_labels(self, split: str) -> bool:
        """True: the renderer knows the class of every pixel."""
        return True

    @abc.abstractmethod
    def render(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Image uint8[H, W, 3] and train ids uint8[H, W] of one seed."""

    def read(self, item: Item) -> Example:
        """Render one image."""
        image, label = self.render(item.seed)
        counts = count_values(label)[: self.table.num_classes]
        return Example(item.name, self.size, encode_png(image), encode_png(label), counts)

    def code_hash(self) -> str:
        """Hexadecimal digest of the renderer's own code."""
        digest = hashlib.sha256()
        for path in sorted(Path(self.renderer.__file__).parent.glob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()
