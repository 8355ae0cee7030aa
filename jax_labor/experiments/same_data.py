"""What a run's data sets held at its first start, so that no resume goes on with others."""

import hashlib
import json
from collections.abc import Mapping

from etils import epath

from jax_labor.data.records import Records
from jax_labor.engine.config import check_same
from jax_labor.files import read_object, write_json

_DATA = "data.json"


def check_data(workdir: epath.PathLike, data: Mapping[str, Records], force: bool = False) -> None:
    """Refuses data sets other than those that the run in `workdir` was started with.

    Their settings may be the same: images came or went, or the classes file was edited.

    Args:
        workdir: the work directory.
        data: the records by their role, such as "source".
        force: go on with these.

    Raises:
        UserError: naming what differs.
    """
    path = epath.Path(workdir) / _DATA
    if path.exists() and not force:
        # Earlier versions did not write the digests of files.
        free = [f"{role}.files" for role, kept in read_object(path).items() if "files" not in kept]
        remedy = "Choose another --workdir, restore the data, or pass --force"
        check_same(path, _facts(data), "this workdir was started with other data", remedy, free)


def write_data(workdir: epath.PathLike, data: Mapping[str, Records]) -> None:
    """Writes `workdir/data.json`, which `check_data` reads."""
    write_json(epath.Path(workdir) / _DATA, _facts(data))


def _facts(data: Mapping[str, Records]) -> dict:
    """Of each role's records: how many, digests of names and sizes and of files, their classes."""
    facts = {}
    for role, records in data.items():
        sizes = [records.size(index) for index in range(len(records))]
        listed = json.dumps([list(records.names), sizes]).encode()
        facts[role] = {
            "images": len(records),
            "labels": records.has_labels,
            "classes": list(records.table.names),
            "sha256 of names and sizes": hashlib.sha256(listed).hexdigest(),
            "files": " ".join(records.digests),
        }
    return facts
