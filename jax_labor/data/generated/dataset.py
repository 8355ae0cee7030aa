"""From shards to a finished data set, and what it says about itself."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from jax_labor import files
from jax_labor.classes import ClassTable
from jax_labor.data.array_record import Shards, shard_path, write_info
from jax_labor.data.generated.blocks import read_tables
from jax_labor.data.generated.facts import facts_of_kept, facts_of_samples, statistics_of
from jax_labor.data.generated.layout import (
    LABELLED,
    NAME,
    TRAIN,
    count_shards,
    parts_folder,
    unfinished_folder,
    version_folder,
)
from jax_labor.data.generated.pairs import Sample
from jax_labor.data.generated.shards import FEATURES, write_labelled
from jax_labor.errors import UserError

_STATISTICS_FILE = "statistics.json"


def is_finished(folder: os.PathLike | str) -> bool:
    """Whether `folder` holds a finished data set."""
    return version_folder(folder).is_dir()


def finish(
    folder: os.PathLike | str,
    kept: np.ndarray,
    *,
    blocks: int,
    shard: int,
    table: ClassTable,
    description: str,
    labelled: Sequence[Sample] = (),
) -> None:
    """Complete the data set once every process has written its shards; on one process.

    Writes the split "labelled" when there are hand-labelled samples, the files that TFDS and
    `catalogue.load` read, and `statistics`; then the whole appears under its final name and the
    blocks go. Stopped at any moment it can be called again, also after the end; a run that finds
    the data set finished needs no more than `remove_parts`.

    Args:
      folder: the folder of `write_shards`.
      kept: as given to `write_shards`, and so on for `blocks` and `shard`.
      blocks: as above.
      shard: as above.
      table: classes of the labels.
      description: one sentence for reports.
      labelled: the hand-labelled samples.

    Raises:
      UserError: a shard or block is missing or of other classes, the disk is full or not writable.
      ValueError: a hand-labelled sample has pixels of a wrong shape, type or class.
    """
    if not is_finished(folder):
        unfinished = unfinished_folder(folder)
        files.remove_parts(unfinished)
        shards = _shards(unfinished, len(kept), shard)
        tables = read_tables(folder, blocks)
        facts = {TRAIN: facts_of_kept(tables, kept, table.num_classes)}
        if labelled:
            facts[LABELLED] = facts_of_samples(labelled, table.num_classes)
            shards[LABELLED] = [(write_labelled(folder, labelled), len(labelled))]
        scores = np.concatenate([each.scores for each in tables])
        numbers = statistics_of(facts, table, scores, kept)
        files.write_json(unfinished / _STATISTICS_FILE, numbers)
        metadata = {
            "description": description,
            "classes": asdict(table),
            "splits": {split: each.metadata() for split, each in facts.items()},
        }
        write_info(unfinished, NAME, FEATURES, shards, description, metadata)
        _publish(unfinished, version_folder(folder))
    remove_parts(folder)


def remove_parts(folder: os.PathLike | str) -> None:
    """Remove the blocks that a finished data set was made from, where they are still there."""
    parts = parts_folder(folder)
    with files.disk_errors(parts):
        if parts.exists():
            shutil.rmtree(parts)


def statistics(folder: os.PathLike | str) -> dict:
    """Numbers of a finished data set.

    Returns:
      dict(classes: names; splits: by split dict(images, class_pixels [C], ignored_pixels,
      class_images [C], the images that contain each class); scores: dict(kept, dropped), lists in
      order of the candidates).

    Raises:
      UserError: there is no finished data set in `folder`.
    """
    return files.read_json(version_folder(folder) / _STATISTICS_FILE)


def _shards(unfinished: Path, count: int, shard: int) -> dict[str, Shards]:
    """Path and examples of every file of the split "train"; `UserError` when one is missing."""
    total = count_shards(count, shard)
    paths = [shard_path(unfinished, NAME, TRAIN, index, total) for index in range(total)]
    for path in paths:
        if not path.exists():
            raise UserError(f"{path}: missing. Start the run again: it writes what is missing")
    return {TRAIN: [(p, min(shard, count - i * shard)) for i, p in enumerate(paths)]}


def _publish(unfinished: Path, final: Path) -> None:
    with files.disk_errors(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        unfinished.rename(final)
