"""Prepared splits on disk: found there, or made on first use."""

import contextlib
import fcntl
import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds
from absl import logging as absl_log

from jax_labor.data.builders import BUILDERS
from jax_labor.data.builders.source import Problem, Source
from jax_labor.data.builders.tfds_builder import (
    DROPPED_FILE,
    SegmentationBuilder,
    config_for,
    report_problems,
)
from jax_labor.data.prepared import undamaged
from jax_labor.errors import UserError
from jax_labor.files import disk_errors, local_folder

_LOG = logging.getLogger(__name__)
_METADATA_FILE = "metadata.json"
_INCOMPLETE = tfds.core.constants.INCOMPLETE_PREFIX


def read_metadata(folder: Path) -> dict:
    """What `SegmentationBuilder` says of the prepared split in `folder`."""
    with undamaged(folder):
        return json.loads((folder / _METADATA_FILE).read_text())


def prepared(
    source: Source, split: str, data_dir: str | None, drop_bad: bool, prepare: bool
) -> Path:
    """Folder of the prepared split, which is made when it is missing and `prepare` allows it.

    Raises:
      UserError: it is missing and must not or cannot be made; defects without `drop_bad`.
    """
    root = _root(data_dir)
    config = config_for(source, split, root, drop_bad)
    folder = root / source.name / config.name / str(SegmentationBuilder.VERSION)
    if not folder.is_dir():
        if not prepare:
            raise UserError(
                f"{source.name} {split} is not prepared in {root}; run launch/prepare.py "
                f"--dataset={source.name} first, or start the process that prepares it"
            )
        _prepare(BUILDERS[source.name](config=config, data_dir=str(root)), folder)
    else:
        _report_dropped(f"{source.name} {split}", folder, drop_bad)
    return folder


def left_of(
    name: str, split: str, asked: dict, data_dir: str | None, drop_bad: bool, missing: str
) -> Path:
    """Folder of the split that was prepared, as it is asked for, of files that are gone.

    Args:
      name: the data set.
      split: the split.
      asked: see `builders.asked_for`.
      data_dir: where prepared data lies.
      drop_bad: whether it may have been prepared without some records.
      missing: what is gone, for messages.

    Raises:
      UserError: there is no such folder, or there are several.
    """
    root = _root(data_dir)
    wanted = json.loads(json.dumps(asked | {"split": split}))
    found = [
        path.parent
        for path in sorted(root.glob(f"{name}/*/{SegmentationBuilder.VERSION}/{_METADATA_FILE}"))
        if read_metadata(path.parent).get("asked") == wanted
    ]
    if not found:
        raise UserError(
            f"{missing}\nNor is {name} {split} prepared in {root} from a folder '{asked['root']}' "
            "with these classes and options"
        )
    if len(found) > 1:
        raise UserError(
            f"{name} {split}: its files are gone, and these were prepared of them at different "
            f"times; remove all but one: {', '.join(str(folder.parent) for folder in found)}"
        )
    _LOG.info("%s %s: its files are gone; taking %s, prepared of them", name, split, found[0])
    _report_dropped(f"{name} {split}", found[0], drop_bad)
    return found[0]


def _root(data_dir: str | None) -> Path:
    return local_folder(data_dir or tfds.core.constants.DATA_DIR, "data.dir")


def _prepare(builder: SegmentationBuilder, folder: Path) -> None:
    """Prepare under a lock: a second process waits, and what a killed one left is removed."""
    with _locked(folder.parent), _quiet():
        if folder.is_dir():
            return
        for left_over in folder.parent.glob(f"{_INCOMPLETE}*"):
            shutil.rmtree(left_over)
        with disk_errors(folder.parent):
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


def _report_dropped(title: str, folder: Path, drop_bad: bool) -> None:
    with undamaged(folder):
        fields = json.loads((folder / DROPPED_FILE).read_text())
    problems = [Problem(**each) for each in fields]
    report_problems(title, problems, drop_bad, left=1)
