"""A finished or stopped run, opened to look at: its config, classes, data and weights."""

import dataclasses
import hashlib
import json
from collections.abc import Callable

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jax_labor.classes import ClassTable, get_table
from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.config import differences
from jax_labor.errors import UserError
from jax_labor.experiments.annotators import truth_of
from jax_labor.experiments.assembly import build_network, load_domain, state_shape
from jax_labor.experiments.evaluation import Evaluation, Evaluator
from jax_labor.files import read_json, read_object, write_json
from jax_labor.models.pretrained import load_variables

_TABLE, _DATA = "class_table.json", "data.json"


def read_config(workdir: str) -> ConfigDict:
    """The settings that the run in `workdir` was started with.

    Raises:
        UserError: there is no run.
    """
    path = epath.Path(workdir) / "config.json"
    if not path.exists():
        raise UserError(f"{path} is missing: name the --workdir of a run of launch/main.py.")
    config = read_object(path)
    if not {"experiment", "data"} <= config.keys():
        raise UserError(f"{path}: not the settings of a run. Restore it, or name another workdir.")
    return ConfigDict(config)


def write_table(workdir: epath.PathLike, table: ClassTable) -> None:
    """Writes `workdir/class_table.json`: whose own the classes are, only the data set knows."""
    write_json(epath.Path(workdir) / _TABLE, dataclasses.asdict(table))


def read_table(workdir: epath.PathLike) -> ClassTable:
    """The classes of the run in `workdir`, without its data.

    Raises:
        UserError: there is no run, or one of a user's own classes from before the file was written.
    """
    path = epath.Path(workdir) / _TABLE
    if path.exists():
        return ClassTable.from_json(read_json(path))
    return get_table(read_config(workdir).data.classes)


def check_data(workdir: epath.PathLike, data, force: bool = False) -> None:
    """Refuses data sets other than those that the run in `workdir` was started with.

    Their settings may be the same: images came or went, or the classes file was edited.

    Args:
        workdir: the work directory.
        data: with source, target and evaluation records as `source`, `target` and `eval`.
        force: go on with these.

    Raises:
        UserError: naming what differs.
    """
    path = epath.Path(workdir) / _DATA
    if path.exists() and not force:
        changed = differences(read_object(path), _facts(data))
        if changed:
            raise UserError(
                f"{path}: this workdir was started with other data:\n"
                + "\n".join(changed)
                + "\nChoose another --workdir, restore the data, or pass --force"
            )


def write_data(workdir: epath.PathLike, data) -> None:
    """Writes `workdir/data.json`, which `check_data` reads."""
    write_json(epath.Path(workdir) / _DATA, _facts(data))


def _facts(data) -> dict:
    """Of each role's records: how many, their names and sizes as a digest, their classes."""
    facts = {}
    for role in ("source", "target", "eval"):
        records = getattr(data, role)
        sizes = [records.size(index) for index in range(len(records))]
        listed = json.dumps([list(records.names), sizes]).encode()
        facts[role] = {
            "images": len(records),
            "labels": records.has_labels,
            "classes": list(records.table.names),
            "sha256 of names and sizes": hashlib.sha256(listed).hexdigest(),
        }
    return facts


def target_truth(workdir: str) -> Callable[[str], np.ndarray]:
    """Name -> uint8[H, W], the ground truth of the target of the run in `workdir`."""
    return truth_of(load_domain(read_config(workdir), "target"))


def restore_network(config, workdir: str, num_classes: int, step: int | None = None):
    """The network of the run in `workdir`, and the {"params", "batch_stats"} of a checkpoint.

    Args:
        config: the run's settings.
        workdir: the run's work directory; nothing in it is changed.
        num_classes: of its class table.
        step: the checkpoint's step, None for the newest.

    Raises:
        UserError: there is no such checkpoint.
    """
    network = build_network(config, num_classes)
    checkpoints = Checkpoints(workdir, read_only=True)
    found = checkpoints.restore(state_shape(config, network, num_classes), step)
    checkpoints.close()
    if found is None:
        raise UserError(f"{workdir} holds no checkpoint yet: train first with launch/main.py.")
    return network, {"params": found[1].params, "batch_stats": found[1].batch_stats}


def network_of_file(config, num_classes: int):
    """The network of a card, and its {"params", "batch_stats"} from the file `config.weights`.

    Raises:
        UserError: no file is named, or it does not fill the whole segmenter.
    """
    if not config.weights:
        raise UserError("config.weights is not set: name the file to evaluate.")
    network = build_network(config, num_classes)
    shape = state_shape(config, network, num_classes)
    blank = jax.tree.map(
        lambda leaf: np.zeros(leaf.shape, leaf.dtype),
        {"params": shape.params, "batch_stats": shape.batch_stats},
    )
    variables, report = load_variables(config.weights, blank, config.model, config.data.normalize)
    if any("/head/" in path for path in report.left):
        raise UserError(
            f"{config.weights}: there is no head in it, only a backbone: train it first."
        )
    return network, variables


def evaluate(
    config, workdir: str = "", step: int | None = None, predictions: str = ""
) -> Evaluation:
    """Evaluates a checkpoint of the run in `workdir`, or a file of weights, as `config` says.

    Args:
        config: the run's or the card's settings, with `eval` and `data.eval` as wanted.
        workdir: the run's work directory, in which nothing is changed; "" takes `config.weights`.
        step: the checkpoint's step, None for the newest.
        predictions: folder for label-id PNGs, "" for none.

    Raises:
        UserError: no such checkpoint, or data without labels and no `predictions` asked for.
    """
    records = load_domain(config, "eval")
    if not records.has_labels and not predictions:
        raise UserError(
            f"config.data.eval ({records.description}) has no labels to evaluate against: choose a"
            " labelled split, or ask for --predictions."
        )
    classes = records.table.num_classes
    if workdir:
        network, variables = restore_network(config, workdir, classes, step)
    else:
        network, variables = network_of_file(config, classes)
    return Evaluator(config, network.model, records).run(variables, predictions)
