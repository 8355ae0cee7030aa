"""What `launch/prepare.py` prints: the defects of a data set, and what it or its records hold."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from jax_labor.classes import ClassTable
from jax_labor.data.builders import make_source
from jax_labor.data.catalogue import load
from jax_labor.data.generated import NAME as GENERATED
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
    """All defects of the splits, one per line, and whether there were none; then the table of
    `prepare` of the images without one."""
    lines, found = [], {}
    for split in request.splits():
        each = validate(request.dataset, request.root, split, request.classes, request.options)
        lines += [f"{request.dataset} {split}: {len(each.problems) or 'no'} problems"]
        lines += [f"  {problem}" for problem in each.problems]
        found[split] = each
    columns = {split: (each.images, each.class_pixels) for split, each in found.items()}
    table = next(iter(found.values())).table
    clean = not any(each.problems for each in found.values())
    return "\n".join([*lines, "", _table(request.dataset, table, columns)]), clean


def prepare(request: Request, data_dir: str, drop_bad: bool) -> str:
    """Prepare the splits; return a table of images per split and of class frequencies, and which
    classes have no pixel."""
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
    columns = {
        split: (len(each), each.class_pixels if each.has_labels else None)
        for split, each in records.items()
    }
    return _table(request.dataset, next(iter(records.values())).table, columns)


def _table(
    dataset: str, table: ClassTable, found: Mapping[str, tuple[int, np.ndarray | None]]
) -> str:
    """One column per split: images, then the share of labelled pixels of each class."""
    columns = [
        [split, str(images), *_shares(pixels, table.num_classes)]
        for split, (images, pixels) in found.items()
    ]
    heads = ["split", "images", "labelled pixels", *table.names]
    wide, *widths = (max(map(len, column)) + 2 for column in (heads, *columns))
    lines = [
        f"{head:<{wide}}" + "".join(f"{x:>{width}}" for x, width in zip(row, widths, strict=True))
        for head, *row in zip(heads, *columns, strict=True)
    ]
    for split, (_, pixels) in found.items():
        if pixels is not None and (absent := table.absent(pixels)):
            lines += ["", f"{dataset} {split}: no pixel is labelled {', '.join(absent)}"]
    return "\n".join(lines)


def _shares(class_pixels: np.ndarray | None, num_classes: int) -> list[str]:
    """Number of labelled pixels, then each class's share in percent; dashes without labels."""
    if class_pixels is None:
        return ["-"] * (num_classes + 1)
    total = int(class_pixels.sum())
    return [str(total), *(f"{100 * count / max(total, 1):.3f} %" for count in class_pixels)]
