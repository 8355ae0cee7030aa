"""Finding a finished generated data set and its classes, for `catalogue.load`."""

import os
from pathlib import Path

from jax_labor import files
from jax_labor.classes import ClassTable, own_or_named
from jax_labor.data.generated.layout import NAME, version_folder
from jax_labor.errors import UserError

_METADATA_FILE = "metadata.json"


def read_metadata(root: os.PathLike | str | None, split: str) -> tuple[Path, dict, list[dict]]:
    """Folder of the records, metadata of the data set, and those of each split joined by "+".

    Raises:
      UserError: there is no finished data set in `root`, or it has no such split.
    """
    if not root:
        raise UserError(f"data set '{NAME}' needs its root: the folder that contains '{NAME}'")
    folder = version_folder(files.local_folder(root, "data.root"))
    if not folder.is_dir():
        raise UserError(
            f"no finished data set '{NAME}' in {root}; make or finish one with "
            "launch/main.py --config=configs/datasetgan.py and give the folder it names"
        )
    metadata = files.read_json(folder / _METADATA_FILE)
    splits = metadata["splits"]
    for part in split.split("+"):
        if part not in splits:
            raise UserError(f"{folder} has no split '{part}'; it has {', '.join(splits)}")
    return folder, metadata, [splits[part] for part in split.split("+")]


def class_table(metadata: dict, classes: str) -> ClassTable:
    """Table `classes`, or with "own" or "" that of the data set.

    Raises:
      UserError: the two have different names of classes.
    """
    own, remedy = ClassTable.from_json(metadata["classes"]), "ask for classes=own or make it anew"
    return own_or_named(classes, own, f"data set '{NAME}'", remedy)
