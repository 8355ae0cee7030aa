"""Load any data set by name: prepare it on first use, then read it at random."""

import contextlib
import fcntl
import fnmatch
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
from absl import logging as absl_log

from jax_labor.data.builders import BUILDERS, make_source
from jax_labor.data.builders.source import Problem, Source
from jax_labor.data.builders.tfds_builder import (
    DROPPED_FILE,
    SegmentationBuilder,
    config_for,
    report_problems,
)
from jax_labor.data.generated import reading
from jax_labor.data.generated.layout import NAME as GENERATED
from jax_labor.data.prepared import Part, PreparedRecords
from jax_labor.errors import UserError
from jax_labor.files import local_folder

_METADATA_FILE = "metadata.json"
_INCOMPLETE = tfds.core.constants.INCOMPLETE_PREFIX


def load(
    name: str,
    *,
    root: str | None = None,
    data_dir: str | None = None,
    split: str,
    classes: str,
    names: str = "*",
    drop_bad: bool = False,
    options: Mapping | None = None,
    prepare: bool = True,
) -> PreparedRecords:
    """Records of a data set, prepared to ArrayRecord when they are not yet.

    Args:
      name: gta5, synthia, cityscapes, camvid, ccp, image_folder, streets, figures or generated.
      root: folder of the data set as its publisher lays it out; not used by streets and figures;
        for generated the folder that contains it, as `generated.finish` leaves it.
      data_dir: where prepared data lies; TFDS's own default folder when None or "".
      split: a split, or several joined by "+".
      classes: name of a class table; "own" or "" with image_folder takes its classes file, with
        generated the table it was made in.
      names: only records whose name matches one of these patterns, e.g. "0001TP_*|Seq05VD_*".
      drop_bad: leave out records with a defect, and log them, instead of stopping.
      options: see `builders.make_source`; generated has none.
      prepare: False on all but one of several processes that start together: they read what the
        one has prepared.

    Returns:
      Records in order of splits and names.

    Raises:
      UserError: a missing folder, split or map; defects without `drop_bad`; no matching name; data
        that is not prepared although `prepare` is False.
    """
    if name == GENERATED:
        if options:
            raise UserError(f"data set '{name}' has no option '{next(iter(options))}'")
        return _load_generated(root, split, classes, names)
    source = make_source(name, root, classes, options)
    splits = split.split("+")
    for part in splits:
        source.check_split(part)
    labelled = {part: source.has_labels(part) for part in splits}
    if len(set(labelled.values())) > 1:
        raise UserError(f"{name} {split}: {labelled}; join splits that all have labels or none")
    folders = [_prepared(source, part, data_dir, drop_bad, prepare) for part in splits]
    return _records(
        tuple(Part(str(f), part) for f, part in zip(folders, splits, strict=True)),
        [json.loads((folder / _METADATA_FILE).read_text()) for folder in folders],
        names,
        f"{name} {split}",
        table=source.table,
        has_labels=labelled[splits[0]],
        description=f"{source.description}, {split}",
    )


def _load_generated(root: str | None, split: str, classes: str, names: str) -> PreparedRecords:
    """As `load`: these records were written as prepared data from the start."""
    folder, metadata, of_splits = reading.read_metadata(root, split)
    return _records(
        tuple(Part(str(folder), part) for part in split.split("+")),
        of_splits,
        names,
        f"{GENERATED} {split}",
        table=reading.class_table(metadata, classes),
        has_labels=True,
        description=f"{metadata['description']}, {split}",
    )


def _records(
    parts: tuple[Part, ...],
    metadata: list[dict],
    names: str,
    title: str,
    *,
    description: str,
    **fields,
) -> PreparedRecords:
    """The records of `parts`, with the metadata of each, whose name matches."""
    chosen = _choose(metadata, names, title)
    return PreparedRecords(
        parts=parts,
        positions=[(part, index) for part, index, _ in chosen],
        names=tuple(record for _, _, record in chosen),
        sizes=[metadata[part]["sizes"][index] for part, index, _ in chosen],
        description=description + (f", {names}" if names != "*" else ""),
        class_pixels=np.sum([m["class_pixels"] for m in metadata], axis=0, dtype=np.int64),
        **fields,
    )


def _choose(metadata: list[dict], names: str, title: str) -> list[tuple[int, int, str]]:
    """(part, index, name) of the records whose name matches; `UserError` on none or a duplicate."""
    everything = [(p, i, n) for p, m in enumerate(metadata) for i, n in enumerate(m["names"])]
    patterns = names.split("|")
    chosen = [
        row for row in everything if any(fnmatch.fnmatchcase(row[2], each) for each in patterns)
    ]
    if not chosen:
        examples = ", ".join(row[2] for row in everything[:: max(1, len(everything) // 3)][:3])
        raise UserError(f"{title}: no name matches '{names}'; names look like {examples}")
    seen = set()
    for _, _, record in chosen:
        if record in seen:
            raise UserError(f"{title}: both splits have a record '{record}'; rename its files")
        seen.add(record)
    return chosen


def _prepared(
    source: Source, split: str, data_dir: str | None, drop_bad: bool, prepare: bool
) -> Path:
    """Folder of the prepared split, which is made when it is missing and `prepare` allows it."""
    root = local_folder(data_dir or tfds.core.constants.DATA_DIR, "data.dir")
    builder = BUILDERS[source.name](config=config_for(source, split, drop_bad), data_dir=str(root))
    folder = Path(builder.data_dir)
    if not folder.is_dir():
        if not prepare:
            raise UserError(
                f"{source.name} {split} is not prepared in {root}; run launch/prepare.py "
                f"--dataset={source.name} first, or start the process that prepares it"
            )
        _prepare(builder, folder)
    else:
        _report_dropped(source, split, folder, drop_bad)
    return folder


def _prepare(builder: SegmentationBuilder, folder: Path) -> None:
    """Prepare under a lock: a second process waits, and what a killed one left is removed."""
    with _locked(folder.parent), _quiet():
        if folder.is_dir():
            return
        for left_over in folder.parent.glob(f"{_INCOMPLETE}*"):
            shutil.rmtree(left_over)
        builder.download_and_prepare()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without TFDS's bars and notices: our own progress line fits into a log."""
    tfds.disable_progress_bar()
    verbosity = absl_log.get_verbosity()
    absl_log.set_verbosity(absl_log.WARNING)
    try:
        yield
    finally:
        absl_log.set_verbosity(verbosity)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise UserError(f"cannot write prepared data to {folder} ({error}); set data_dir") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _report_dropped(source: Source, split: str, folder: Path, drop_bad: bool) -> None:
    problems = [Problem(**fields) for fields in json.loads((folder / DROPPED_FILE).read_text())]
    report_problems(f"{source.name} {split}", problems, drop_bad, left=1)
