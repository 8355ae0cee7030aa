"""SYNTHIA-RAND-CITYSCAPES (Ros et al., CVPR 2016), 9 400 rendered street scenes."""

from pathlib import Path

from jax_labor.classes import get_table
from jax_labor.data.builders import codec
from jax_labor.data.builders.file_source import FileSource
from jax_labor.data.builders.label_maps import id_map

_FOLDER = "RAND_CITYSCAPES"


class SynthiaSource(FileSource):
    """`root/RAND_CITYSCAPES/{RGB,GT/LABELS}`; the class is channel 0 of a 16-bit colour PNG.

    `root` may also be the folder RAND_CITYSCAPES itself.
    """

    name = "synthia"
    split_names = ("train",)
    unused_labels = ("_labelTrainIds.png",)
    layout = f"""expected layout:
  <root>/{_FOLDER}/RGB/0000000.png ...
  <root>/{_FOLDER}/GT/LABELS/0000000.png ...
get SYNTHIA-RAND-CITYSCAPES from synthia-dataset.net"""
    read_label = staticmethod(codec.read_label_first_channel)

    def __init__(self, root, classes: str):
        super().__init__(root, get_table(classes), id_map(self.name, classes))
        self.description = f"SYNTHIA-RAND-CITYSCAPES in {self.root}"

    def image_dir(self, split: str) -> Path:
        """`RAND_CITYSCAPES/RGB`."""
        return self._folder() / "RGB"

    def label_dir(self, split: str) -> Path:
        """`RAND_CITYSCAPES/GT/LABELS`."""
        return self._folder() / "GT" / "LABELS"

    def _folder(self) -> Path:
        inner = self.root / _FOLDER
        return inner if inner.is_dir() else self.root
