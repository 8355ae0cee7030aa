"""Check a data set file by file, without preparing it."""

from collections.abc import Mapping

from jax_labor.data.builders import make_source
from jax_labor.data.builders.source import Problem
from jax_labor.data.builders.writing import read_all


def validate(
    name: str,
    root: str | None,
    split: str,
    classes: str,
    options: Mapping | None = None,
) -> list[Problem]:
    """Every defect of a split, ordered by file.

    Defects are: a missing partner, a file that is truncated or cannot be decoded, image and label
    of different size, ids outside the data set's id space, two files for one record name, a file
    out of place, a split without images. Every file is decoded completely.

    Args:
      name: data set, see `catalogue.load`.
      root: its folder.
      split: a split, or several joined by "+".
      classes: name of a class table.
      options: see `builders.make_source`.

    Raises:
      UserError: the data set, its folder or the split does not exist.
    """
    source = make_source(name, root, classes, options)
    problems = []
    for part in split.split("+"):
        listing = source.scan(part)
        results = read_all(source, listing, f"checking {name} {part}")
        problems += listing.problems + [r for r in results if isinstance(r, Problem)]
    return sorted(problems, key=lambda problem: (problem.file, problem.what))
