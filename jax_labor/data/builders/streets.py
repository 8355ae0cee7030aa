"""Street scenes that the project renders itself, in a source and a target style."""

import numpy as np

from jax_labor.classes import get_table
from jax_labor.data import streets
from jax_labor.data.builders.label_maps import id_map
from jax_labor.data.builders.rendered import RenderedSource
from jax_labor.data.builders.source import Item, Listing
from jax_labor.errors import check_choice


class StreetsSource(RenderedSource):
    """Rendered scenes; every style, split and index is a different scene.

    Args:
      root: not used; there is nothing on disk.
      classes: class table of the labels, camvid11.
      style: one of `streets.STYLES`.
      height: of the images, in pixels.
      width: of the images, in pixels.
      train: number of scenes in this split, and so on.
      val: as above.
      test: as above.
      seed: another seed gives other scenes.
    """

    name = "streets"
    renderer = streets

    def __init__(
        self,
        root: str | None = None,
        classes: str = "camvid11",
        style: str = "source",
        height: int = 120,
        width: int = 160,
        train: int = 300,
        val: int = 50,
        test: int = 50,
        seed: int = 0,
    ):
        del root
        id_map(self.name, classes)
        self.table = get_table(classes)
        check_choice("streets: the option style", style, streets.STYLES)
        super().__init__((height, width), {"train": train, "val": val, "test": test}, seed)
        self.style = style
        self.description = f"rendered streets, {style} style, {height}x{width}, seed {seed}"

    def scan(self, split: str) -> Listing:
        """One item per scene; the renderer's own code is part of what decides the content."""
        self.check_split(split)
        stream = (self.seed, streets.STYLES.index(self.style), self.splits().index(split))
        items = [
            Item(f"{self.style}_{split}_{index:05d}", seed=_scene_seed(*stream, index))
            for index in range(self.counts[split])
        ]
        content = [self.style, self.size, self.counts[split], self.seed, self.code_hash()]
        return Listing(items, content=content)

    def render(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Render one scene."""
        return streets.render(seed, self.style, self.size)


def _scene_seed(*stream: int) -> int:
    """Well-mixed 32-bit seed of one scene, so that no two streams share scenes."""
    return int(np.random.SeedSequence(stream).generate_state(1)[0])
