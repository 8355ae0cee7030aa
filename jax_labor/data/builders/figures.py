"""Human figures with part labels that the project renders itself."""

import hashlib
from pathlib import Path

import numpy as np

from jax_labor.classes import apply_id_map, get_table
from jax_labor.data import figures
from jax_labor.data.builders import codec
from jax_labor.data.builders.label_maps import id_map
from jax_labor.data.builders.source import Example, Item, Listing, Problem, Source
from jax_labor.data.builders.tfds_builder import SegmentationBuilder
from jax_labor.errors import UserError

_SMALLEST = 16


class FiguresSource(Source):
    """Rendered figures; every seed, split and index is a different one.

    Args:
      root: not used; there is nothing on disk.
      classes: class table of the labels, figures12 or ccp8.
      height: of the images, in pixels.
      width: of the images, in pixels.
      train: number of figures in this split, and so on.
      val: as above.
      test: as above.
      seed: another seed gives other figures.
    """

    name = "figures"

    def __init__(
        self,
        root: str | None = None,
        classes: str = "figures12",
        height: int = 96,
        width: int = 64,
        train: int = 5000,
        val: int = 100,
        test: int = 200,
        seed: int = 0,
    ):
        del root
        self.id_map = id_map(self.name, classes)
        self.table = get_table(classes)
        if min(height, width) < _SMALLEST:
            raise UserError(f"figures: {height}x{width} pixels; give at least {_SMALLEST} a side")
        if min(train, val, test) < 1 or seed < 0:
            raise UserError("figures: train, val and test are at least 1, seed is not negative")
        self.size, self.seed = (height, width), seed
        self.counts = {"train": train, "val": val, "test": test}
        self.description = f"rendered figures, {height}x{width}, seed {seed}"

    def splits(self) -> tuple[str, ...]:
        """train, val and test."""
        return tuple(self.counts)

    def has_labels(self, split: str) -> bool:
        """True: the renderer knows the part of every pixel."""
        return True

    def scan(self, split: str) -> Listing:
        """One item per figure; the renderer's own code is part of what decides the content."""
        self.check_split(split)
        stream = (self.seed, self.splits().index(split))
        items = [
            Item(f"figure_{split}_{index:06d}", seed=_figure_seed(*stream, index))
            for index in range(self.counts[split])
        ]
        return Listing(items, content=[self.size, self.counts[split], self.seed, _code_hash()])

    def read(self, item: Item) -> Example | Problem:
        """Render one figure."""
        image, part = figures.render(item.seed, self.size)
        label = apply_id_map(part, self.id_map, "rendered figures")
        counts = np.bincount(label.ravel(), minlength=256)[: self.table.num_classes]
        return Example(
            item.name, self.size, codec.encode_png(image), codec.encode_png(label), counts
        )


def _figure_seed(*stream: int) -> int:
    """Well-mixed 64-bit seed of one figure: no two of millions share it."""
    return int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0])


def _code_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(figures.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Figures(SegmentationBuilder, skip_registration=True):
    """TFDS builder of the rendered figures."""

    name = "figures"
