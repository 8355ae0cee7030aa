"""Starting a model from a file: one of ours (.npz of variables) or a checkpoint of others."""

import json
import os
from collections.abc import Mapping

import numpy as np
from flax import traverse_util

from jax_labor.errors import UserError
from jax_labor.models.pretrained.checkpoints import read_checkpoint, write_atomically
from jax_labor.models.pretrained.convert import Report, copies_for_selector, import_weights
from jax_labor.models.pretrained.layout import matches
from jax_labor.models.pretrained.layouts import LAYOUTS, detect_layout

COLLECTIONS = ("params/", "batch_stats/")
ABOUT = "__about__"


def initialise(variables: Mapping, source: str | os.PathLike) -> tuple[dict, Report]:
    """Fill freshly initialised `variables` from a weights file, strictly.

    Args:
      variables: {"params": ..., "batch_stats": ...} as `init` gave them; read, not changed.
      source: path of an .npz made by `save_variables`, or of a checkpoint in a known layout; the
        layout's name may stand before it, as in `advent:models/model_120000.pth`.

    Returns:
      variables of the same structure (NumPy float32 where filled), and the report.

    Raises:
      UserError: the file can't be read, or a key or a variable is not accounted for.
    """
    layout, path = split_source(source)
    tensors = read_checkpoint(path)
    try:
        if not layout and ABOUT in tensors:
            return _fill(variables, tensors)
        return import_weights(tensors, layout or detect_layout(tensors), variables)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def load_variables(source: str | os.PathLike, variables: Mapping) -> dict:
    """Give `variables` filled from `source`, as `initialise` does, and print what was done."""
    filled, report = initialise(variables, source)
    print(f"{source}: {report.summary()}")
    return filled


def split_source(source: str | os.PathLike) -> tuple[str | None, str]:
    """Split `advent:model.pth` into layout and path; the layout is None where none is named."""
    name, colon, path = os.fspath(source).partition(":")
    return (name, path) if colon and name in LAYOUTS else (None, os.fspath(source))


def save_variables(path: str | os.PathLike, variables: Mapping, report: Report) -> None:
    """Write the variables that `report` says came from a file to an .npz, atomically.

    What stays as initialised is not written, but recorded by name, so that every seed draws its
    own; nor is the copy in the selector's own backbone, so that either kind of selector loads it.

    Raises:
      UserError: `path` does not end in .npz, or can't be written.
    """
    path = os.fspath(path)
    if not path.endswith(".npz"):
        raise UserError(f"{path}: name the output .npz.")
    flat = traverse_util.flatten_dict(dict(variables), sep="/")
    about = {"layout": report.layout, "left": LAYOUTS[report.layout].left}
    arrays = {name: np.asarray(flat[name]) for name in report.filled}
    arrays[ABOUT] = np.array(json.dumps(about))
    write_atomically(path, lambda file: np.savez(file, **arrays))


def _fill(variables: Mapping, arrays: Mapping[str, np.ndarray]) -> tuple[dict, Report]:
    """Fill `variables` from the content of a file of ours."""
    arrays = dict(arrays)
    about = json.loads(str(arrays.pop(ABOUT)))
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
    if problems:
        raise UserError(
            f"{len(problems)} variables do not match the model:\n  " + "\n  ".join(problems[:8])
        )
    flat |= arrays | {path: np.array(arrays[source]) for path, source in copies.items()}
    names = tuple(arrays)
    report = Report(about["layout"], names, (), names, tuple(copies), left)
    return traverse_util.unflatten_dict(flat, sep="/"), report
