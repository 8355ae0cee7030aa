"""What is asked about one image, in the form in which the page asks it and the server checks it."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.labels.page.checks import Entry, Patch, invalid
from jax_labor.labels.page.refusal import Refusal
from jax_labor.labels.segments import describe, pieces
from jax_labor.labels.store import FULL, MASK, POINTS, Query, Round
from jax_labor.pixels import encode_png


@dataclasses.dataclass(frozen=True)
class Task:
    """One image's questions.

    Attributes:
        name: the image.
        kind: "points", "mask" or "full".
        shape: (H, W).
        asked: pixels asked about.
        items: the questions, as the page gets them.
        ids: of a mask, int[H, W], the piece of every pixel, 0 outside; else None.
        segments: of a mask, `ids` as an RGB PNG (red * 65536 + green * 256 + blue); else None.
        digest: tells this query from an earlier one of the same name, whose answers do not count.
    """

    name: str
    kind: str
    shape: tuple[int, int]
    asked: int
    items: list[dict]
    ids: np.ndarray | None
    segments: bytes | None
    digest: str

    @property
    def nbytes(self) -> int:
        """Bytes held, roughly."""
        held = self.ids.nbytes + len(self.segments) if self.kind == MASK else 0
        return held + 1000 * len(self.items)

    def check(self, entry: Entry, classes: int) -> None:
        """Refuses (422) an answer to what was not asked, or in a class that does not exist."""
        first = int(self.kind == MASK)
        if not first <= entry.item < first + len(self.items):
            raise Refusal(422, "unknown_item", f"Item {entry.item} was not asked in this image.")
        if entry.class_ is not None and entry.class_ >= classes:
            raise Refusal(
                422, "unknown_class", f"Class {entry.class_} is outside the table of {classes}."
            )
        if entry.patch:
            self._check_patch(entry.item, entry.patch, classes)

    def _check_patch(self, item: int, patch: Patch, classes: int) -> None:
        if patch.top + patch.height > self.shape[0] or patch.left + patch.width > self.shape[1]:
            raise invalid("patch", "inside the image")
        painted = _painted(patch)
        given = painted != IGNORE
        if (painted[given] >= classes).any():
            raise Refusal(422, "unknown_class", "The patch holds a class outside the table.")
        if (given & ~self._pixels(item, *_box(patch))).any():
            raise Refusal(422, "not_asked", "The patch paints a pixel that was not asked.")

    def compose(self, entries: Iterable[Entry], base: np.ndarray | None = None) -> np.ndarray:
        """The label map uint8[H, W] that checked answers make, applied in order onto `base`.

        Args:
            entries: answers that stand (no undone ones).
            base: uint8[H, W] to start from, nothing labelled by default.
        """
        label = np.full(self.shape, IGNORE, np.uint8) if base is None else base.copy()
        for entry in entries:
            if entry.patch:
                rows, columns = _box(entry.patch)
                values = _painted(entry.patch)
            else:
                rows, columns = self._extent(entry.item)
                values = np.uint8(IGNORE if entry.class_ is None else entry.class_)
            where = self._pixels(entry.item, rows, columns)
            np.copyto(label[rows, columns], values, where=where)
        return label

    def size(self, item: int) -> int:
        """Pixels of an item."""
        if self.kind == MASK:
            return self.items[item - 1]["size"]
        return 1 if self.kind == POINTS else self.asked

    def _extent(self, item: int) -> tuple[slice, slice]:
        """The smallest rectangle around an item."""
        if self.kind == POINTS:
            row, column = self.items[item]["row"], self.items[item]["column"]
            return slice(row, row + 1), slice(column, column + 1)
        if self.kind == MASK:
            box = self.items[item - 1]
            return slice(box["top"], box["bottom"]), slice(box["left"], box["right"])
        return slice(0, self.shape[0]), slice(0, self.shape[1])

    def _pixels(self, item: int, rows: slice, columns: slice) -> np.ndarray:
        """Which pixels of a rectangle belong to an item, bool[h, w]."""
        if self.kind == MASK:
            return self.ids[rows, columns] == item
        inside = np.full((rows.stop - rows.start, columns.stop - columns.start), self.kind == FULL)
        if self.kind == POINTS:
            row = self.items[item]["row"] - rows.start
            column = self.items[item]["column"] - columns.start
            if 0 <= row < inside.shape[0] and 0 <= column < inside.shape[1]:
                inside[row, column] = True
        return inside


def load_task(round_: Round, name: str, smallest: int, specks: str) -> Task:
    """Reads the query about image `name`; a UserError names a file that cannot be read.

    Args:
        round_: an open round.
        name: one of its images.
        smallest: pixels below which a piece of a mask is a speck.
        specks: what becomes of specks, see `labels.segments.pieces`.
    """
    query = round_.read_query(name)
    ids = segments = None
    if query.kind == POINTS:
        items = [
            {"item": item, "row": row, "column": column, "guess": _known(query.guess[row, column])}
            for item, (row, column) in enumerate(query.points.tolist())
        ]
    elif query.kind == MASK:
        ids = pieces(query.asked, smallest, specks)
        items = describe(ids, query.guess)
        segments = _segments_png(ids)
        ids = ids.astype(np.uint16) if len(items) < 2**16 else ids
    else:
        items = [{"item": 0}]
    return Task(
        name=name,
        kind=query.kind,
        shape=query.guess.shape,
        asked=int(query.asked.sum()),
        items=items,
        ids=ids,
        segments=segments,
        digest=_digest(round_, query, smallest, specks),
    )


def _digest(round_: Round, query: Query, smallest: int, specks: str) -> str:
    facts = [query.kind, query.guess.shape, query.points.tolist()]
    facts += [smallest, specks] if query.kind == MASK else []
    digest = hashlib.blake2b(json.dumps(facts).encode(), digest_size=12)
    digest.update(np.ascontiguousarray(query.guess))
    picture = round_.image_path(query.name)
    if query.kind == FULL and picture:  # there may be no guess to tell one sample from another
        digest.update(picture.read_bytes())
    return digest.hexdigest()


def _known(guess) -> int | None:
    return None if guess == IGNORE else int(guess)


def _painted(patch: Patch) -> np.ndarray:
    """The patch's values, uint8[height, width]."""
    runs = np.asarray(patch.runs, np.int64).reshape(-1, 2)
    flat = np.repeat(runs[:, 0].astype(np.uint8), runs[:, 1])
    return flat.reshape(patch.height, patch.width)


def _box(patch: Patch) -> tuple[slice, slice]:
    rows = slice(patch.top, patch.top + patch.height)
    return rows, slice(patch.left, patch.left + patch.width)


def _segments_png(ids: np.ndarray) -> bytes:
    channels = np.stack([ids >> 16 & 255, ids >> 8 & 255, ids & 255], -1).astype(np.uint8)
    return encode_png(channels, level=1)
