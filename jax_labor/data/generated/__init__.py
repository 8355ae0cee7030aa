"""A data set that a generator makes and classifiers label: blocks of candidates, then TFDS shards.

Many processes write blocks of candidates (`write_block`), the most certain ones are kept
(`read_scores`, `keep_certain`), the processes copy those into ArrayRecord shards (`write_shards`),
and one completes the data set (`finish`). Whatever stops in between goes on where it stopped, and
the bytes do not depend on the number of processes. The finished data set needs nothing but TFDS to
be read; `catalogue.load("generated", ...)` reads it as every other one.
"""

from jax_labor.data.generated.blocks import block_done, read_scores, write_block
from jax_labor.data.generated.dataset import finish, is_finished, remove_parts, statistics
from jax_labor.data.generated.layout import (
    LABELLED,
    NAME,
    TRAIN,
    parts_folder,
    unfinished_folder,
    version_folder,
)
from jax_labor.data.generated.pairs import PICTURES, Candidate, Sample
from jax_labor.data.generated.selection import keep_certain
from jax_labor.data.generated.shards import write_shards

__all__ = [
    "LABELLED",
    "NAME",
    "PICTURES",
    "TRAIN",
    "Candidate",
    "Sample",
    "block_done",
    "finish",
    "is_finished",
    "keep_certain",
    "parts_folder",
    "read_scores",
    "remove_parts",
    "statistics",
    "unfinished_folder",
    "version_folder",
    "write_block",
    "write_shards",
]
