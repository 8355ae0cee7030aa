"""Load any data set by name: prepare it on first use, then read it at random."""

import fnmatch
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from jax_labor.classes import ClassTable
from jax_labor.data.builders import asked_for, make_source
from jax_labor.data.builders.source import MissingFolderError, Source
from jax_labor.data.generated import reading
from jax_labor.data.generated.layout import NAME as GENERATED
from jax_labor.data.preparation import left_of, prepared
from jax_labor.data.prepared import Part, PreparedRecords
from jax_labor.errors import UserError


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
) -> PreparedRecords:
    """Records of a data set, prepared to ArrayRecord when they are not yet.

    Args:
      name: gta5, synthia, cityscapes, camvid, camvid_full, ccp, image_folder, tfds, streets,
        figures or generated.
      root: folder of the data set as its publisher lays it out; where it is gone, what was prepared
        of a folder of its name is taken. Not used by streets and figures; for generated the folder
        that contains it, as `generated.finish` leaves it.
      data_dir: where prepared data lies; TFDS's own default folder when None or "".
      split: a split, or several joined by "+".
      classes: name of a class table; "own" or "" with image_folder and tfds takes its classes
        file, with generated the table it was made in.
      names: only records whose name matches one of these patterns, e.g. "0001TP_*|Seq05VD_*".
      drop_bad: leave out records with a defect, and log them, instead of stopping.
      options: see `builders.make_source`; generated has none.

    Returns:
      Records in order of splits and names.

    Raises:
      UserError: a missing folder, split or map; defects without `drop_bad`; no matching name.
    """
    if name == GENERATED:
        if options:
            raise UserError(f"data set '{name}' has no option '{next(iter(options))}'")
        return _load_generated(root, split, classes, names)
    splits = split.split("+")
    try:
        source = make_source(name, root, classes, options)
    except MissingFolderError as missing:
        asked = asked_for(name, root, classes, options)
        found = [left_of(name, p, asked, data_dir, drop_bad, str(missing)) for p in splits]
    else:
        _check_splits(source, splits)
        found = [prepared(source, part, data_dir, drop_bad) for part in splits]
    folders, metadata = map(list, zip(*found, strict=True))
    return _records(
        tuple(Part(str(f), part) for f, part in zip(folders, splits, strict=True)),
        metadata,
        names,
        f"{name} {split}",
        table=_one_table(metadata, folders, f"{name} {split}"),
        has_labels=all(each["has_labels"] for each in metadata),
        description=f"{metadata[0]['description']}, {split}",
    )


def _check_splits(source: Source, splits: list[str]) -> None:
    """`UserError` for a split that does not exist, or where only some have labels."""
    for part in splits:
        source.check_split(part)
    labelled = {part: source.has_labels(part) for part in splits}
    if len(set(labelled.values())) > 1:
        title = f"{source.name} {'+'.join(splits)}"
        raise UserError(f"{title}: {labelled}; join splits that all have labels or none")


def _one_table(metadata: list[dict], folders: list[Path], title: str) -> ClassTable:
    """The table of all splits; `UserError` where some were prepared of another folder's files."""
    if any(each["classes"]["names"] != metadata[0]["classes"]["names"] for each in metadata):
        listed = ", ".join(map(str, folders))
        raise UserError(
            f"{title}: its files are gone, and these were prepared of different ones, with other "
            f"classes; remove those that are wrong: {listed}"
        )
    return ClassTable.from_json(metadata[0]["classes"])


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
        split_pixels=np.sum([m["class_pixels"] for m in metadata], axis=0, dtype=np.int64),
        whole=len(chosen) == sum(len(each["names"]) for each in metadata),
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
