"""What is known of a split without opening its records, and the numbers drawn from that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jax_labor.classes import ClassTable
from jax_labor.data.generated.blocks import Table, count_pixels
from jax_labor.data.generated.shards import Sample, record_name


@dataclass(frozen=True)
class Facts:
    """Of the n records of a split, in order: names, sizes int[n, 2] (height, width), and pixels
    int64[n, C + 1] by class, the ignored ones last."""

    names: Sequence[str]
    sizes: np.ndarray
    pixels: np.ndarray

    def metadata(self) -> dict:
        """The fields that `catalogue.load` reads."""
        return {
            "names": list(self.names),
            "sizes": self.sizes.tolist(),
            "class_pixels": self.pixels[:, :-1].sum(0).tolist(),
        }

    def statistics(self) -> dict:
        """Counts of images, of pixels by class, and of images that contain each class."""
        return {
            "images": len(self.names),
            "class_pixels": self.pixels[:, :-1].sum(0).tolist(),
            "ignored_pixels": int(self.pixels[:, -1].sum()),
            "class_images": (self.pixels[:, :-1] > 0).sum(0).tolist(),
        }


def facts_of_kept(tables: Sequence[Table], kept: np.ndarray) -> Facts:
    """Facts of the kept candidates."""
    return Facts(
        [record_name(candidate) for candidate in kept],
        np.concatenate([table.sizes for table in tables])[kept],
        np.concatenate([table.pixels for table in tables])[kept],
    )


def facts_of_samples(samples: Sequence[Sample], num_classes: int) -> Facts:
    """Facts of hand-labelled samples; `ValueError` for a train id outside the classes."""
    return Facts(
        [sample.name for sample in samples],
        np.array([sample.label.shape for sample in samples]),
        np.stack([count_pixels(sample.label, num_classes) for sample in samples]),
    )


def statistics_of(
    facts: Mapping[str, Facts], table: ClassTable, scores: np.ndarray, kept: np.ndarray
) -> dict:
    """See `dataset.statistics`."""
    dropped = np.delete(scores, kept)
    return {
        "classes": table.names,
        "splits": {split: each.statistics() for split, each in facts.items()},
        "scores": {"kept": scores[kept], "dropped": dropped},
    }
