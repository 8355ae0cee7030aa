"""Images with their label maps, as they come to be written."""

from dataclasses import dataclass

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.pixels import encode_png


@dataclass(frozen=True)
class Candidate:
    """A generated image uint8[H, W, 3], its train ids uint8[H, W] with 255 = ignore, and the score:
    its uncertainty, the higher the less certain."""

    image: np.ndarray
    label: np.ndarray
    score: float


@dataclass(frozen=True)
class Sample:
    """A hand-labelled sample: name, image uint8[H, W, 3], train ids uint8[H, W]."""

    name: str
    image: np.ndarray
    label: np.ndarray


def encode_pair(image: np.ndarray, label: np.ndarray) -> tuple[bytes, bytes]:
    """PNG files of uint8[H, W, 3] and uint8[H, W]; `ValueError` on anything else."""
    fits = image.ndim == 3 and image.shape == (*label.shape, 3)
    if not fits or image.dtype != np.uint8 or label.dtype != np.uint8:
        raise ValueError(
            f"image {image.dtype}{list(image.shape)} and label {label.dtype}{list(label.shape)}; "
            "uint8[H, W, 3] and uint8[H, W] are needed"
        )
    return encode_png(image), encode_png(label)


def count_pixels(label: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels int64[C + 1] of every class and, last, of `IGNORE`; `ValueError` on other ids."""
    counts = np.bincount(label.ravel(), minlength=IGNORE + 1)
    if counts[num_classes:IGNORE].any():
        raise ValueError(f"train id {label[label != IGNORE].max()} of {num_classes} classes")
    return counts[[*range(num_classes), IGNORE]]
