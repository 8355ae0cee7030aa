"""A finished or stopped run, opened to look at: its config, classes, data and weights."""

import dataclasses
from collections.abc import Callable

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jax_labor.classes import TABLES, ClassTable, check_same_classes, get_table
from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.errors import UserError
from jax_labor.experiments.annotators import truth_of
from jax_labor.experiments.assembly import (
    blank_variables,
    build_network,
    load_domain,
    state_shape,
)
from jax_labor.experiments.evaluation import Evaluation, Evaluator
from jax_labor.files import disk_errors, read_json, read_object, write_json
from jax_labor.models.pretrained import load_variables

_TABLE = "class_table.json"


def read_config(workdir: str) -> ConfigDict:
    """The settings that the run in `workdir` was started with.

    Raises:
        UserError: there is no run.
    """
    path = epath.Path(workdir) / "config.json"
    with disk_errors(path):
        exists = path.exists()
    if not exists:
        raise UserError(f"{path} is missing: name the --workdir of a run of launch/main.py.")
    config = read_object(path)
    if "experiment" not in config:
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
    with Checkpoints(workdir, read_only=True) as checkpoints:
        found = checkpoints.restore(state_shape(config, network, num_classes), step)
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
    blank = blank_variables(config, network, num_classes)
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
    known = _known_table(config, workdir)
    # First, where the data need not say how many classes there are: it may have to be prepared.
    opened = _open_network(config, workdir, known.num_classes, step) if known else None
    records = load_domain(config, "eval")
    if records.all_void and not predictions:
        raise UserError(
            f"config.data.eval ({records.description}) has no labels to evaluate against, or all"
            " are void: choose a labelled split, or ask for --predictions."
        )
    if known:
        by = f"the run in {workdir}" if workdir else "config.data.classes"
        found = "config.data.eval", records.table.names, by, known.names
        check_same_classes(*found, "evaluate on the same, in the same order.")
    network, variables = opened or _open_network(config, workdir, records.table.num_classes, step)
    return Evaluator(config, network.model, records).run(variables, predictions)


def _known_table(config, workdir: str) -> ClassTable | None:
    """The classes, where the data is not needed to say which."""
    if workdir and (epath.Path(workdir) / _TABLE).exists():  # not by a run of before it was written
        return read_table(workdir)
    return TABLES.get(config.data.classes)


def _open_network(config, workdir: str, num_classes: int, step: int | None):
    if workdir:
        return restore_network(config, workdir, num_classes, step)
    return network_of_file(config, num_classes)
