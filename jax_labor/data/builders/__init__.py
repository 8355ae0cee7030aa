"""The data sets: one file each says how it lies on disk; `SOURCES` names them all."""

import inspect
from collections.abc import Mapping
from pathlib import Path

from jax_labor.classes import OWN
from jax_labor.data.builders.camvid import CamvidSource
from jax_labor.data.builders.camvid_full import CamvidFullSource
from jax_labor.data.builders.ccp import CcpSource
from jax_labor.data.builders.cityscapes import CityscapesSource
from jax_labor.data.builders.figures import FiguresSource
from jax_labor.data.builders.gta5 import Gta5Source
from jax_labor.data.builders.image_folder import ImageFolderSource
from jax_labor.data.builders.source import FORMAT, FolderSource, Source
from jax_labor.data.builders.streets import StreetsSource
from jax_labor.data.builders.synthia import SynthiaSource
from jax_labor.data.builders.tfds_folder import TfdsSource
from jax_labor.data.generated.layout import NAME as GENERATED
from jax_labor.errors import UserError, unknown

SOURCES = {
    source.name: source
    for source in (
        Gta5Source,
        SynthiaSource,
        CityscapesSource,
        CamvidSource,
        CamvidFullSource,
        ImageFolderSource,
        StreetsSource,
        FiguresSource,
        CcpSource,
        TfdsSource,
    )
}


def make_source(name: str, root, classes: str, options: Mapping | None = None) -> Source:
    """The data set `name` below `root`, seen through the class table `classes`.

    Args:
      name: a key of `SOURCES`.
      root: its folder; not used by `streets` and `figures`.
      classes: name of a class table; `image_folder` and `tfds` also take "own" or "",
        the classes file in the folder.
      options: further arguments of that source (`streets`: style, height, width,
        train, val, test, seed; `figures`: the same without style; `image_folder` and `ccp`:
        unlabelled; `tfds`: image, label, unlabelled); for data sets in a folder also `size`,
        (height, width) to prepare records at.

    Raises:
      UserError: no such data set, option, map to the table, or folder; an option of a wrong kind.
    """
    if name not in SOURCES:
        raise unknown("data set", name, [*SOURCES, GENERATED])
    known = _options(name)
    options = dict(options or {})
    wrong = sorted(options.keys() - set(known))
    if wrong:
        raise UserError(
            f"data set '{name}' has no option '{wrong[0]}'; it has {', '.join(known) or 'none'}"
        )
    for option, value in options.items():
        _check_kind(name, option, value, type(known[option]))
    asked = asked_for(name, root, classes, options)
    size = options.pop("size", None) if "size" in known else None
    source = SOURCES[name](root, classes, **options)
    if size is not None:
        source.resize(size)
    source.asked = asked
    return source


def asked_for(name: str, root, classes: str, options: Mapping | None = None) -> dict:
    """What tells prepared data from other of this data set once its folder is gone; JSON-able."""
    return {
        "root": "/".join(Path(root or "").parts[-SOURCES[name].root_parts :]),
        "classes": classes or OWN,
        "options": _options(name) | dict(options or {}),
        "format": FORMAT,
    }


_KINDS = {bool: "True or False", int: "a whole number", str: "text"}


def _check_kind(name: str, option: str, value, kind: type) -> None:
    """`UserError` where a value is not of its default's kind; `FolderSource` looks at sizes."""
    if kind in _KINDS and type(value) is not kind:
        raise UserError(f"data set '{name}': option {option}={value!r} must be {_KINDS[kind]}")


def _options(name: str) -> dict:
    """Default of every option of the data set."""
    parameters = inspect.signature(SOURCES[name]).parameters.values()
    own = {each.name: each.default for each in parameters if each.name not in ("root", "classes")}
    return own | ({"size": None} if issubclass(SOURCES[name], FolderSource) else {})
