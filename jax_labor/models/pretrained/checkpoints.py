"""Checkpoint files of other frameworks: read into a dict of NumPy arrays, and write one back."""

import os
from collections.abc import Mapping

import numpy as np

from jax_labor.errors import UserError
from jax_labor.files import write_with
from jax_labor.models.pretrained.stylegan_pickle import read_stylegan_pickle
from jax_labor.models.pretrained.torch_files import DAMAGE, brief, read_torch, save_torch

TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".bin")


def read_checkpoint(path: str | os.PathLike, network: str = "G_ema") -> dict[str, np.ndarray]:
    """Read the state dict in `path`: a PyTorch file (.pth, .pt, .pth.tar, .bin) or an .npz.

    Of several networks in one file (an official StyleGAN2 .pkl, or rosinality's {"g": ..., "g_ema":
    ..., "latent_avg": ...}) it is `network`; rosinality's comes as `g_ema.<key>` and `latent_avg`.

    A wrapper such as {"state_dict": ...} is taken off, and so is a `module.` that every key has. A
    file {"feature_extractor": ..., "classifier": ...} gives keys `feature_extractor.<key>` and so
    on.

    Returns:
      key -> array as stored, in the file's order; bfloat16 comes as float32 (the same values).

    Raises:
      UserError: the file is missing, damaged, of another kind, or holds more than tensors.
    """
    return read_noted(path, network)[0]


def read_noted(
    path: str | os.PathLike, network: str = "G_ema"
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Read as `read_checkpoint`, and give lines for a person on what was passed over as well."""
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such file. Download the checkpoint and give its local path.")
    if path.endswith(".npz"):
        return _read_npz(path), ()
    if path.endswith(".pkl"):
        return read_stylegan_pickle(path, network).tensors, ()
    if path.endswith(TORCH_SUFFIXES):
        return read_torch(path, network)
    raise UserError(
        f"{path}: give a PyTorch file ({', '.join(TORCH_SUFFIXES)}), an official StyleGAN2 .pkl "
        "or an .npz."
    )


def save_checkpoint(
    path: str | os.PathLike, tensors: Mapping[str, np.ndarray], wrapped: tuple[str, ...] = ()
) -> None:
    """Write `tensors` to `path`, .npz or PyTorch by its suffix: beside it first, then renamed.

    Args:
      path: where to.
      tensors: key -> array.
      wrapped: first parts of keys that become state dicts of their own (PyTorch files only).

    Raises:
      UserError: the suffix is unknown or the file can't be written.
    """
    path = os.fspath(path)
    if path.endswith(".npz"):
        write_with(path, lambda file: np.savez(file, **tensors))
    elif path.endswith(TORCH_SUFFIXES):
        save_torch(path, tensors, wrapped)
    else:
        raise UserError(f"{path}: name the output .npz, or {', '.join(TORCH_SUFFIXES)}.")


def _read_npz(path: str) -> dict[str, np.ndarray]:
    try:
        # Opened here, because np.load forgets to close a file that turns out to be damaged.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (*DAMAGE, OSError) as error:
        raise UserError(f"{path}: not a readable .npz of plain arrays ({brief(error)}).") from None
