"""One training example: the same random geometry for image and labels, colour for the image."""

from collections.abc import Iterable

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.data import transforms
from jax_labor.data.sparse import resize_sparse
from jax_labor.data.transforms import Window
from jax_labor.data.views import TrainView
from jax_labor.errors import UserError

_TYPES = {"label": np.int32, "mask": np.float32}


def augment(example: dict, view: TrainView, rng: np.random.Generator) -> dict:
    """Draw one training example.

    Args:
        example: dict(image uint8[h, w, 3], label uint8[h', w'], sparse bool, index int, name str).
            The label has the image's size, except under "fixed", which looks at the whole of both.
        view: the settings.
        rng: the only source of randomness.

    Returns:
        dict(image float32[H, W, 3], label int32[H, W], index int32), and under "pad" and
        "scale_crop" mask float32[H, W, 1], 1 where the image is and 0 beside it.
    """
    found = _fitted(example, view) if view.resize == "pad" else _resized(example, view, rng)
    if view.flip and rng.random() < 0.5:
        found = {name: array[:, ::-1] for name, array in found.items()}
    image = _jittered(found.pop("image"), view, rng)
    return {
        "image": transforms.normalize(image, view.normalize),
        **{name: array.astype(_TYPES[name]) for name, array in found.items()},
        "index": np.int32(example["index"]),
    }


def _resized(example: dict, view: TrainView, rng: np.random.Generator) -> dict:
    """Image uint8[H, W, 3], label uint8[H, W] and perhaps mask of a part of both, or the whole."""
    image, label = example["image"], example["label"]
    native, size = image.shape[:2], view.size or image.shape[:2]
    window = choose_window(native, view, rng, example["name"])
    if window is not None:
        image = transforms.crop(image, window, transforms.mean_colour(view.normalize))
        label = transforms.crop(label, window, IGNORE)
    found = _scaled(example | {"image": image, "label": label}, size)
    if view.resize == "scale_crop":
        inside = transforms.crop(np.ones(native, np.uint8), window, 0)
        found["mask"] = transforms.resize_label(inside, size)[..., None]
    return found


def _fitted(example: dict, view: TrainView) -> dict:
    """Image uint8[H, W, 3], label uint8[H, W] and mask uint8[H, W, 1] of the whole in its shape."""
    place = transforms.fitted(example["image"].shape[:2], view.size)
    found = _scaled(example, (place.height, place.width))
    found["mask"] = np.ones((place.height, place.width, 1), np.uint8)
    fills = {"image": transforms.mean_colour(view.normalize), "label": IGNORE, "mask": 0}
    return {name: transforms.pad(found[name], place, view.size, fills[name]) for name in fills}


def _scaled(example: dict, size: tuple[int, int]) -> dict:
    resize_labels = resize_sparse if example["sparse"] else transforms.resize_label
    return {
        "image": transforms.resize_image(example["image"], size),
        "label": resize_labels(example["label"], size),
    }


def choose_window(
    native: tuple[int, int], view: TrainView, rng: np.random.Generator, name: str
) -> Window | None:
    """Draw the part of an image of `native` (h, w) pixels to look at; None is the whole.

    Raises:
        UserError: the smallest crop of "random_crop" does not fit into the image.
    """
    if view.resize in ("fixed", "pad"):
        return None
    height, width = view.size
    if view.resize == "random_crop":
        highest = _highest_crop(native, view, name)
        crop_height = int(rng.integers(view.crop_height[0], highest + 1))
        crop_size = (crop_height, max(1, round(crop_height * width / height)))
    else:
        scale = rng.uniform(*view.scale)
        crop_size = (max(1, round(height / scale)), max(1, round(width / scale)))
    # Rounding the width may exceed the image by one pixel, and scale_crop by any number: no room.
    top, left = (rng.integers(max(n - c, 0) + 1) for n, c in zip(native, crop_size, strict=True))
    return Window(int(top), int(left), *crop_size)


def check_crops(sizes: Iterable[tuple[str, tuple[int, int]]], view: TrainView) -> None:
    """Refuses an image, by its name and (H, W), too small for the least "random_crop"; UserError.

    Drawn at random, it might be met after hours of training.
    """
    if view.resize == "random_crop":
        for name, size in sizes:
            _highest_crop(size, view, name)


def _highest_crop(native, view: TrainView, name: str) -> int:
    lowest, highest = view.crop_height
    fits = min(native[0], native[1] * view.size[0] // view.size[1])
    if lowest > fits:
        raise UserError(
            f"{view.name}.crop_height={view.crop_height}: the smallest crop is higher than the "
            f"{fits} pixels that fit into {name} of {native[0]}x{native[1]}; lower it"
        )
    return min(highest, fits)


def _jittered(image: np.ndarray, view: TrainView, rng: np.random.Generator) -> np.ndarray:
    if not (view.brightness or view.contrast or view.saturation):
        return image
    if rng.random() >= view.jitter_probability:
        return image
    return transforms.jitter(
        np.ascontiguousarray(image),
        rng.uniform(-view.brightness, view.brightness),
        rng.uniform(1 - view.contrast, 1 + view.contrast),
        rng.uniform(1 - view.saturation, 1 + view.saturation),
    )
