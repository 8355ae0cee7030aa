"""A user's own images, with label PNGs where they have them."""

import os
import re
from pathlib import Path

from jax_labor.classes import OWN
from jax_labor.data.builders.class_file import FORMAT, choose_table
from jax_labor.data.builders.file_source import FileSource
from jax_labor.data.builders.walk import is_system
from jax_labor.errors import UserError

_SPLIT = re.compile(r"[\w-]*[^\W_][\w-]*")
_EVERYTHING = "all"  # TFDS's word for all splits together


class ImageFolderSource(FileSource):
    """`root/images/<split>/...` and, for labelled splits, `root/labels/<split>/...`.

    Args:
      root: the folder.
      classes: "own" or "" takes the table from the classes file in `root`; a table's name says
        that the label PNGs hold that table's label ids. Any name will do with `unlabelled`.
      unlabelled: use the images alone even where there are labels.
    """

    name = "image_folder"
    layout = f"""expected layout:
  <root>/images/<split>/photo.jpg ...  (or images/photo.jpg: one split, called train)
  <root>/labels/<split>/photo.png ...  (one channel of label ids; absent: unlabelled split)
  <root>/classes.json or classes.txt   (needed with classes = '{OWN}')
  {FORMAT}"""
    image_suffixes = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")

    def __init__(self, root, classes: str = OWN, unlabelled: bool = False):
        self.unlabelled = bool(unlabelled)
        table = choose_table(self._find_root(root), classes, not self.unlabelled)
        super().__init__(root, table, table.id_map())
        if not self.unlabelled:
            self._check_label_folders()
        self.description = f"images in {self.root}"

    def _check_label_folders(self) -> None:
        """`UserError` for labels of no split: a slip in its name, and it is unlabelled."""
        splits, images = self.splits(), self.root / "images"
        if not any((images / split).is_dir() for split in splits):
            return
        for path in sorted((self.root / "labels").glob("*")):
            if path.is_dir() and not is_system(path.name) and path.name not in splits:
                raise UserError(
                    f"{path}: there is no folder {images / path.name} of images; the splits are"
                    f" {', '.join(splits)}. Give both the same name, or move it away"
                )

    def splits(self) -> tuple[str, ...]:
        """The folders below `images`, or "train" when the images lie there directly."""
        images = self.root / "images"
        if not images.is_dir():
            return ()
        with os.scandir(images) as found:  # which tells folders without a look at each file
            entries = [entry for entry in found if not is_system(entry.name)]
            folders = tuple(sorted(entry.name for entry in entries if entry.is_dir()))
        if folders and len(folders) < len(entries):
            raise UserError(f"{images} holds both files and folders; put each image in one split")
        return folders or ("train",)

    def check_split(self, split: str) -> None:
        """`UserError` when there is no such split, or TFDS would read its name otherwise."""
        super().check_split(split)
        if split == _EVERYTHING or not _SPLIT.fullmatch(split):
            raise UserError(
                f"{self.image_dir(split)}: a split's name has letters, digits, - and _ only, of"
                f" the first two one at least, and is not '{_EVERYTHING}'; rename the folder, and"
                " that of its labels"
            )

    def has_labels(self, split: str) -> bool:
        """Whether there is a folder of labels for `split` and it is to be used."""
        return not self.unlabelled and self.label_dir(split).is_dir()

    def image_dir(self, split: str) -> Path:
        """`images/<split>`, or `images` when it has no folders."""
        return self._dir("images", split)

    def label_dir(self, split: str) -> Path:
        """`labels/<split>`, or `labels` when the images have no folders."""
        return self._dir("labels", split)

    def _dir(self, kind: str, split: str) -> Path:
        inner = self.root / "images" / split
        return self.root / kind / split if inner.is_dir() else self.root / kind
