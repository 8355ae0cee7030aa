"""Prepared splits on disk: found there, or made on first use."""

import contextlib
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from jax_labor.data.array_record import VERSION
from jax_labor.data.builders.hashes import hash_files
from jax_labor.data.builders.source import Listing, Problem, Source
from jax_labor.data.builders.writing import DROPPED_FILE, report_problems, write_examples
from jax_labor.data.prepared import undamaged
from jax_labor.errors import UserError
from jax_labor.files import disk_errors, local_folder, write_json

_LOG = logging.getLogger(__name__)
_METADATA_FILE = "metadata.json"
_HASHES_FILE = "hashes.json"  # of the files of all roots of a data set
_INCOMPLETE = "incomplete."
CACHE = "~/.cache/jax_labor"  # where hashes are kept if the folder of prepared data is read-only


def _read_metadata(folder: Path) -> dict:
    """What `write_examples` says of the prepared split in `folder`."""
    with undamaged(folder):
        return json.loads((folder / _METADATA_FILE).read_text())


def prepared(source: Source, split: str, data_dir: str | None, drop_bad: bool) -> tuple[Path, dict]:
    """Folder and metadata of the prepared split, which is made when it is missing.

    Raises:
      UserError: it is missing and cannot be made; defects without `drop_bad`.
    """
    root = _root(data_dir)
    listing = source.scan(split)
    # Prepared data is found by the digest of all that decides what is in it.
    places = root / source.name, Path(os.path.expanduser(CACHE)) / source.name
    hashes = hash_files(listing.files, *(place / _HASHES_FILE for place in places))
    digest = source.digest(listing, split, hashes)
    folder = root / source.name / f"{source.table.name}-{split}-{digest}" / VERSION
    if not folder.is_dir():
        with _locked(folder.parent):  # a second process waits here for the first
            if not folder.is_dir():
                _prepare(folder, source, listing, split, drop_bad)
                return folder, _read_metadata(folder)
    metadata = _read_metadata(folder)
    _note(folder, metadata, source.asked | {"split": split})
    _report_dropped(f"{source.name} {split}", folder, drop_bad)
    return folder, metadata


def _note(folder: Path, metadata: dict, asked: dict) -> None:
    """Keep how the records of `folder` are asked for: several options may lead to the same."""
    asked = _plain(asked)
    requests = _requests(metadata)
    if asked not in requests:
        metadata["requests"] = [*requests, asked]
        with contextlib.suppress(OSError, UserError):  # a folder that one may only read
            write_json(folder / _METADATA_FILE, metadata)


def _requests(metadata: dict) -> list[dict]:
    """How these records were asked for; earlier versions kept the first request alone."""
    first = [metadata["asked"]] if "asked" in metadata else []
    return metadata.get("requests", first)


def _plain(asked: dict) -> dict:
    """As JSON gives it back."""
    return json.loads(json.dumps(asked))


def left_of(
    name: str, split: str, asked: dict, data_dir: str | None, drop_bad: bool, missing: str
) -> tuple[Path, dict]:
    """Folder and metadata of the split that was prepared, as it is asked for, of files now gone.

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
    wanted = _plain(asked | {"split": split})
    folders = [path.parent for path in sorted(root.glob(f"{name}/*/{VERSION}/{_METADATA_FILE}"))]
    known = ((folder, _read_metadata(folder)) for folder in folders)
    found = [(folder, metadata) for folder, metadata in known if wanted in _requests(metadata)]
    if not found:
        raise UserError(
            f"{missing}\nNor is {name} {split} prepared in {root} from a folder '{asked['root']}' "
            "with these classes and options"
        )
    if len(found) > 1:
        raise UserError(
            f"{name} {split}: its files are gone, and these were prepared of them at different "
            f"times; remove all but one: {', '.join(str(folder.parent) for folder, _ in found)}"
        )
    # Aloud: a mistyped path looks the same, and another folder may have that name.
    folder, metadata = found[0]
    gone, prepared_of = missing.partition("\n")[0], metadata["description"]
    _LOG.warning("%s; its split %s is taken from %s: %s", gone, split, folder, prepared_of)
    _report_dropped(f"{name} {split}", folder, drop_bad)
    return folder, metadata


def _root(data_dir: str | None) -> Path:
    return local_folder(data_dir or tfds.core.constants.DATA_DIR, "data.dir")


def _prepare(folder: Path, source: Source, listing: Listing, split: str, drop_bad: bool) -> None:
    """Write the split so that `folder` appears whole; what a killed process left is removed."""
    beside = folder.with_name(f"{_INCOMPLETE}{folder.name}")
    with disk_errors(folder.parent):
        for left_over in folder.parent.glob(f"{_INCOMPLETE}*"):
            shutil.rmtree(left_over)
        try:
            beside.mkdir()
            write_examples(beside, source, listing, split, drop_bad)
            beside.rename(folder)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise UserError(
            f"cannot write prepared data to {folder} ({error}); name another folder by"
            " config.data.dir (launch/prepare.py and evaluate.py: --data_dir)"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError as error:  # a network disk without locks
            _LOG.warning("%s cannot be locked (%s): prepare from one process alone", folder, error)
        yield


def _report_dropped(title: str, folder: Path, drop_bad: bool) -> None:
    with undamaged(folder):
        fields = json.loads((folder / DROPPED_FILE).read_text())
    problems = [Problem(**each) for each in fields]
    report_problems(title, problems, drop_bad, left=1)
