"""Class tables: which classes exist, their ids on disk, their names and their colours.

Everything inside the program speaks *train ids* 0..C-1 with `IGNORE` = 255; *label ids* exist only
in files. A `ClassTable` is the one place where the two meet.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jax_labor.errors import UserError, unknown

IGNORE = 255
OWN = "own"
_UNKNOWN = -1


@dataclass(frozen=True)
class ClassTable:
    """The classes of a data set; position in the tuples is the train id.

    Attributes:
      name: short name, used in configurations and file names.
      names: class names.
      colors: (red, green, blue) per class, 0..255.
      ids: label id written on disk per class.
      ignored_ids: label ids that may occur on disk and become `IGNORE`.
      source: address of the document that defines the table.
    """

    name: str
    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    ids: tuple[int, ...]
    ignored_ids: tuple[int, ...]
    source: str

    def __post_init__(self):
        count = len(self.names)
        if not 0 < count < IGNORE:
            raise UserError(f"class table {self.name}: {count} classes; it takes 1 to {IGNORE - 1}")
        if len(self.colors) != count or len(self.ids) != count:
            raise UserError(
                f"class table {self.name}: {count} names, {len(self.colors)} colors and "
                f"{len(self.ids)} ids; give one of each per class"
            )
        if wrong := [c for c in self.colors if len(c) != 3 or not all(0 <= x <= 255 for x in c)]:
            raise UserError(
                f"class table {self.name}: {wrong[0]} is no color: give red, green, blue, each from"
                " 0 to 255"
            )
        for what, values in (("name", self.names), ("id", (*self.ids, *self.ignored_ids))):
            twice = sorted({str(value) for value in values if values.count(value) > 1})
            if twice:
                raise UserError(f"class table {self.name}: {what} {', '.join(twice)} occurs twice")

    @classmethod
    def from_json(cls, fields: Mapping) -> "ClassTable":
        """The table whose fields a JSON file holds, tuples as lists."""
        tuples = {key: tuple(fields[key]) for key in ("names", "ids", "ignored_ids")}
        colors = tuple(tuple(color) for color in fields["colors"])
        return cls(**(fields | tuples | {"colors": colors}))

    @property
    def num_classes(self) -> int:
        """Number of classes C, without the ignored ones."""
        return len(self.names)

    def id_map(self) -> dict[int, int]:
        """Train id (or `IGNORE`) of every label id that may occur on disk."""
        known = {label_id: train_id for train_id, label_id in enumerate(self.ids)}
        return known | dict.fromkeys(self.ignored_ids, IGNORE)

    def encode(self, disk_labels: np.ndarray) -> np.ndarray:
        """Label ids int[...] to train ids uint8[...]; `UserError` names ids outside the table."""
        return apply_id_map(disk_labels, self.id_map(), f"class table {self.name}")

    def decode(self, train_ids: np.ndarray) -> np.ndarray:
        """Train ids int[...] to label ids uint8[...]; `IGNORE` becomes the first ignored id."""
        lookup = np.full(256, _UNKNOWN, np.int16)
        lookup[: self.num_classes] = self.ids
        lookup[IGNORE] = self.ignored_ids[0] if self.ignored_ids else IGNORE
        return _look_up(np.asarray(train_ids), lookup, f"class table {self.name}, train ids")

    def legend(self) -> dict[str, tuple[int, int, int]]:
        """Colour of every class by its name, for a picture's legend."""
        return dict(zip(self.names, self.colors, strict=True))

    def absent(self, class_pixels: np.ndarray) -> list[str]:
        """Names of the classes that `class_pixels` int[C] counts no pixel of."""
        return [name for name, count in zip(self.names, class_pixels, strict=True) if not count]

    def palette(self) -> np.ndarray:
        """Colours by train id, uint8[256, 3]; unused rows and `IGNORE` are black."""
        palette = np.zeros((256, 3), np.uint8)
        palette[: self.num_classes] = self.colors
        return palette


def apply_id_map(disk_labels: np.ndarray, id_map: Mapping[int, int], what: str) -> np.ndarray:
    """Map integer label ids int[...] to train ids uint8[...].

    Args:
      disk_labels: any integer type and shape.
      id_map: train id, or `IGNORE`, of every id that may occur.
      what: where the map comes from; used in the message.

    Raises:
      UserError: an id is not in the map; the message names all such ids.
    """
    items = tuple(sorted(id_map.items()))
    return _look_up(np.asarray(disk_labels), _lookup_table(items), what)


@functools.lru_cache(maxsize=64)
def _lookup_table(items: tuple[tuple[int, int], ...]) -> np.ndarray:
    table = np.full(max(label_id for label_id, _ in items) + 1, _UNKNOWN, np.int16)
    for label_id, train_id in items:
        table[label_id] = train_id
    return table


def _look_up(values: np.ndarray, table: np.ndarray, what: str) -> np.ndarray:
    if values.dtype.kind not in "iu":
        raise UserError(f"{what}: labels are {values.dtype}, integers are needed")
    if values.size == 0:
        return values.astype(np.uint8)
    outside = values.min() < 0 or values.max() >= len(table)
    mapped = table[np.clip(values, 0, len(table) - 1) if outside else values]
    unknown = mapped == _UNKNOWN
    if outside:
        unknown |= (values < 0) | (values >= len(table))
    if unknown.any():
        found = np.unique(values[unknown])
        listed = ", ".join(map(str, found[:10])) + (", ..." if len(found) > 10 else "")
        raise UserError(f"{what}: unknown id {listed} (known: {_ranges(table != _UNKNOWN)})")
    return mapped.astype(np.uint8)


