"""CamVid (Brostow et al., 2009) in the 11-class, 480x360 edition of the SegNet tutorial."""

from pathlib import Path

from jax_labor.classes import get_table
from jax_labor.data.builders.file_source import FileSource
from jax_labor.data.builders.label_maps import id_map


class CamvidSource(FileSource):
    """`root/{train,val,test}/*.png` with `root/{train,val,test}annot/*.png` of class ids.

    The file name begins with the sequence: 0001TP is filmed at dusk, the others by day.
    """

    name = "camvid"
    split_names = ("train", "val", "test")
    layout = """expected layout:
  <root>/train/0001TP_006690.png ...   <root>/trainannot/0001TP_006690.png ...
  <root>/val/...                       <root>/valannot/...
  <root>/test/...                      <root>/testannot/...
get it from the SegNet tutorial of the University of Cambridge (folder CamVid); what has a folder
701_StillsRaw_full is read as camvid_full"""

    def __init__(self, root, classes: str):
        super().__init__(root, get_table(classes), id_map(self.name, classes))
        self.description = f"CamVid (480x360 edition) in {self.root}"

    def image_dir(self, split: str) -> Path:
        """`root/<split>`."""
        return self.root / split

    def label_dir(self, split: str) -> Path:
        """`root/<split>annot`."""
        return self.root / f"{split}annot"
