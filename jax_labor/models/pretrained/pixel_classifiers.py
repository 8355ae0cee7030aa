"""Ensembles of DatasetGAN's published code, in and out: a folder of model_<i>.pth."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from jax_labor.errors import UserError, about
from jax_labor.models.pixel_ensemble import PixelClassifier
from jax_labor.models.pretrained.checkpoints import read_checkpoint, save_checkpoint
from jax_labor.models.pretrained.convert import export_weights, import_weights
from jax_labor.models.pretrained.pixel_layouts import PIXEL_CLASSIFIER, WRAPPER

WEIGHTS = ("layers.0.weight", "layers.3.weight", "layers.6.weight")


def read_pixel_classifiers(folder: str | os.PathLike) -> tuple[PixelClassifier, dict]:
    """Read the files model_<i>.pth in `folder` as one ensemble.

    Returns:
      the classifier, its widths and classes read off the shapes (without dropout, which files do
      not tell); and its variables, NumPy float32 with a leading axis of members.

    Raises:
      UserError: there is no such file, or a gap in their numbers; a file has a key too many or too
      few, is damaged, or of other shapes than the first.
    """
    paths = _numbered(Path(folder))
    models, members = zip(*map(_read_one, paths), strict=True)
    for path, model, own in zip(paths, models, members, strict=True):
        if jax.tree.map(np.shape, own) != jax.tree.map(np.shape, members[0]):
            raise UserError(
                f"{path}: {_sizes(model, own)}, but {paths[0].name} has "
                f"{_sizes(models[0], members[0])}. Keep one ensemble per folder."
            )
    return models[0], jax.tree.map(lambda *leaves: np.stack(leaves), *members)


def write_pixel_classifiers(folder: str | os.PathLike, variables: Mapping) -> list[Path]:
    """Write an ensemble's variables (leading axis of members) as the published code reads them.

    Returns:
      the files model_<i>.pth, one for each member.

    Raises:
      UserError: the classifiers have other layers than the published two, or the disk refuses.
    """
    members = len(jax.tree.leaves(variables)[0])
    paths = [Path(folder) / f"model_{i}.pth" for i in range(members)]
    for i, path in enumerate(paths):
        own = jax.tree.map(lambda leaf: leaf[i], variables)  # noqa: B023 - used at once
        tensors = export_weights(own, PIXEL_CLASSIFIER.name)
        wrapped = {f"{WRAPPER}.module.{key}": value for key, value in tensors.items()}
        save_checkpoint(path, wrapped, (WRAPPER,))
    return paths


def _numbered(folder: Path) -> list[Path]:
    """Give model_0.pth, model_1.pth, ... in the order of their numbers."""
    names = os.listdir(folder) if folder.is_dir() else []
    found = sorted(int(n[1]) for n in map(re.compile(r"model_(\d+)\.pth").fullmatch, names) if n)
    if not found:
        raise UserError(f"{folder}: holds no model_<i>.pth. Give the folder of the classifiers.")
    absent = sorted(set(range(found[-1] + 1)) - set(found))
    if absent:
        raise UserError(f"{folder / f'model_{absent[0]}.pth'}: missing. Fetch it, or renumber.")
    return [folder / f"model_{i}.pth" for i in found]


def _read_one(path: Path) -> tuple[PixelClassifier, dict]:
    tensors = read_checkpoint(path)
    flat = [key for key in WEIGHTS if np.ndim(tensors.get(key)) != 2]
    if flat:
        raise UserError(f"{path}: has no matrix {flat[0]}: not a pixel classifier of DatasetGAN.")
    first, second, last = (tensors[key].shape for key in WEIGHTS)
    model = PixelClassifier(last[0], (first[0], second[0]))
    x = jax.ShapeDtypeStruct((1, first[1]), np.float32)
    blank = jax.eval_shape(lambda x: model.init(jax.random.key(0), x, False), x)
    with about(path):
        return model, import_weights(tensors, PIXEL_CLASSIFIER.name, blank)[0]


def _sizes(model: PixelClassifier, variables: Mapping) -> str:
    channels = variables["params"]["linear0"]["kernel"].shape[0]
    return f"{channels} channels, hidden {model.hidden}, {model.num_classes} classes"
