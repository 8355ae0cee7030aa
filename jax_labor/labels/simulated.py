"""What a simulated person answers: the truth, with errors, doubts and a time of their own."""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence

import numpy as np

from jax_labor.classes import IGNORE

BAND_ROWS = 256


@dataclasses.dataclass(frozen=True)
class Answered:
    """One answer, in the page's terms.

    Attributes:
        action: "class", "unsure" or "patch".
        class_: the class of a "class".
        patches: of a "patch", {top, left, height, width, runs}: several where the area is large.
        accepted: the model's suggestion was taken.
        undone: a wrong class that was given first and taken back; None without one.
        seconds: thinking time.
        clicks: pointer presses.
        keys: key presses.
    """

    action: str
    class_: int | None
    patches: tuple[dict, ...]
    accepted: bool
    undone: int | None
    seconds: float
    clicks: int
    keys: int


@dataclasses.dataclass(frozen=True)
class Person:
    """How a simulated person answers; all of them answer alike.

    What is said of an item depends on the seed, the image and the item alone, so that any number of
    people in any order give the same labels.

    Attributes:
        num_classes: C.
        error: probability of a wrong class, for each class that an item holds.
        confusions: class -> the classes it is mistaken for; any other class where it is not listed.
        unsure: probability of "unsure" without need; void truth is always unsure.
        undo: probability that a wrong class is given first and taken back.
        seconds: median of the log-normal answering time.
        spread: standard deviation of its logarithm.
        seed: of everything drawn.
    """

    num_classes: int
    error: float = 0.0
    confusions: Mapping[int, Sequence[int]] = dataclasses.field(default_factory=dict)
    unsure: float = 0.0
    undo: float = 0.0
    seconds: float = 1.0
    spread: float = 0.5
    seed: int = 0

    def answer(
        self,
        name: str,
        item: int,
        truth: np.ndarray,
        pixels: np.ndarray,
        corner: tuple[int, int],
        guess: int | None,
    ) -> Answered:
        """What is said of one item.

        Args:
            name: the image.
            item: the item's number.
            truth: uint8[h, w], true classes in a rectangle around the item, 255 where void.
            pixels: bool[h, w], which of them belong to the item.
            corner: (top, left) of the rectangle in the image.
            guess: the model's suggestion for the item, None without one.
        """
        draw = np.random.default_rng([self.seed, zlib.crc32(name.encode()), item])
        doubt, slip = draw.random(2)
        seconds = self.seconds * float(np.exp(self.spread * draw.standard_normal()))
        said = np.where(pixels, self._heard(draw)[truth], IGNORE).astype(np.uint8)
        classes = np.unique(said[pixels])
        undone = None
        if slip < self.undo and self.num_classes > 1:
            undone = (int(classes[0]) + 1) % self.num_classes
        common = {"undone": undone, "seconds": seconds}
        if doubt < self.unsure or classes.tolist() in ([], [IGNORE]):
            return Answered("unsure", None, (), False, clicks=0, keys=1, **common)
        if len(classes) == 1:
            class_ = int(classes[0])
            return Answered("class", class_, (), class_ == guess, clicks=0, keys=1, **common)
        strokes = len(classes)
        patches = tuple(bands(said, corner))
        return Answered("patch", None, patches, False, clicks=strokes, keys=strokes, **common)

    def _heard(self, draw: np.random.Generator) -> np.ndarray:
        """uint8[256], what is said for each true class."""
        heard = np.full(256, IGNORE, np.uint8)
        heard[: self.num_classes] = np.arange(self.num_classes)
        chances = draw.random((2, self.num_classes))
        for class_ in np.flatnonzero(chances[0] < self.error):
            others = [c for c in range(self.num_classes) if c != class_]
            wrong = self.confusions.get(int(class_), others)
            if wrong:
                heard[class_] = wrong[int(chances[1, class_] * len(wrong))]
        return heard


def bands(label: np.ndarray, corner: tuple[int, int]) -> list[dict]:
    """uint8[h, w] as patches of at most `BAND_ROWS` rows, none overlapping; 255 is unlabelled."""
    found = []
    for top in range(0, len(label), BAND_ROWS):
        band = label[top : top + BAND_ROWS]
        size = {"height": band.shape[0], "width": band.shape[1]}
        place = {"top": corner[0] + top, "left": corner[1]}
        found.append(place | size | {"runs": runs(band)})
    return found


def runs(label: np.ndarray) -> list[int]:
    """[value, count, value, count ...] of uint8[h, w] in row-major order."""
    flat = label.ravel()
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    counts = np.diff(np.append(starts, flat.size))
    return np.stack([flat[starts], counts], 1).ravel().tolist()
