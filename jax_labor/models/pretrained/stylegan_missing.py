"""What a file of rosinality's may lack: the fixed noise of every layer, and the mean of w."""

import dataclasses
from collections.abc import Mapping

import jax
import numpy as np
from flax import traverse_util

from jax_labor.errors import UserError
from jax_labor.models.pretrained.convert import Report
from jax_labor.models.stylegan2 import StyleGAN2Generator, mean_latent

_NOISE = "/noise_const"
_MEAN = "stats/w_avg"


def fill_missing(
    network: StyleGAN2Generator, variables: Mapping, report: Report, count: int | None
) -> tuple[dict, Report]:
    """Fill in the variables that `report` says were left, from fixed keys: the same every time.

    Args:
      network: the generator.
      variables: {"params", "stats"}, the left ones only their shapes.
      report: of the import.
      count: how many latents to average where the mean of w is missing.

    Returns:
      the variables, NumPy float32; and the report, with nothing left and a note on what was made.

    Raises:
      UserError: only some layers lack their noise, or the mean is missing and `count` is not given.
    """
    flat = traverse_util.flatten_dict(dict(variables), sep="/")
    noises = sorted(path for path in flat if path.endswith(_NOISE))
    absent = [path for path in noises if path in report.left]
    if absent and absent != noises:
        raise UserError(
            f"damaged: {len(absent)} of its {len(noises)} layers have no fixed noise. Fetch it "
            "again."
        )
    if _MEAN in report.left and (not count or count < 1):
        raise UserError(
            "the file has no mean latent (latent_avg), which truncation needs. Make a file that "
            "has one, of 4096 latents, by launch/weights.py import FILE --mean_latent=4096 "
            "--out=FILE.npz."
        )
    notes = list(report.notes)
    if absent:
        flat |= {path: _noise(i, flat[path].shape) for i, path in enumerate(absent)}
        notes.append("the file has no fixed noise: drawn from a fixed key")
    if _MEAN in report.left:
        blank = flat | {_MEAN: np.zeros(network.w_dim, np.float32)}
        blank = traverse_util.unflatten_dict(blank, sep="/")
        flat[_MEAN] = mean_latent(network, blank, jax.random.key(0), count)["stats"]["w_avg"]
        notes.append(f"the file has no mean latent: that of {count} latents from a fixed key")
    filled = (*report.filled, *report.left)
    report = dataclasses.replace(report, filled=filled, left=(), notes=tuple(notes))
    variables = traverse_util.unflatten_dict(flat, sep="/")
    return jax.tree.map(np.asarray, variables), report


def _noise(index: int, shape: tuple[int, int]) -> jax.Array:
    return jax.random.normal(jax.random.fold_in(jax.random.key(1), index), shape)
