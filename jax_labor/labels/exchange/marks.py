"""Marks on an image, as every format knows them, and the label map that they mean."""

import dataclasses
import itertools
import math
from collections.abc import Iterator

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.labels.store import ANSWERED, SKIPPED, Query


@dataclasses.dataclass(frozen=True)
class Patch:
    """A mask inside its bounding box.

    Attributes:
        top: first row of the box.
        left: first column of the box.
        mask: bool[h, w], inside the box.
    """

    top: int
    left: int
    mask: np.ndarray

    @property
    def window(self) -> tuple[slice, slice]:
        """The rows and columns of the box."""
        height, width = self.mask.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


@dataclasses.dataclass
class Drawing:
    """What a file says of one image, as it comes back.

    Attributes:
        name: the image, one of the round's.
        where: the file and the image in it, for messages.
        shape: (height, width) of the image.
        points: (row, column, class); class 255 says "unsure".
        patches: (patch, class); class 255 says "unsure".
        status: "answered" or "skipped" where the file says so; None leaves it to the marks.
        unanswered: how many questions came back without an answer of their own.
        seconds: time spent.
        layered: whether a later patch lies on top of an earlier one, as the tool shows them;
            otherwise two classes of one asked pixel are an error.
        covered: asked pixels on which `compose` took the class of a later patch.
    """

    name: str
    where: str
    shape: tuple[int, int]
    points: list[tuple[int, int, int]] = dataclasses.field(default_factory=list)
    patches: list[tuple[Patch, int]] = dataclasses.field(default_factory=list)
    status: str | None = None
    unanswered: int = 0
    seconds: float = 0.0
    layered: bool = False
    covered: int = 0

    def check_size(self, height, width) -> None:
        """Refuses another size than the image's; a UserError names both."""
        if (height, width) != self.shape:
            raise UserError(
                f"{self.where}: its size is {width} x {height}, the query's {self.shape[1]} x"
                f" {self.shape[0]} (width x height). Annotate the exported picture as it is."
            )

    @property
    def marked(self) -> bool:
        """Whether anything was said of the image's pixels."""
        return bool(self.points or self.patches)

    @property
    def outcome(self) -> str | None:
        """ "answered", "skipped", or None when nothing was done: it stays open."""
        if self.status == SKIPPED and self.marked:
            raise UserError(
                f"{self.where}: skipped, yet it has annotations: take back one or the other."
            )
        return self.status or (ANSWERED if self.marked else None)


def split(ids: np.ndarray, empty: int = 0) -> Iterator[Patch]:
    """The patch of every value of int[H, W] (or bool) but `empty`, in increasing order.

    Boxes are found in one pass over the pixels, so that thousands of pieces stay cheap.
    """
    rows, columns = np.nonzero(ids != empty)
    values = ids[rows, columns]
    order = np.argsort(values, kind="stable")
    rows, columns, values = rows[order], columns[order], values[order]
    bounds = np.flatnonzero(np.diff(values, prepend=-1, append=-1))
    for start, stop in itertools.pairwise(bounds.tolist()):
        r, c = rows[start:stop], columns[start:stop]
        top, left = int(r.min()), int(c.min())
        mask = np.zeros((int(r.max()) - top + 1, int(c.max()) - left + 1), bool)
        mask[r - top, c - left] = True
        yield Patch(top, left, mask)


def class_patches(label: np.ndarray) -> Iterator[tuple[Patch, int]]:
    """One patch per class of uint8[H, W], 255 left out, and the class."""
    present = np.unique(label)
    yield from zip(split(label, IGNORE), present[present != IGNORE].tolist(), strict=True)


