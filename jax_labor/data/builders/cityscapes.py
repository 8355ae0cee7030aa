"""Cityscapes (Cordts et al., CVPR 2016): fine annotations of 2 975 + 500 street scenes."""

from pathlib import Path

from jax_labor.classes import get_table
from jax_labor.data.builders.file_source import FileSource
from jax_labor.data.builders.label_maps import id_map

_IMAGE = "_leftImg8bit"
_LABEL = "_gtFine_labelIds"


class CityscapesSource(FileSource):
    """`leftImg8bit/<split>/<city>/` and `gtFine/<split>/<city>/*_gtFine_labelIds.png`.

    The label ids are read directly, so no `*_labelTrainIds.png` has to be made. A split without a
    folder below `gtFine` is an unlabelled target.
    """

    name = "cityscapes"
    split_names = ("train", "val", "test")
    label_files = f"*{_LABEL}.png"
    layout = f"""expected layout:
  <root>/leftImg8bit/<split>/<city>/<city>_000000_000019{_IMAGE}.png
  <root>/gtFine/<split>/<city>/<city>_000000_000019{_LABEL}.png   (absent: unlabelled split)
with the splits {", ".join(split_names)}
get leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip from cityscapes-dataset.com"""

    def __init__(self, root, classes: str):
        super().__init__(root, get_table(classes), id_map(self.name, classes))
        self.description = f"Cityscapes in {self.root}"

    def has_labels(self, split: str) -> bool:
        """Whether `gtFine/<split>` exists."""
        return self.label_dir(split).is_dir()

    def image_dir(self, split: str) -> Path:
        """`leftImg8bit/<split>`."""
        return self.root / "leftImg8bit" / split

    def label_dir(self, split: str) -> Path:
        """`gtFine/<split>`."""
        return self.root / "gtFine" / split

    def image_name(self, relative: str) -> str | None:
        """`aachen_000000_000019` for `aachen/aachen_000000_000019_leftImg8bit.png`."""
        return _stem(relative, f"{_IMAGE}.png") or None

    def label_name(self, relative: str) -> str | None:
        """As for images; the other files of gtFine (polygons, colours, instances) are not used."""
        return _stem(relative, f"{_LABEL}.png")


def _stem(relative: str, end: str) -> str:
    """File name without `end`, "" where it ends otherwise."""
    return relative.rpartition("/")[2].removesuffix(end) if relative.endswith(end) else ""
