"""How far two people agree on one image, and over many."""

from collections.abc import Iterable, Mapping

import numpy as np

from jax_labor.classes import IGNORE


def agreement(a: np.ndarray, b: np.ndarray, num_classes: int) -> dict:
    """Agreement of two label maps of one image, over the pixels that both people labelled.

    Cohen's kappa (Cohen, 1960) is (p_o - p_e) / (1 - p_e): p_o the share of these pixels with the
    same class, p_e the share expected if both drew from their own class frequencies by chance.

    Args:
        a, b: integer[H, W] train ids; 255 where that person gave no class.
        num_classes: C; every other value lies in [0, C).

    Returns:
        pixels: pixels labelled by both;
        agree: share of them with the same class, None without any;
        kappa: in [-1, 1]; None where it is 0 / 0, that is without any pixel, or where both gave
        one and the same class everywhere: then chance alone would agree as well.

    Raises:
        ValueError: the maps differ in shape or hold a value outside the classes.
    """
    confusion = _confusion(np.asarray(a), np.asarray(b), num_classes)
    pixels = int(confusion.sum())
    if pixels == 0:
        return {"pixels": 0, "agree": None, "kappa": None}
    same = int(np.trace(confusion))
    # Python integers: the products outgrow int64 only beyond 2^63, and 0 / 0 is seen exactly.
    chance = sum(int(x) * int(y) for x, y in zip(confusion.sum(0), confusion.sum(1), strict=True))
    kappa = (same * pixels - chance) / (pixels**2 - chance) if chance < pixels**2 else None
    return {"pixels": pixels, "agree": same / pixels, "kappa": kappa}


def combine(facts: Iterable[Mapping]) -> dict:
    """Agreement over several images, from the `agreement` of each.

    Returns:
        images: how many have a pixel labelled by both; pixels: their sum;
        agree: share of all these pixels with the same class, None without any;
        kappa: mean over the images that have one, weighted by their pixels, None without any. It
        is not the kappa of all images as one: class frequencies are those of each image.
    """
    seen = [fact for fact in facts if fact["pixels"]]
    return {
        "images": len(seen),
        "pixels": sum(fact["pixels"] for fact in seen),
        "agree": _mean(seen, "agree"),
        "kappa": _mean([fact for fact in seen if fact["kappa"] is not None], "kappa"),
    }


def _mean(facts: list[Mapping], key: str) -> float | None:
    pixels = sum(fact["pixels"] for fact in facts)
    return sum(fact["pixels"] * fact[key] for fact in facts) / pixels if pixels else None


def _confusion(a: np.ndarray, b: np.ndarray, num_classes: int) -> np.ndarray:
    """int64[C, C], pixels by class of `a` (row) and of `b` (column)."""
    if a.shape != b.shape:
        raise ValueError(f"label maps of shape {a.shape} and {b.shape} cannot be compared")
    both = (a != IGNORE) & (b != IGNORE)
    pairs = np.stack([a[both], b[both]]).astype(np.int64)
    if pairs.size and (pairs.min() < 0 or pairs.max() >= num_classes):
        raise ValueError(f"a label lies outside the {num_classes} classes and is not {IGNORE}")
    flat = np.bincount(pairs[0] * num_classes + pairs[1], minlength=num_classes**2)
    return flat.reshape(num_classes, num_classes)
