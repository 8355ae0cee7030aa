"""What is known of a split without opening its records, and the numbers drawn from that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jax_labor.classes import ClassTable
from jax_labor.data.generated.blocks import Table
from jax_labor.data.generated.pairs import Sample, count_pixels
from jax_labor.data.generated.shards import record_name
from jax_labor.errors import UserError


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


def facts_of_kept(tables: Sequence[Table], kept: np.ndarray, num_classes: int) -> Facts:
    """Facts of the kept candidates; `UserError` when a block counted other classes."""
    for number, table in enumerate(tables):
        if table.pixels.shape[1] != num_classes + 1:
            raise UserError(
                f"block {number} was made with {table.pixels.shape[1] - 1} classes, now there are "
                f"{num_classes}. Choose another workdir, or the classes it was begun with"
            )
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