def _ranges(known: np.ndarray) -> str:
    """True positions of bool[N] in the form '0-33, 255'."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], known, [False])).astype(np.int8)))
    pairs = edges.reshape(-1, 2)
    return ", ".join(str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in pairs)


_CITYSCAPES = (  # train id order: name, label id, colour
    ("road", 7, (128, 64, 128)),
    ("sidewalk", 8, (244, 35, 232)),
    ("building", 11, (70, 70, 70)),
    ("wall", 12, (102, 102, 156)),
    ("fence", 13, (190, 153, 153)),
    ("pole", 17, (153, 153, 153)),
    ("traffic light", 19, (250, 170, 30)),
    ("traffic sign", 20, (220, 220, 0)),
    ("vegetation", 21, (107, 142, 35)),
    ("terrain", 22, (152, 251, 152)),
    ("sky", 23, (70, 130, 180)),
    ("person", 24, (220, 20, 60)),
    ("rider", 25, (255, 0, 0)),
    ("car", 26, (0, 0, 142)),
    ("truck", 27, (0, 0, 70)),
    ("bus", 28, (0, 60, 100)),
    ("train", 31, (0, 80, 100)),
    ("motorcycle", 32, (0, 0, 230)),
    ("bicycle", 33, (119, 11, 32)),
)
_CITYSCAPES_LABEL_IDS = (*range(34), IGNORE)
_CAMVID = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("sign", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
_NOT_IN_SYNTHIA = ("terrain", "truck", "train")
_NOT_IN_SYNTHIA13 = (*_NOT_IN_SYNTHIA, "wall", "fence", "pole")

_FIGURES = (
    ("background", (0, 0, 0)),
    ("hair", (120, 72, 24)),
    ("face", (250, 180, 150)),
    ("top", (220, 40, 60)),
    ("arm", (240, 130, 60)),
    ("trousers", (40, 80, 200)),
    ("skirt", (150, 60, 200)),
    ("dress", (230, 70, 190)),
    ("leg", (250, 220, 120)),
    ("shoe", (60, 160, 70)),
    ("bag", (40, 200, 200)),
    ("hat", (150, 150, 150)),
)
_CCP = (
    ("background", (0, 0, 0)),
    ("hair", (120, 72, 24)),
    ("skin", (250, 180, 150)),
    ("upper", (220, 40, 60)),
    ("lower", (40, 80, 200)),
    ("dress", (230, 70, 190)),
    ("feet", (60, 160, 70)),
    ("item", (40, 200, 200)),
)


def _cityscapes_table(name: str, without: tuple[str, ...], source: str) -> ClassTable:
    rows = [row for row in _CITYSCAPES if row[0] not in without]
    ids = tuple(row[1] for row in rows)
    return ClassTable(
        name=name,
        names=tuple(row[0] for row in rows),
        colors=tuple(row[2] for row in rows),
        ids=ids,
        ignored_ids=tuple(i for i in _CITYSCAPES_LABEL_IDS if i not in ids),
        source=source,
    )


_LABELS_PY = "https://github.com/mcordts/cityscapesScripts (helpers/labels.py)"
TABLES: dict[str, ClassTable] = {
    table.name: table
    for table in (
        _cityscapes_table("cityscapes19", (), _LABELS_PY),
        _cityscapes_table("synthia16", _NOT_IN_SYNTHIA, "https://synthia-dataset.net"),
        _cityscapes_table("synthia13", _NOT_IN_SYNTHIA13, "https://synthia-dataset.net"),
        ClassTable(
            name="camvid11",
            names=tuple(name for name, _ in _CAMVID),
            colors=tuple(color for _, color in _CAMVID),
            ids=tuple(range(11)),
            ignored_ids=(11, IGNORE),
            source="http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/",
        ),
        ClassTable(
            name="figures12",
            names=tuple(name for name, _ in _FIGURES),
            colors=tuple(color for _, color in _FIGURES),
            ids=tuple(range(12)),
            ignored_ids=(IGNORE,),
            source="jax_labor/data/figures/parts.py",
        ),
        ClassTable(
            name="ccp8",
            names=tuple(name for name, _ in _CCP),
            colors=tuple(color for _, color in _CCP),
            ids=tuple(range(8)),
            ignored_ids=(IGNORE,),
            source="https://github.com/bearpaw/clothing-co-parsing",
        ),
    )
}


def check_same_classes(
    what: str, names: Sequence[str], other: str, others: Sequence[str], remedy: str
) -> None:
    """`UserError` unless `what` has the class `names` of the `other`, in their order."""
    if tuple(names) != tuple(others):
        first, second = ", ".join(names), ", ".join(others)
        raise UserError(f"{what} has the classes {first}, but {other} has {second}: {remedy}")


def is_own(classes: str) -> bool:
    """Whether `classes` names no table but stands for the one that the data brings."""
    return classes in (OWN, "")


def own_or_named(classes: str, own: ClassTable, what: str, remedy: str) -> ClassTable:
    """`own`, the table that `what` brings, where `is_own`; else the table called `classes`.

    Raises:
      UserError: there is no table of that name, or it has other classes.
    """
    if is_own(classes):
        return own
    table = get_table(classes)
    check_same_classes(what, own.names, f"class table '{classes}'", table.names, remedy)
    return table


def get_table(name: str) -> ClassTable:
    """The table called `name`; `UserError` suggests close matches and lists all tables."""
    if name in TABLES:
        return TABLES[name]
    raise unknown("class table", name, TABLES)
