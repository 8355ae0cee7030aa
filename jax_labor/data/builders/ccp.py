"""Clothing Co-Parsing (Yang et al., CVPR 2014): street-fashion photos, part of them with labels."""

import functools
from pathlib import Path

from jax_labor.classes import check_same_classes, get_table
from jax_labor.data.builders.class_file import read_class_file
from jax_labor.data.builders.file_source import FileSource, part_of
from jax_labor.data.builders.label_maps import id_map
from jax_labor.data.builders.source import Listing

UNLABELLED = "unlabelled"
# last digit of a labelled photo's number: held out; photos are of different people, in no order
_HELD_OUT = {"0": "test", "5": "test", "9": "val"}


class CcpSource(FileSource):
    """`root/images/NNNN.jpg` with `root/labels/NNNN.png` of class ids for a part of the photos.

    A labelled photo is in `test` when its number ends in 0 or 5, in `val` when it ends in 9, and
    otherwise in `train`; photos without a label are in `unlabelled`. So more photos or labels never
    move a photo between the labelled splits.

    Args:
      root: the folder.
      classes: class table of the labels, ccp8.
      unlabelled: use the photos alone, as for a generator: `train+unlabelled`.
    """

    name = "ccp"
    layout = """expected layout:
  <root>/images/0001.jpg ...
  <root>/labels/0001.png ...   (one channel of class ids 0-7, 255 = ignore; not for every photo)
  <root>/classes.json          (may be left out; when there, its classes are checked)
get it from https://github.com/bearpaw/clothing-co-parsing and merge its 59 tags into the 8 classes
background, hair, skin, upper, lower, dress, feet, item"""
    image_suffixes = (".jpg", ".jpeg", ".png")

    def __init__(self, root, classes: str = "ccp8", unlabelled: bool = False):
        self.unlabelled = bool(unlabelled)
        super().__init__(root, get_table(classes), id_map(self.name, classes))
        self.description = f"Clothing Co-Parsing in {self.root}"
        own = read_class_file(self.root)
        if own is not None:
            found = own.source, own.names, f"class table '{classes}'", self.table.names
            check_same_classes(*found, "read it as image_folder instead")

    def splits(self) -> tuple[str, ...]:
        """Those of train, val, test and unlabelled that have photos."""
        held = set(self._split_of.values())
        return tuple(split for split in ("train", "val", "test", UNLABELLED) if split in held)

    @functools.cached_property
    def _split_of(self) -> dict[str, str]:
        """Split of every photo and of every label without one, by name."""
        photos = self._names(self.root / "images", self.image_name)
        labelled = self._names(self.root / "labels", self.label_name)
        return {
            name: _HELD_OUT.get(name[-1], "train") if name in labelled else UNLABELLED
            for name in photos | labelled
        }

    def has_labels(self, split: str) -> bool:
        """Whether the photos of `split` have labels that are to be used."""
        return split != UNLABELLED and not self.unlabelled

    def image_dir(self, split: str) -> Path:
        """`root/images`, whatever the split."""
        return self.root / "images"

    def label_dir(self, split: str) -> Path:
        """`root/labels`, whatever the split."""
        return self.root / "labels"

    def scan(self, split: str) -> Listing:
        """The photos of one split with their labels."""
        return part_of(super().scan(split), lambda name: self._split_of[name] == split)
