"""From the ids a data set writes on disk to the train ids of a class table.

GTA5, SYNTHIA and Cityscapes share one vocabulary of class names, so each data set only says which
name an id carries, and each table which train id a name gets; the maps are the composition.
"""

from jax_labor.classes import IGNORE, get_table
from jax_labor.errors import UserError

_CITYSCAPES = get_table("cityscapes19")
_CITYSCAPES_NAMES = dict(zip(_CITYSCAPES.ids, _CITYSCAPES.names, strict=True))
_SYNTHIA_NAMES = {
    1: "sky",
    2: "building",
    3: "road",
    4: "sidewalk",
    5: "fence",
    6: "vegetation",
    7: "pole",
    8: "car",
    9: "traffic sign",
    10: "person",
    11: "bicycle",
    12: "motorcycle",
    15: "traffic light",
    16: "terrain",
    17: "rider",
    18: "truck",
    19: "bus",
    20: "train",
    21: "wall",
}
_STREET_SCENES = {  # data set: (name of every id that has one, all ids that may occur)
    "gta5": (_CITYSCAPES_NAMES, range(35)),  # 34 is the licence plate, -1 in Cityscapes
    "cityscapes": (_CITYSCAPES_NAMES, (*range(34), IGNORE)),
    "synthia": (_SYNTHIA_NAMES, range(23)),
}
_TO_CAMVID = {  # Cityscapes name: CamVid name; what is not listed has no counterpart and is ignored
    "road": "road",
    "sidewalk": "pavement",
    "building": "building",
    "fence": "fence",
    "pole": "pole",
    "traffic light": "sign",
    "traffic sign": "sign",
    "vegetation": "tree",
    "sky": "sky",
    "person": "pedestrian",
    "rider": "bicyclist",
    "bicycle": "bicyclist",
    "car": "car",
    "truck": "car",
    "bus": "car",
}
_FIGURES = get_table("figures12")
_TO_CCP = {  # part of a rendered figure: class of Clothing Co-Parsing
    "background": "background",
    "hair": "hair",
    "face": "skin",
    "top": "upper",
    "arm": "skin",
    "trousers": "lower",
    "skirt": "lower",
    "dress": "dress",
    "leg": "skin",
    "shoe": "feet",
    "bag": "item",
    "hat": "item",
}
_TABLES_OF = dict.fromkeys(
    _STREET_SCENES, ("cityscapes19", "synthia16", "synthia13", "camvid11")
) | dict.fromkeys(("camvid", "camvid_full", "streets"), ("camvid11",))
_TABLES_OF |= {"figures": ("figures12", "ccp8"), "ccp": ("ccp8",)}


def id_map(dataset: str, classes: str) -> dict[int, int]:
    """Train id in table `classes`, or `IGNORE`, of every id that `dataset` may write on disk.

    Raises:
      UserError: there is no such map; the message lists the tables that `dataset` has maps to.
    """
    tables = _TABLES_OF[dataset]
    table = get_table(classes)
    if classes not in tables:
        raise UserError(
            f"data set '{dataset}' has no map to class table '{classes}'; it has maps to "
            f"{', '.join(tables)}"
        )
    if (dataset, classes) == ("figures", "ccp8"):
        return {i: table.names.index(_TO_CCP[name]) for i, name in enumerate(_FIGURES.names)}
    if dataset not in _STREET_SCENES:
        return table.id_map()
    names, ids = _STREET_SCENES[dataset]
    train_id = {name: index for index, name in enumerate(table.names)}
    if classes == "camvid11":
        train_id = {name: train_id[merged] for name, merged in _TO_CAMVID.items()}
    return {i: train_id.get(names.get(i), IGNORE) for i in ids}
