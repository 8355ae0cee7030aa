"""Image and label operations of the input pipeline: NumPy and Pillow, uint8 until the very end."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageEnhance


class Normalization(NamedTuple):
    """y = x * scale + offset on channels 0..255, reversed to BGR first where `bgr` says so."""

    bgr: bool
    scale: tuple[float, float, float]
    offset: tuple[float, float, float]
    mean_rgb: tuple[float, float, float]


_CAFFE_BGR = (104.00698793, 116.66876762, 122.67891434)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

NORMALIZATIONS = {
    "caffe": Normalization(True, (1.0,) * 3, tuple(-m for m in _CAFFE_BGR), _CAFFE_BGR[::-1]),
    "imagenet": Normalization(
        False,
        tuple(1 / (255 * s) for s in _IMAGENET_STD),
        tuple(-m / s for m, s in zip(_IMAGENET_MEAN, _IMAGENET_STD, strict=True)),
        tuple(255 * m for m in _IMAGENET_MEAN),
    ),
    "unit": Normalization(False, (2 / 255,) * 3, (-1.0,) * 3, (127.5,) * 3),
}


class Window(NamedTuple):
    """A rectangle of an image in whole pixels; below and to the right it may leave the image."""

    top: int
    left: int
    height: int
    width: int


def normalize(image: np.ndarray, name: str) -> np.ndarray:
    """Turn a colour image into what a pretrained net expects.

    "caffe": BGR, 0..255, minus (104.00698793, 116.66876762, 122.67891434), no division.
    "imagenet": RGB / 255, minus the ImageNet mean, divided by its standard deviation.
    "unit": RGB in -1..1.

    Args:
        image: uint8[H, W, 3], RGB.
        name: a key of `NORMALIZATIONS`.

    Returns:
        float32[H, W, 3].
    """
    rule = NORMALIZATIONS[name]
    height, width = image.shape[:2]
    if rule.bgr:
        image = image[..., ::-1]
    # Over rows of W * 3 numbers NumPy broadcasts at memory speed; over 3 channels it crawls.
    rows = np.ascontiguousarray(image).reshape(height, width * 3).astype(np.float32)
    rows *= np.tile(np.asarray(rule.scale, np.float32), width)
    rows += np.tile(np.asarray(rule.offset, np.float32), width)
    return rows.reshape(height, width, 3)


def mean_colour(name: str) -> np.ndarray:
    """uint8[3], RGB: the colour that `normalize` brings to (about) zero."""
    return np.rint(NORMALIZATIONS[name].mean_rgb).astype(np.uint8)


def resize_image(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize uint8[h, w, 3] to uint8[H, W, 3], bicubic with antialiasing (Pillow)."""
    return _resize(image, size, Image.Resampling.BICUBIC)


def resize_label(labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize dense uint8[h, w] to uint8[H, W] by nearest sampling (Pillow)."""
    return _resize(labels, size, Image.Resampling.NEAREST)


def _resize(array: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
    if array.shape[:2] == tuple(size):
        return array
    return np.asarray(Image.fromarray(array).resize((size[1], size[0]), how))


def crop(array: np.ndarray, window: Window, fill) -> np.ndarray:
    """Cut `window` out of uint8[h, w, ...]; what lies outside the array becomes `fill`.

    Returns:
        uint8[window.height, window.width, ...], a view where the window lies inside.
    """
    inside = array[
        window.top : window.top + window.height, window.left : window.left + window.width
    ]
    if inside.shape[:2] == (window.height, window.width):
        return inside
    out = np.empty((window.height, window.width, *array.shape[2:]), np.uint8)
    out[...] = fill
    out[: inside.shape[0], : inside.shape[1]] = inside
    return out


def fitted(native: tuple[int, int], size: tuple[int, int]) -> Window:
    """Where in the middle of `size` (H, W) an image of `native` (h, w) pixels fits, at its largest.

    The sides keep their ratio but for rounding to whole pixels, at least one.
    """
    scale = min(size[0] / native[0], size[1] / native[1])
    height, width = (max(1, round(length * scale)) for length in native)
    return Window((size[0] - height) // 2, (size[1] - width) // 2, height, width)


def pad(array: np.ndarray, place: Window, size: tuple[int, int], fill) -> np.ndarray:
    """Lay uint8[place.height, place.width, ...] at `place` into uint8[*size, ...] of `fill`."""
    out = np.empty((*size, *array.shape[2:]), np.uint8)
    out[...] = fill
    out[place.top : place.top + place.height, place.left : place.left + place.width] = array
    return out


def jitter(image: np.ndarray, brightness: float, contrast: float, saturation: float) -> np.ndarray:
    """Change the colour of an image: x * contrast + 255 * brightness, then saturation.

    Args:
        image: uint8[H, W, 3].
        brightness: added share of full scale, 0 = unchanged.
        contrast: factor on the values, 1 = unchanged.
        saturation: factor on the distance from the grey of equal luminance, 1 = unchanged.

    Returns:
        uint8[H, W, 3], clipped to 0..255.
    """
    if (brightness, contrast) != (0, 1):
        table = np.rint(np.arange(256) * contrast + 255 * brightness)
        image = np.take(np.clip(table, 0, 255).astype(np.uint8), image)
    if saturation != 1:
        image = np.asarray(ImageEnhance.Color(Image.fromarray(image)).enhance(saturation))
    return image