def polygon(corners, shape: tuple[int, int]) -> list[Patch]:
    """The pixels whose centres lie in a polygon (even-odd rule); none when it holds none.

    So two polygons that share an edge share no pixel, and a box of ten pixels fills ten.

    Args:
        corners: (x, y) pairs, at least three, in pixels from the image's upper left corner.
        shape: (height, width) of the image.

    Raises:
        ValueError: too few corners or one that is not a number.
    """
    start = np.asarray(corners, float).reshape(-1, 2)
    if len(start) < 3 or not np.isfinite(start).all():
        raise ValueError("a polygon needs three corners or more, all of them numbers")
    (x0, y0), (x1, y1) = start.T, np.roll(start, -1, 0).T
    height, width = shape
    centres = np.arange(height) + 0.5
    edges, rows = np.nonzero((y0[:, None] > centres) != (y1[:, None] > centres))
    along = (centres[rows] - y0[edges]) / (y1[edges] - y0[edges])
    crossings = x0[edges] + along * (x1[edges] - x0[edges])
    columns = np.clip(np.ceil(crossings - 0.5), 0, width).astype(int)
    entered = np.zeros((height, width + 1), int)
    np.add.at(entered, (rows, columns), 1)
    return list(split(np.cumsum(entered[:, :-1], 1) % 2 == 1))


def box(
    left: float, top: float, right: float, bottom: float, degrees: float = 0.0
) -> list[tuple[float, float]]:
    """The corners (x, y) of a rectangle that is turned clockwise about its centre."""
    x, y = (left + right) / 2, (top + bottom) / 2
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    corners = (
        (left - x, top - y),
        (right - x, top - y),
        (right - x, bottom - y),
        (left - x, bottom - y),
    )
    return [(x + cosine * dx - sine * dy, y + sine * dx + cosine * dy) for dx, dy in corners]


def compose(drawing: Drawing, query: Query) -> tuple[np.ndarray, int]:
    """The label map that a drawing means.

    Returns:
        uint8[H, W], 255 where nothing was said or not asked; and how many drawn pixels were not
        asked about and are left out.

    Raises:
        UserError: a point that was not asked, a mask over the edge, two marks that disagree and of
            which none lies on top.
    """
    label = np.full(drawing.shape, IGNORE, np.uint8)
    for patch, class_id in drawing.patches:
        _paint(label, patch, class_id, drawing, query.asked)
    outside = int((label[~query.asked] != IGNORE).sum())
    label[~query.asked] = IGNORE
    _dot(label, drawing, query)
    return label, outside


def silent(drawing: Drawing, query: Query, label: np.ndarray) -> int:
    """Asked pixels of which the drawing says nothing, not even that it is unsure.

    `label` uint8[H, W] is what `compose` made of it: masks of classes may cover a question whose
    own shape nobody answered.
    """
    said = label != IGNORE
    for row, column, _ in drawing.points:
        said[row, column] = True
    for patch, _ in drawing.patches:
        said[patch.window] |= patch.mask
    return int((query.asked & ~said).sum())


def _paint(
    label: np.ndarray, patch: Patch, class_id: int, drawing: Drawing, asked: np.ndarray
) -> None:
    where, (height, width) = drawing.where, patch.mask.shape
    if min(patch.top, patch.left) < 0 or (
        patch.top + height > label.shape[0] or patch.left + width > label.shape[1]
    ):
        raise UserError(f"{where}: a mask reaches over the image's edge. Redraw it inside.")
    if class_id == IGNORE:
        return  # unsure takes nothing away from what else was said of these pixels
    view = label[patch.window]
    clash = patch.mask & asked[patch.window] & (view != IGNORE) & (view != class_id)
    if clash.any() and not drawing.layered:
        row, column = np.argwhere(clash)[0] + (patch.top, patch.left)
        raise UserError(
            f"{where}: {clash.sum()} pixels have two classes, the first at row {row}, column"
            f" {column}. Erase one of the two masks there."
        )
    drawing.covered += int(clash.sum())
    view[patch.mask] = class_id


def _dot(label: np.ndarray, drawing: Drawing, query: Query) -> None:
    said = {}
    for row, column, class_id in drawing.points:
        where = f"{drawing.where}: the point at row {row}, column {column}"
        inside = 0 <= row < label.shape[0] and 0 <= column < label.shape[1]
        if not (inside and query.asked[row, column]):
            raise UserError(f"{where} was not asked. Move it back to its pixel, or delete it.")
        if said.setdefault((row, column), class_id) != class_id or (
            class_id != IGNORE and label[row, column] not in (IGNORE, class_id)
        ):
            raise UserError(f"{where} has two classes. Keep one of them.")
    for (row, column), class_id in said.items():
        if class_id != IGNORE:
            label[row, column] = class_id
