"""Checkpoint files of other frameworks: read into a dict of NumPy arrays, and write one back.

A PyTorch file is a pickle. It is read with `weights_only=True`, which builds tensors and plain
containers and refuses to call anything else, so a file from a stranger can't run code; PyTorch
before 2.6 is not to be trusted with that, and not used.
"""

import argparse
import os
import pickle
import re
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from jax_labor.errors import UserError
from jax_labor.files import write_with
from jax_labor.models.pretrained.stylegan_pickle import read_stylegan_pickle

SAFE = "2.6"
TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".bin")
# What training scripts put around a state dict, and what they put beside it.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
PAIRS = (("feature_extractor", "classifier"),)
# rosinality's file: its generators, what is read beside them, and its other entries.
GENERATORS = ("g_ema", "g")
MEAN_LATENT = "latent_avg"
GAN_COMPANIONS = ("d", "g_optim", "d_optim", "ada_aug_p")
COMPANIONS = re.compile(
    r"optim\w*|\w*scheduler\w*|iteration|iter|step|epoch|best\w*|args|amp|scaler"
)
DAMAGE = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    RuntimeError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    UnicodeDecodeError,
)


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
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise UserError(f"{path}: no such file. Download the checkpoint and give its local path.")
    if path.endswith(".npz"):
        return _read_npz(path)
    if path.endswith(".pkl"):
        return read_stylegan_pickle(path, network).tensors
    if path.endswith(TORCH_SUFFIXES):
        state = _read_torch(path, network)
        return {key: _as_numpy(path, key, value) for key, value in state.items()}
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
        torch = _torch(path)
        state = _nest({key: torch.from_numpy(np.array(t)) for key, t in tensors.items()}, wrapped)
        write_with(path, lambda file: torch.save(state, file))
    else:
        raise UserError(f"{path}: name the output .npz, or {', '.join(TORCH_SUFFIXES)}.")


def _read_npz(path: str) -> dict[str, np.ndarray]:
    try:
        # Opened here, because np.load forgets to close a file that turns out to be damaged.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except (*DAMAGE, OSError) as error:
        raise UserError(f"{path}: not a readable .npz of plain arrays ({_brief(error)}).") from None


def _read_torch(path: str, network: str) -> dict[str, object]:
    torch = _torch(path)
    # Before, a file could run code in spite of weights_only (CVE-2025-32434).
    if torch.__version__ < SAFE:
        raise UserError(
            f"{path}: not read, as a file can run code in PyTorch {torch.__version__}: "
            f"`pip install 'torch>={SAFE}'`, or convert the file to .npz on a machine that has it."
        )
    try:
        # The command line that rosinality's training saves beside its weights: a plain container.
        with torch.serialization.safe_globals([argparse.Namespace]):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (*DAMAGE, OSError) as error:
        raise UserError(_refusal(path, error)) from None
    if isinstance(content, dict) and _is_dict(content, GENERATORS[0]):
        return _generator(path, content, network.lower())
    return _strip(_unwrap(path, content))


def _refusal(path: str, error: Exception) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    if found:
        return (
            f"{path}: refused, and nothing in it was run: it is not only tensors but names "
            f"{found[1]}. Where it was made, save model.state_dict() alone."
        )
    return f"{path}: damaged, or not a PyTorch checkpoint ({_brief(error)}). Fetch it again."


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no detail'}"[
        :160
    ]


def _unwrap(path: str, content: object) -> dict[str, object]:
    """Find the state dict in what was loaded; every other entry must be a known companion."""
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state dict of tensors.")
    names = next((pair for pair in PAIRS if set(pair) <= set(content)), None)
    names = names or next(((name,) for name in WRAPPERS if _is_dict(content, name)), ())
    if not names:
        return content
    for name in content:
        if name not in names and not COMPANIONS.fullmatch(str(name)):
            raise UserError(
                f"{path}: beside {' and '.join(names)} it has {name!r}, which is not known. "
                f"Save {' and '.join(names)} alone, where the file was made."
            )
    if len(names) == 1:
        return content[names[0]]
    return {f"{n}.{key}": value for n in names for key, value in _strip(content[n]).items()}


def _generator(path: str, content: dict, network: str) -> dict[str, object]:
    """Take a generator out of rosinality's file."""
    if network not in GENERATORS or not _is_dict(content, network):
        there = " or ".join(name for name in GENERATORS if _is_dict(content, name))
        raise UserError(f"{path}: has no generator {network!r}; choose {there}.")
    for name in content:
        known = (*GENERATORS, MEAN_LATENT, *GAN_COMPANIONS)
        if name not in known and not COMPANIONS.fullmatch(str(name)):
            raise UserError(f"{path}: beside {network} it has {name!r}, which is not known.")
    state = {f"{GENERATORS[0]}.{key}": value for key, value in _strip(content[network]).items()}
    mean = {MEAN_LATENT: content[MEAN_LATENT]} if MEAN_LATENT in content else {}
    return state | mean


def _is_dict(content: dict, name: str) -> bool:
    return isinstance(content.get(name), dict)


def _strip(state: dict[str, object]) -> dict[str, object]:
    """Take `module.` (DataParallel) off, where every key has it."""
    if state and all(str(key).startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state


def _as_numpy(path: str, key: object, value: object) -> np.ndarray:
    torch = _torch(path)
    if not isinstance(key, str) or not isinstance(value, torch.Tensor):
        raise UserError(f"{path}: {key!r} is a {type(value).__name__}, not a named tensor.")
    if value.layout != torch.strided or value.is_quantized:
        raise UserError(f"{path}: {key} is sparse or quantised; save it as a dense float tensor.")
    value = value.detach()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def _nest(tensors: dict[str, object], wrapped: tuple[str, ...]) -> dict[str, object]:
    if not wrapped:
        return tensors
    nested: dict[str, dict] = {name: {} for name in wrapped}
    for key, tensor in tensors.items():
        name, _, rest = key.partition(".")
        (nested[name] if rest else nested)[rest or name] = tensor
    return nested


def _torch(path: str):
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path}: PyTorch files need PyTorch: `pip install torch`, or convert the file to .npz "
            f"on a machine that has it (launch/weights.py import)."
        ) from None
    return torch
