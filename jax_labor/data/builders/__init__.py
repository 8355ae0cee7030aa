"""The data sets: one file each says how it lies on disk; `SOURCES` and `BUILDERS` name them all."""

import difflib
import inspect
from collections.abc import Mapping

from jax_labor.data.builders.camvid import Camvid, CamvidSource
from jax_labor.data.builders.ccp import Ccp, CcpSource
from jax_labor.data.builders.cityscapes import Cityscapes, CityscapesSource
from jax_labor.data.builders.figures import Figures, FiguresSource
from jax_labor.data.builders.gta5 import Gta5, Gta5Source
from jax_labor.data.builders.image_folder import ImageFolder, ImageFolderSource
from jax_labor.data.builders.source import FileSource, Source
from jax_labor.data.builders.streets import Streets, StreetsSource
from jax_labor.data.builders.synthia import Synthia, SynthiaSource
from jax_labor.errors import UserError

SOURCES = {
    source.name: source
    for source in (
        Gta5Source,
        SynthiaSource,
        CityscapesSource,
        CamvidSource,
        ImageFolderSource,
        StreetsSource,
        FiguresSource,
        CcpSource,
    )
}
BUILDERS = {
    builder.name: builder
    for builder in (Gta5, Synthia, Cityscapes, Camvid, ImageFolder, Streets, Figures, Ccp)
}


def make_source(name: str, root, classes: str, options: Mapping | None = None) -> Source:
    """The data set `name` below `root`, seen through the class table `classes`.

    Args:
      name: a key of `SOURCES`.
      root: its folder; not used by `streets` and `figures`.
      classes: name of a class table; `image_folder` also takes "own" or "".
      options: further arguments of that source (`streets`: style, height, width,
        train, val, test, seed; `figures`: the same without style; `image_folder` and `ccp`:
        unlabelled); for data sets of files also
        `size`, (height, width) to prepare records at.

    Raises:
      UserError: no such data set, option, map to the table, or folder.
    """
    if name not in SOURCES:
        close = difflib.get_close_matches(name, SOURCES, n=1)
        hint = f"did you mean '{close[0]}'? " if close else ""
        raise UserError(f"no data set '{name}': {hint}There are {', '.join(SOURCES)}.")
    options = dict(options or {})
    known = [p for p in inspect.signature(SOURCES[name]).parameters if p not in ("root", "classes")]
    if of_files := issubclass(SOURCES[name], FileSource):
        known.append("size")
    wrong = sorted(options.keys() - set(known))
    if wrong:
        raise UserError(
            f"data set '{name}' has no option '{wrong[0]}'; it has {', '.join(known) or 'none'}"
        )
    size = options.pop("size", None) if of_files else None
    source = SOURCES[name](root, classes, **options)
    if size:
        source.resize(tuple(size))
    return source
