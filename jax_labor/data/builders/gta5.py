"""GTA5: "Playing for Data" (Richter et al., ECCV 2016), 24 966 rendered street scenes."""

from pathlib import Path

from jax_labor.classes import get_table
from jax_labor.data.builders.file_source import FileSource
from jax_labor.data.builders.label_maps import id_map


class Gta5Source(FileSource):
    """`root/{images,labels}/00001.png`; palette label PNGs that hold Cityscapes label ids.

    15188 and 17705 are known to be damaged or of unequal size in the published archives.
    """

    name = "gta5"
    split_names = ("train",)
    unused_labels = ("_labelTrainIds.png",)
    layout = """expected layout:
  <root>/images/00001.png ... 24966.png
  <root>/labels/00001.png ... 24966.png
get it from the "Playing for Data" page of TU Darmstadt (images and labels, parts 1 to 10)"""

    def __init__(self, root, classes: str):
        super().__init__(root, get_table(classes), id_map(self.name, classes))
        self.description = f"GTA5 (Playing for Data) in {self.root}"

    def image_dir(self, split: str) -> Path:
        """`root/images`."""
        return self.root / "images"

    def label_dir(self, split: str) -> Path:
        """`root/labels`."""
        return self.root / "labels"
