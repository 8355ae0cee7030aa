"""Records of a generated data set, and the ArrayRecord files they are written to."""

import functools
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordReader

from jax_labor.data.array_record import serialize, shard_path, write_shard
from jax_labor.data.generated.blocks import read_pictures, read_tables
from jax_labor.data.generated.layout import (
    LABELLED,
    NAME,
    TRAIN,
    count_shards,
    unfinished_folder,
)
from jax_labor.data.generated.pairs import PICTURES, Sample, encode

_LOG = logging.getLogger(__name__)
FEATURES = tfds.features.FeaturesDict(
    {
        "image": tfds.features.Image(encoding_format="png"),
        "label": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
        "divergence": tfds.features.Image(shape=(None, None, 1), encoding_format="png"),
        "name": tfds.features.Text(),
        "score": tfds.features.Scalar(np.float32),
    }
)


def record_name(candidate: int) -> str:
    """Name of the record that candidate number `candidate` becomes."""
    return f"generated-{candidate:07d}"


def write_shards(
    folder: os.PathLike | str,
    kept: np.ndarray,
    *,
    blocks: int,
    shard: int,
    process_index: int = 0,
    process_count: int = 1,
) -> None:
    """Write the kept candidates, in order, as the split "train": this process's share of the files.

    A file that is there already is left alone, unless it was cut off; none appears before it is
    whole.

    Args:
      folder: the folder the blocks were written for.
      kept: candidate numbers int[n], ascending, as from `keep_certain`.
      blocks: number of blocks.
      shard: examples in each file, the last may hold fewer.
      process_index: this process writes the files s with s % process_count == process_index.
      process_count: number of processes.

    Raises:
      UserError: a block is missing or damaged, the disk is full or not writable.
    """
    tables = read_tables(folder, blocks)
    starts = np.cumsum([0, *(len(table.scores) for table in tables)])
    scores = np.concatenate([table.scores for table in tables])
    # Neighbouring shards share a block.
    read = functools.lru_cache(maxsize=1)(functools.partial(read_pictures, folder))

    def records(candidates: np.ndarray) -> Iterator[dict]:
        for candidate in candidates:
            block = np.searchsorted(starts, candidate, side="right") - 1
            pictures = read(int(block))[candidate - starts[block]]
            yield _record(record_name(candidate), pictures, scores[candidate])

    shards = count_shards(len(kept), shard)
    for index in range(process_index, shards, process_count):
        path = shard_path(unfinished_folder(folder), NAME, TRAIN, index, shards)
        own = kept[index * shard : (index + 1) * shard]
        if not _is_whole(path, len(own)):
            write_shard(path, serialize(FEATURES, records(own)))


def write_labelled(folder: os.PathLike | str, samples: Iterable[Sample]) -> Path:
    """Write the hand-labelled samples, with score 0, as the only file of the split "labelled";
    return its path."""
    path = shard_path(unfinished_folder(folder), NAME, LABELLED, 0, 1)
    records = (_record(each.name, encode(each), 0.0) for each in samples)
    write_shard(path, serialize(FEATURES, records))
    return path


def _is_whole(path: Path, records: int) -> bool:
    """Whether the file is there and holds `records` records; logs when it is damaged."""
    if not path.exists():
        return False
    reader = ArrayRecordReader(str(path))
    if reader.ok() and reader.num_records() == records:
        reader.close()
        return True
    _LOG.warning("%s: damaged; it is written again", path)
    return False


def _record(name: str, pictures: tuple[bytes, bytes, bytes], score: float) -> dict:
    named = zip(PICTURES, pictures, strict=True)
    return {**dict(named), "name": name, "score": np.float32(score)}
