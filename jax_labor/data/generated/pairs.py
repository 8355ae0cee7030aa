"""Images with their label maps and how certain those are, as they come to be written."""

from dataclasses import dataclass

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.pixels import encode_png

PICTURES = ("image", "label", "divergence")
"""The pictures of a record, in the order of `encode`."""


@dataclass(frozen=True)
class Candidate:
    """What a generator and an ensemble made.

    Attributes:
      image: uint8[H, W, 3].
      label: uint8[H, W] train ids, 255 = ignore.
      divergence: uint8[H, W], uncertainty of each pixel, 500 to the nat; 255 is 0.51 nats or more.
      score: uncertainty of the image.
    """

    image: np.ndarray
    label: np.ndarray
    divergence: np.ndarray
    score: float


@dataclass(frozen=True)
class Sample:
    """A hand-labelled sample: name, image uint8[H, W, 3], train ids uint8[H, W]; it is certain."""

    name: str
    image: np.ndarray
    label: np.ndarray

    @property
    def divergence(self) -> np.ndarray:
        """As of a `Candidate`: 0 everywhere."""
        return np.zeros_like(self.label)


def encode(one: Candidate | Sample) -> tuple[bytes, bytes, bytes]:
    """PNG files of the `PICTURES`; `ValueError` where their shapes or types do not fit."""
    pictures = [getattr(one, name) for name in PICTURES]
    size = one.image.shape[:2]
    shapes = [(*size, 3), size, size]
    if [x.shape for x in pictures] != shapes or any(x.dtype != np.uint8 for x in pictures):
        found = [f"{n} {x.dtype}{list(x.shape)}" for n, x in zip(PICTURES, pictures, strict=True)]
        raise ValueError(f"{', '.join(found)}; uint8[H, W, 3] and twice uint8[H, W] are needed")
    return tuple(map(encode_png, pictures))


def count_pixels(label: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels int64[C + 1] of every class and, last, of `IGNORE`; `ValueError` on other ids."""
    counts = np.bincount(label.ravel(), minlength=IGNORE + 1)
    if counts[num_classes:IGNORE].any():
        raise ValueError(f"train id {label[label != IGNORE].max()} of {num_classes} classes")
    return counts[[*range(num_classes), IGNORE]]
