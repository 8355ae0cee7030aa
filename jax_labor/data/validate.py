"""Check a data set file by file, without preparing it."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from jax_labor.classes import ClassTable
from jax_labor.data.builders import make_source
from jax_labor.data.builders.source import Problem
from jax_labor.data.builders.writing import read_all


@dataclass(frozen=True)
class Checked:
    """What was found in a split.

    Attributes:
      table: the class table of its labels.
      problems: every defect, ordered by file.
      images: how many images have no defect.
      class_pixels: int64[C], the pixels of each class in them; None without labels.
    """

    table: ClassTable
    problems: list[Problem]
    images: int
    class_pixels: np.ndarray | None


def validate(
    name: str,
    root: str | None,
    split: str,
    classes: str,
    options: Mapping | None = None,
) -> Checked:
    """Every defect of a split, and what is left.

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
    problems, images, pixels = [], 0, np.zeros(source.table.num_classes, np.int64)
    for part in split.split("+"):
        listing = source.scan(part)
        problems += listing.problems
        for result in read_all(source, listing, f"checking {name} {part}"):
            if isinstance(result, Problem):
                problems.append(result)
            else:
                images += 1
                pixels += result.class_pixels
    labelled = any(source.has_labels(part) for part in split.split("+"))
    problems.sort(key=lambda problem: (problem.file, problem.what))
    return Checked(source.table, problems, images, pixels if labelled else None)
