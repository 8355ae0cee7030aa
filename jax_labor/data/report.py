"""What `launch/prepare.py` prints: the defects of a data set, or what was prepared of it."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jax_labor.data.builders import make_source
from jax_labor.data.catalogue import load
from jax_labor.data.generated import NAME as GENERATED
from jax_labor.data.prepared import PreparedRecords
from jax_labor.data.validate import validate
from jax_labor.errors import UserError


@dataclass(frozen=True)
class Request:
    """Which data to report on; see `catalogue.load`. An empty `split` stands for all splits."""

    dataset: str
    root: str
    classes: str
    split: str = ""
    options: Mapping = field(default_factory=dict)

    def splits(self) -> tuple[str, ...]:
        """The splits asked for; `UserError` when the data set or its folder does not exist, or when
        it was written as prepared data from the start."""
        if self.dataset == GENERATED:
            raise UserError(
                f"data set '{GENERATED}' needs no preparing: give its folder as root in the config"
            )
        source = make_source(self.dataset, self.root, self.classes, self.options)
        return tuple(self.split.split("+")) if self.split else source.splits()


def parse_options(assignments: Sequence[str]) -> dict:
    """["style=target", "size=(60, 80)"] to a mapping; values that are not literals are strings."""
    options = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UserError(f"--option={assignment}: write --option=NAME=VALUE")
        try:
            options[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            options[name] = value
    return options


def check(request: Request) -> tuple[str, bool]:
    """All defects of the splits, one per line, and whether there were none."""
    lines, clean = [], True
    for split in request.splits():
        problems = validate(request.dataset, request.root, split, request.classes, request.options)
        clean = clean and not problems
        lines += [f"{request.dataset} {split}: {len(problems) or 'no'} problems"]
        lines += [f"  {problem}" for problem in problems]
    return "\n".join(lines), clean


def prepare(request: Request, data_dir: str, drop_bad: bool) -> str:
    """Prepare the splits; return a table of images per split and of class frequencies."""
    records = {
        split: load(
            request.dataset,
            root=request.root,
            data_dir=data_dir,
            split=split,
            classes=request.classes,
            drop_bad=drop_bad,
            options=request.options,
        )
        for split in request.splits()
    }
    return _table(records)


def _table(records: Mapping[str, PreparedRecords]) -> str:
    """One column per split: images, then the share of labelled pixels of each class."""
    first = next(iter(records.values()))
    columns = [
        [split, str(len(each)), *_shares(each.class_pixels, each.has_labels)]
        for split, each in records.items()
    ]
    heads = ["split", "images", "labelled pixels", *first.table.names]
    wide, *widths = (max(map(len, column)) + 2 for column in (heads, *columns))
    lines = (
        f"{head:<{wide}}" + "".join(f"{x:>{width}}" for x, width in zip(row, widths, strict=True))
        for head, *row in zip(heads, *columns, strict=True)
    )
    return "\n".join(lines)


def _shares(class_pixels: np.ndarray, has_labels: bool) -> list[str]:
    """Number of labelled pixels, then each class's share in percent; dashes without labels."""
    total = int(class_pixels.sum())
    if not has_labels:
        return ["-"] * (len(class_pixels) + 1)
    return [str(total), *(f"{100 * count / max(total, 1):.3f} %" for count in class_pixels)]
