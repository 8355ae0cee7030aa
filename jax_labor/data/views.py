"""How a net looks at an image: sizes, crops, colour and normalisation as settings."""

import math
from dataclasses import dataclass
from numbers import Integral, Real

from jax_labor.data.transforms import NORMALIZATIONS
from jax_labor.errors import UserError, check_choice

RESIZE_RULES = ("fixed", "random_crop", "scale_crop", "pad")
_NORMALIZE = "config.data.normalize"  # one for all views


@dataclass(frozen=True)
class TrainView:
    """The training view of an image; every field but `name` is one leaf of a config.

    Attributes:
        size: (H, W) in pixels, or None to keep each image's own size (rule "fixed" only).
        resize: "fixed": the whole image to `size` (AdaptSegNet, ADVENT, RIPU).
            "random_crop": a crop of random height and of the aspect of `size`, then to `size`
            (IAST). "scale_crop": the image at a random scale, then a crop of `size`; what lies
            outside the image has the mean colour and label 255. "pad": the whole image in its own
            shape, as large as fits into the middle of `size`; what is left has the mean colour and
            label 255, and batches have a mask.
        crop_height: (lowest, highest) height of "random_crop" in pixels of the image as read;
            the highest is lowered to what fits the image. IAST: 341 to 950 (GTA5), 1000
            (Cityscapes), 640 (SYNTHIA).
        scale: (lowest, highest) scale of "scale_crop".
        flip: mirror left-right with probability 1/2.
        brightness: b adds a value out of [-255 b, 255 b] to all three channels.
        contrast: c multiplies by a factor out of [1 - c, 1 + c], before the brightness is added.
        saturation: s multiplies the distance from grey by a factor out of [1 - s, 1 + s].
        jitter_probability: share of the images whose colour is changed at all.
        normalize: "caffe", "imagenet" or "unit", see `transforms.normalize`.
        name: the section of the config that the fields are from; used in messages.
    """

    size: tuple[int, int] | None = None
    resize: str = "fixed"
    crop_height: tuple[int, int] = (341, 1000)
    scale: tuple[float, float] = (0.5, 1.5)
    flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    jitter_probability: float = 1.0
    normalize: str = "imagenet"
    name: str = "view"

    def __post_init__(self):
        object.__setattr__(self, "size", _checked_size(f"{self.name}.size", self.size))
        check_choice(f"{self.name}.resize", self.resize, RESIZE_RULES)
        check_choice(_NORMALIZE, self.normalize, NORMALIZATIONS)
        if self.resize != "fixed" and self.size is None:
            raise UserError(
                f'{self.name}.resize="{self.resize}" needs {self.name}.size=(height, width)'
            )
        for field in ("crop_height", "scale"):
            limits = _checked_range(f"{self.name}.{field}", getattr(self, field))
            object.__setattr__(self, field, limits)
        for field in ("brightness", "contrast", "saturation", "jitter_probability"):
            if not 0 <= getattr(self, field) <= 1:
                raise UserError(f"{self.name}.{field}={getattr(self, field)} must lie in [0, 1]")


@dataclass(frozen=True)
class EvalView:
    """The evaluation view of an image: whole, undistorted in colour.

    Attributes:
        size: (H, W) in pixels, or None for each image's own size.
        scale: factor on that size, for multi-scale evaluation.
        normalize: as in `TrainView`.
    """

    size: tuple[int, int] | None = None
    scale: float = 1.0
    normalize: str = "imagenet"

    def __post_init__(self):
        object.__setattr__(self, "size", _checked_size("config.eval.size", self.size))
        check_choice(_NORMALIZE, self.normalize, NORMALIZATIONS)
        if not 0 < self.scale < math.inf:
            raise UserError(f"config.eval.scales: {self.scale} must be above 0")

    def input_size(self, native: tuple[int, int]) -> tuple[int, int]:
        """(H, W) the net sees of an image of `native` (H, W) pixels."""
        height, width = self.size or native
        return self._rounded(height), self._rounded(width)

    def _rounded(self, length: int) -> int:
        return max(1, round(length * self.scale))


def _checked_size(setting: str, size) -> tuple[int, int] | None:
    if size is None or tuple(size) == (None,):  # as a flag's None is read for a tuple
        return None
    size = tuple(size)
    if len(size) != 2 or not all(isinstance(n, Integral) and n >= 1 for n in size):
        raise UserError(f"{setting}={size} must be (height, width) in whole pixels, or None")
    return int(size[0]), int(size[1])


def _checked_range(setting: str, limits) -> tuple:
    limits = tuple(limits)
    numbers = len(limits) == 2 and all(isinstance(limit, Real) for limit in limits)
    if not numbers or not 0 < limits[0] <= limits[1] < math.inf:
        raise UserError(f"{setting}={limits} must be (lowest, highest), both above 0")
    return limits
