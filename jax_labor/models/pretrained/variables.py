"""Starting a model from a file: one of ours (.npz of variables) or a checkpoint of others."""

import json
import logging
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax import traverse_util

from jax_labor.errors import UserError, about
from jax_labor.files import write_with
from jax_labor.models.pretrained.checkpoints import read_checkpoint, read_noted
from jax_labor.models.pretrained.convert import (
    Report,
    copies_for_selector,
    import_weights,
    unsound,
)
from jax_labor.models.pretrained.layout import matches
from jax_labor.models.pretrained.layouts import LAYOUTS, detect_layout
from jax_labor.models.pretrained.settings import check_settings

_LOG = logging.getLogger(__name__)
# The entry of our .npz that is no variable: layout, and what stays as initialised.
ABOUT = "__about__"


def initialise(
    variables: Mapping, source: str | os.PathLike, model=None, normalize: str = ""
) -> dict:
    """Fill freshly initialised `variables` from a weights file and log what was done.

    The arguments and errors are those of `load_variables`.
    """
    filled, report = load_variables(source, variables, model, normalize)
    _LOG.info("%s: %s", source, report.summary())
    return filled


def load_variables(
    source: str | os.PathLike, variables: Mapping, model=None, normalize: str = ""
) -> tuple[dict, Report]:
    """Fill `variables` from a weights file, strictly.

    Args:
      source: path of an .npz made by `save_variables`, or of a checkpoint in a known layout; the
        layout's name may stand before it, as in `advent:models/model_120000.pth`.
      variables: {"params": ..., "batch_stats": ...} as `init` gave them; read, not changed.
      model: the configuration's `model` section; given, it is compared with the file's kind.
      normalize: its `data.normalize`, compared too.

    Returns:
      variables of the same structure (NumPy float32 where filled), and the report.

    Raises:
      UserError: the file can't be read, a key or a variable is not accounted for, or the weights
        were trained in a model of another dialect.
    """
    layout, path = split_source(source)
    tensors, notes = read_noted(path)
    with about(path):
        ours = take_about(tensors) if ABOUT in tensors else None
        layout = ours["layout"] if ours else layout or detect_layout(tensors)
        if model is not None:
            check_settings(layout, model, normalize)
        if ours:
            return fill_variables(variables, tensors, ours)
        return import_weights(tensors, layout, variables, notes)


def read_variables(path: str | os.PathLike) -> tuple[dict, str]:
    """Read the variables in an .npz made by `save_variables`, and the layout they came in.

    Raises:
      UserError: the file can't be read or is of another kind.
    """
    arrays = read_checkpoint(path)
    if ABOUT not in arrays:
        raise UserError(f"{path}: not an .npz of our variables. `import` it first.")
    with about(path):
        layout = take_about(arrays)["layout"]
        return traverse_util.unflatten_dict(_sound(arrays), sep="/"), layout


def take_about(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Take out of the arrays of a file of ours what it says of itself.

    Returns:
      "layout": the one its weights came in; "left": patterns of variables that it may lack; and
      "network": settings of a StyleGAN2 network, empty where it is none.

    Raises:
      UserError: it is damaged.
    """
    try:
        about = {"network": {}} | json.loads(str(arrays.pop(ABOUT)))
        kinds = [type(about[name]) for name in ("layout", "left", "network")]
        texts = all(type(pattern) is str for pattern in about["left"])
        sound = kinds == [str, list, dict] and texts and about["layout"] in LAYOUTS
    except (ValueError, TypeError, KeyError, RecursionError):
        sound = False
    if not sound:
        raise UserError("damaged: what it says of itself cannot be read. Make it anew.")
    return about


def split_source(source: str | os.PathLike) -> tuple[str | None, str]:
    """Split `advent:model.pth` into layout and path; the layout is None where none is named."""
    name, colon, path = os.fspath(source).partition(":")
    return (name, path) if colon and name in LAYOUTS else (None, os.fspath(source))


def save_variables(
    path: str | os.PathLike, variables: Mapping, report: Report, network: Mapping | None = None
) -> None:
    """Write the variables that `report` says came from a file to an .npz, atomically.

    What stays as initialised is not written, but recorded by name, so that every seed draws its
    own; nor is the copy in the selector's own backbone, so that either kind of selector loads it.
    `network`, where given, is written beside them: the settings that build the network again.

    Raises:
      UserError: `path` does not end in .npz, or can't be written.
    """
    path = os.fspath(path)
    if not path.endswith(".npz"):
        raise UserError(f"{path}: name the output .npz.")
    flat = traverse_util.flatten_dict(dict(variables), sep="/")
    about = {"layout": report.layout, "left": LAYOUTS[report.layout].left}
    about |= {"network": dict(network)} if network else {}
    arrays = {name: np.asarray(flat[name]) for name in report.filled}
    arrays[ABOUT] = np.array(json.dumps(about))
    write_with(path, lambda file: np.savez(file, **arrays))


def fill_variables(
    variables: Mapping, arrays: dict[str, np.ndarray], about: Mapping
) -> tuple[dict, Report]:
    """Fill `variables` from the content of a file of ours, `about` its own entry about itself.

    Raises:
      UserError: listing variables that are missing, unexpected, of another shape or no weights.
    """
    flat = traverse_util.flatten_dict(dict(variables), sep="/")
    copies = copies_for_selector(flat, arrays)
    left = tuple(path for path in flat if path not in arrays and path not in copies)
    problems = [f"unexpected: {path}" for path in arrays if path not in flat]
    problems += [f"missing: {p}" for p in left if not matches(p.partition("/")[2], about["left"])]
    problems += [
        f"shape: {path} is {array.shape}, the model's is {np.shape(flat[path])}"
        for path, array in arrays.items()
        if path in flat and array.shape != np.shape(flat[path])
    ]
    _refuse(problems, "do not match the model")
    arrays = _sound(arrays)
    flat |= arrays | {path: np.array(arrays[source]) for path, source in copies.items()}
    names = tuple(arrays)
    report = Report(about["layout"], names, (), names, tuple(copies), left)
    return traverse_util.unflatten_dict(flat, sep="/"), report


def _sound(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give the arrays as float32, if all of them are finite numbers."""
    _refuse([p for path, array in arrays.items() for p in unsound(path, array)], "are no weights")
    return {path: np.asarray(array, np.float32) for path, array in arrays.items()}


def _refuse(problems: list[str], what: str) -> None:
    if problems:
        raise UserError(f"{len(problems)} variables {what}:\n  " + "\n  ".join(problems[:8]))
