"""Street scenes that the project renders itself, in a source and a target style."""

import hashlib
from pathlib import Path

import numpy as np

from jax_labor.classes import get_table
from jax_labor.data import streets
from jax_labor.data.builders import codec
from jax_labor.data.builders.label_maps import id_map
from jax_labor.data.builders.source import Example, Item, Listing, Problem, Source
from jax_labor.data.builders.tfds_builder import SegmentationBuilder
from jax_labor.errors import UserError

_SMALLEST = 16


class StreetsSource(Source):
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
        if style not in streets.STYLES:
            raise UserError(f"streets: style '{style}' is not one of {', '.join(streets.STYLES)}")
        if min(height, width) < _SMALLEST:
            raise UserError(f"streets: {height}x{width} pixels; give at least {_SMALLEST} a side")
        if min(train, val, test) < 1 or seed < 0:
            raise UserError("streets: train, val and test are at least 1, seed is not negative")
        self.style, self.size, self.seed = style, (height, width), seed
        self.counts = {"train": train, "val": val, "test": test}
        self.description = f"rendered streets, {style} style, {height}x{width}, seed {seed}"

    def splits(self) -> tuple[str, ...]:
        """train, val and test."""
        return tuple(self.counts)

    def has_labels(self, split: str) -> bool:
        """True: the renderer knows the class of every pixel."""
        return True

    def scan(self, split: str) -> Listing:
        """One item per scene; the renderer's own code is part of what decides the content."""
        self.check_split(split)
        stream = (self.seed, streets.STYLES.index(self.style), self.splits().index(split))
        items = [
            Item(f"{self.style}_{split}_{index:05d}", seed=_scene_seed(*stream, index))
            for index in range(self.counts[split])
        ]
        content = [self.style, self.size, self.counts[split], self.seed, _code_hash()]
        return Listing(items, content=content)

    def read(self, item: Item) -> Example | Problem:
        """Render one scene."""
        image, label = streets.render(item.seed, self.style, self.size)
        counts = np.bincount(label.ravel(), minlength=256)[: self.table.num_classes]
        return Example(
            item.name, self.size, codec.encode_png(image), codec.encode_png(label), counts
        )


def _scene_seed(*stream: int) -> int:
    """Well-mixed 32-bit seed of one scene, so that no two streams share scenes."""
    return int(np.random.SeedSequence(stream).generate_state(1)[0])


def _code_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(Path(streets.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class Streets(SegmentationBuilder, skip_registration=True):
    """TFDS builder of the rendered streets."""

    name = "streets"
