"""Where the files of a generated data set lie, finished and unfinished.

FOLDER/generated/1.0.0/   the finished data set: appears whole, by one renaming
FOLDER/generated/1.0.0/maker.json  what made it, by whoever did
FOLDER/parts/block-000012 candidates
FOLDER/parts/maker.json   what makes them, by whoever writes them
FOLDER/parts/1.0.0/       the data set while it is made
"""

from pathlib import Path

from jax_labor import files
from jax_labor.data.array_record import VERSION
from jax_labor.errors import UserError

NAME = "generated"
TRAIN, LABELLED = "train", "labelled"


def version_folder(folder) -> Path:
    """Folder of the finished data set, for `tfds.builder_from_directory`."""
    return Path(folder) / NAME / VERSION


def parts_folder(folder) -> Path:
    """Folder of all that goes once the data set is finished; `UserError` for a bucket."""
    if files.is_remote(folder):
        raise UserError(
            f"{folder}: a generated data set is written to a disk that all processes share, not to "
            "a bucket. Choose another workdir and copy the finished data set"
        )
    return Path(folder) / "parts"


def unfinished_folder(folder) -> Path:
    """Folder in which shards are collected."""
    return parts_folder(folder) / VERSION


def count_shards(examples: int, shard: int) -> int:
    """Number of files of `shard` examples each, the last of which may hold fewer."""
    return -(-examples // shard)
