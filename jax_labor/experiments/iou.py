"""Intersection over union of confusion matrices, in float64 on the host."""

import numpy as np


def class_iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union float64[..., C] of confusion matrices [..., C, C] (rows truth).

    nan for a class that neither occurs nor is predicted.
    """
    hits = np.diagonal(confusion, axis1=-2, axis2=-1)
    union = confusion.sum(-1) + confusion.sum(-2) - hits
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


def mean_iou(iou: np.ndarray) -> float:
    """Mean over the classes that have an IoU, nan where none has."""
    return float(np.nanmean(iou)) if np.isfinite(iou).any() else float("nan")
