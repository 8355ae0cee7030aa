"""CamVid (Brostow et al., 2009) as the University of Cambridge has it: 960x720, 32 colours."""

from pathlib import Path

import numpy as np

from jax_labor.classes import get_table
from jax_labor.data.builders.file_source import FileSource, part_of
from jax_labor.data.builders.label_maps import id_map
from jax_labor.data.builders.source import Listing
from jax_labor.pixels import BadFileError, open_picture

_IMAGES, _LABELS = "701_StillsRaw_full", "LabeledApproved_full"
_SPLITS = ("train", "val", "test")
_COLORS = {  # class of camvid11 (11 of its ids is void): colours of Cambridge's classes in it
    "sky": ((128, 128, 128),),
    # building, archway, bridge, tunnel, wall
    "building": ((128, 0, 0), (192, 0, 128), (0, 128, 64), (64, 0, 64), (64, 192, 0)),
    # column or pole, traffic cone
    "pole": ((192, 192, 128), (0, 0, 64)),
    # road, lane markings to drive in, other lane markings
    "road": ((128, 64, 128), (128, 0, 192), (192, 0, 64)),
    # sidewalk, parking block, road shoulder
    "pavement": ((0, 0, 192), (64, 192, 128), (128, 128, 192)),
    # tree, other vegetation
    "tree": ((128, 128, 0), (192, 192, 0)),
    # sign, text, traffic light
    "sign": ((192, 128, 128), (128, 128, 64), (0, 64, 64)),
    "fence": ((64, 64, 128),),
    # car, pickup, truck or bus, train, other moving
    "car": ((64, 0, 128), (64, 128, 192), (192, 128, 192), (192, 64, 128), (128, 64, 64)),
    # pedestrian, child, cart or pram, animal
    "pedestrian": ((64, 64, 0), (192, 128, 64), (64, 0, 192), (64, 128, 64)),
    # bicyclist, motorcycle
    "bicyclist": ((0, 128, 192), (192, 0, 192)),
    "void": ((0, 0, 0),),
}


def _code(red, green, blue):
    """One number of a colour, or of arrays of them."""
    return (red << 16) | (green << 8) | blue


_ID_OF = dict(
    sorted((_code(*color), i) for i, colors in enumerate(_COLORS.values()) for color in colors)
)
_CODES, _IDS = np.array([*_ID_OF]), np.array([*_ID_OF.values()], np.uint8)


class CamvidFullSource(FileSource):
    """`root/701_StillsRaw_full/*.png` with `root/LabeledApproved_full/*_L.png` of 32 colours.

    The colours are merged into 11 classes and the frames split as in the 480x360 edition, which
    `camvid` reads; the option size=(360, 480) also gives its size.
    """

    name = "camvid_full"
    layout = f"""expected layout:
  <root>/{_IMAGES}/0001TP_006690.png ...   <root>/{_LABELS}/0001TP_006690_L.png ...
get both from the CamVid page of the University of Cambridge"""
    label_files = "*_L.png"

    def __init__(self, root, classes: str):
        super().__init__(root, get_table(classes), id_map(self.name, classes))
        self.description = f"CamVid (960x720) in {self.root}"

    def splits(self) -> tuple[str, ...]:
        """Those of train, val and test that have frames."""
        held = set(map(_split_of, self._names(self.root / _IMAGES, self.image_name)))
        return tuple(split for split in _SPLITS if split in held)

    def image_dir(self, split: str) -> Path:
        """`root/701_StillsRaw_full`, whatever the split."""
        return self.root / _IMAGES

    def label_dir(self, split: str) -> Path:
        """`root/LabeledApproved_full`, whatever the split."""
        return self.root / _LABELS

    def label_name(self, relative: str) -> str | None:
        """Record name of a label file, whose own name ends in _L."""
        name = super().label_name(relative)
        return name.removesuffix("_L") if name and name.endswith("_L") else None

    def scan(self, split: str) -> Listing:
        """The frames of one split with their labels."""
        return part_of(super().scan(split), lambda name: _split_of(name) == split)

    @staticmethod
    def read_label(data: bytes) -> np.ndarray:
        """Ids uint8[H, W] of camvid11 of a label in colours."""
        pixels = np.asarray(open_picture(data).convert("RGB")).astype(np.int32)
        codes = _code(*np.moveaxis(pixels, -1, 0))
        place = np.searchsorted(_CODES[:-1], codes)
        if (unknown := _CODES[place] != codes).any():
            color = ", ".join(map(str, pixels[unknown][0]))
            raise BadFileError(f"has the colour ({color}), none of the 32 of CamVid")
        return _IDS[place]


def _split_of(name: str) -> str:
    """The split of a frame in the 480x360 edition."""
    if name.startswith("Seq05VD_") or "0001TP_008521" <= name <= "0001TP_999999":
        return "test"
    return "val" if "0016E5_07959" <= name <= "0016E5_08159" else "train"
