"""Street scenes that the project renders itself, in a source and a target style."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jax_labor.classes import get_table
from jax_labor.data import streets
from jax_labor.data.builders import codec
from jax_labor.data.builders.label_maps import id_map
from jax_labor.data.builders.source import Example, Item, Listing, Problem, Source
from jax_labor.data.builders.tfds_builder import SegmentationBuilder
from jax_labor.errors import UserError

_SPLITS = ("train", "val", "test")


class StreetsSource(Source):
    """Rendered scenes; every style, split and index is a different scene.

    Args:
      root: not used; there is nothing on disk.
      classes: class table of the labels, camvid11.
      style: one of `streets.STYLES`.
      size: (height, width) in pixels.
      count: scenes per split.
      seed: another seed gives other scenes.
    """

    name = "streets"

    def __init__(
        self,
        root=None,
        classes: str = "camvid11",
        style: str = "source",
        size: Sequence[int] = (120, 160),
        count: int = 300,
        seed: int = 0,
    ):
        del root
        id_map(self.name, classes)
        self.table = get_table(classes)
        if style not in streets.STYLES:
            raise UserError(f"streets: style '{style}' is not one of {', '.join(streets.STYLES)}")
        if len(size) != 2 or min(size) < 16:
            raise UserError(f"streets: size {tuple(size)}; give (height, width), each at least 16")
        if count < 1:
            raise UserError(f"streets: count {count}; it takes at least 1 scene per split")
        self.style, self.size = style, (int(size[0]), int(size[1]))
        self.count, self.seed = int(count), int(seed)
        self.description = (
            f"rendered streets, {style} style, {self.size[0]}x{self.size[1]}, seed {seed}"
        )

    def splits(self) -> tuple[str, ...]:
        """train, val and test, all of `count` scenes."""
        return _SPLITS

    def has_labels(self, split: str) -> bool:
        """True: the renderer knows the class of every pixel."""
        return True

    def scan(self, split: str) -> Listing:
        """One item per scene; the renderer's own code is part of what decides the content."""
        self.check_split(split)
        stream = (self.seed, streets.STYLES.index(self.style), _SPLITS.index(split))
        items = [
            Item(f"{self.style}_{split}_{index:05d}", seed=_scene_seed(*stream, index))
            for index in range(self.count)
        ]
        return Listing(items, content=[self.style, self.size, self.count, self.seed, _code_hash()])

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
