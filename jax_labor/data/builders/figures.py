"""Human figures with part labels that the project renders itself."""

import numpy as np

from jax_labor.classes import apply_id_map, get_table
from jax_labor.data import figures
from jax_labor.data.builders.label_maps import id_map
from jax_labor.data.builders.rendered import RenderedSource
from jax_labor.data.builders.source import Item, Listing


class FiguresSource(RenderedSource):
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
    renderer = figures

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
        super().__init__((height, width), {"train": train, "val": val, "test": test}, seed)
        self.description = f"rendered figures, {height}x{width}, seed {seed}"

    def scan(self, split: str) -> Listing:
        """One item per figure; the renderer's own code is part of what decides the content."""
        self.check_split(split)
        stream = (self.seed, self.splits().index(split))
        items = [
            Item(f"figure_{split}_{index:06d}", seed=_figure_seed(*stream, index))
            for index in range(self.counts[split])
        ]
        return Listing(items, content=[self.size, self.counts[split], self.seed, self.code_hash()])

    def render(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Render one figure."""
        image, part = figures.render(seed, self.size)
        return image, apply_id_map(part, self.id_map, "rendered figures")


def _figure_seed(*stream: int) -> int:
    """Well-mixed 64-bit seed of one figure: no two of millions share it."""
    return int(np.random.SeedSequence(stream).generate_state(1, np.uint64)[0])
