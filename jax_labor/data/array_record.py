"""Records to ArrayRecord files, and what TFDS needs to read them; one record after another.

Not by TFDS's own writer: it keeps a split in memory to shuffle it, and wants TensorFlow for one
above 1000 MiB. Whoever writes files gives them a folder that does not have its final name yet.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter

from jax_labor import files
from jax_labor.errors import UserError

VERSION = "1.0.0"  # of every data set that we write; names its folder
SHARD_BYTES = 256 * 2**20
_SUFFIX = "array_record"
_RANDOM_ACCESS = "group_size:1"  # how TFDS writes its own; it warns on reading any other

Shards = list[tuple[Path, int]]
"""Path and number of records of every file of a split, in order."""


def shard_path(
    folder: os.PathLike | str, dataset: str, split: str, index: int, shards: int
) -> Path:
    """Path of one of `shards` files of `split`, named as TFDS looks for it."""
    template = _template(folder, dataset).replace(split=split)
    return Path(template.sharded_filepath(shard_index=index, num_shards=shards))


def serialize(features: tfds.features.FeaturesDict, records: Iterable[dict]) -> Iterator[bytes]:
    """The bytes that TFDS stores for each record of `features`."""
    serializer = tfds.core.example_serializer.ExampleSerializer(features.get_serialized_info())
    for record in records:
        example = serializer.get_tf_example(features.encode_example(record))
        yield example.SerializeToString(deterministic=True)


def write_shard(path: Path, serialized: Iterable[bytes]) -> int:
    """Write one file, which appears when it is whole; return its number of records.

    Raises:
      UserError: the disk is full or not writable, or the path is not UTF-8.
    """
    count = 0
    if not files.is_utf8(path):
        raise UserError(f"{path!r}: ArrayRecord writes to paths in UTF-8 alone; choose another")

    def write(beside) -> None:
        nonlocal count
        writer = ArrayRecordWriter(beside.name, _RANDOM_ACCESS)
        for data in serialized:
            writer.write(data)
            count += 1
        writer.close()

    files.write_with(path, write)
    return count


def write_split(folder: Path, dataset: str, split: str, serialized: Iterable[bytes]) -> Shards:
    """Write records in order to as many files of about `SHARD_BYTES` as they need; none for none.

    Raises:
      UserError: the disk is full or not writable.
    """
    total, parts = 0, []

    def shard_of(data: bytes) -> int:
        nonlocal total
        total += len(data)
        return total // SHARD_BYTES

    for _, own in itertools.groupby(serialized, shard_of):
        part = folder / f"{split}-{len(parts)}.part"  # the final name says how many there are
        parts.append((part, write_shard(part, own)))
    return [
        (part.rename(shard_path(folder, dataset, split, index, len(parts))), count)
        for index, (part, count) in enumerate(parts)
    ]


def write_info(
    folder: Path,
    dataset: str,
    features: tfds.features.FeaturesDict,
    shards: Mapping[str, Shards],
    description: str,
    metadata: Mapping,
) -> None:
    """Write what `tfds.builder_from_directory` reads: features, splits and metadata (JSON-able).

    Raises:
      UserError: the disk is full or not writable.
    """
    template = _template(folder, dataset)
    splits = [
        tfds.core.SplitInfo(
            name=split,
            shard_lengths=[count for _, count in written],
            num_bytes=sum(path.stat().st_size for path, _ in written),
            filename_template=template.replace(split=split),
        )
        for split, written in shards.items()
    ]
    info = tfds.core.DatasetInfo(
        builder=tfds.core.DatasetIdentity(
            name=dataset,
            version=tfds.core.Version(VERSION),
            data_dir=os.fspath(folder),
            module_name="",
        ),
        features=features,
        description=description,
        disable_shuffling=True,  # records are in an order that means something
        metadata=tfds.core.MetadataDict(metadata),
    )
    info.set_file_format(tfds.core.FileFormat.ARRAY_RECORD)
    info.set_splits(tfds.core.SplitDict(splits))
    with files.disk_errors(folder):
        info.write_to_directory(folder)


def _template(folder: os.PathLike | str, dataset: str) -> tfds.core.ShardedFileTemplate:
    return tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name=dataset, filetype_suffix=_SUFFIX
    )
