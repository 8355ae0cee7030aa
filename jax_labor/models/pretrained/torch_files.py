"""PyTorch's files: read without running anything in them, and written.

They are pickles. One is read with `weights_only=True`, which builds tensors and plain containers
and refuses to call anything else, so a file from a stranger can't run code; PyTorch before 2.6 is
not to be trusted with that, and not used.
"""

import argparse
import pickle
import re
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from jax_labor.errors import UserError
from jax_labor.files import write_with
from jax_labor.models.pretrained.wrappers import unwrap

SAFE = "2.6"
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
    MemoryError,
    UnicodeDecodeError,
)


def read_torch(path: str, network: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Read the state dict in `path`; arguments, result and errors as of `read_noted`."""
    torch = _torch(path)
    # Before, a file could run code in spite of weights_only (CVE-2025-32434).
    if torch.__version__ < SAFE:
        raise UserError(
            f"{path}: not read, as a file can run code in PyTorch {torch.__version__}: "
            f"`pip install 'torch>={SAFE}'`, or convert the file to .npz on a machine that has it."
        )
    try:
        with torch.serialization.safe_globals(_data()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (*DAMAGE, OSError) as error:
        raise UserError(_refusal(path, error)) from None
    state, notes = unwrap(path, content, network)
    return {key: _as_numpy(path, key, value) for key, value in state.items()}, notes


def save_torch(path: str, tensors: Mapping[str, np.ndarray], wrapped: tuple[str, ...]) -> None:
    """Write `tensors` to `path`; arguments and errors as of `save_checkpoint`."""
    torch = _torch(path)
    state = _nest({key: torch.from_numpy(np.array(t)) for key, t in tensors.items()}, wrapped)
    write_with(path, lambda file: torch.save(state, file))


def brief(error: Exception) -> str:
    """Give an error's kind and first line, cut for a message."""
    detail = str(error).splitlines()[0] if str(error) else "no detail"
    return f"{type(error).__name__}: {detail}"[:160]


def _data() -> list:
    """Name what else may be built, all of it plain: command lines and single NumPy numbers.

    Training saves both beside its weights: `args`, and a best score as numpy.float64.
    """
    scalar = np.float64(0).__reduce__()[0]
    names = (f"numpy.{core}.multiarray.scalar" for core in ("core", "_core"))  # before 2.0, since
    codes = np.typecodes["AllInteger"] + np.typecodes["AllFloat"] + "?"
    kinds = {type(np.dtype(code)) for code in codes}
    return [argparse.Namespace, *((scalar, name) for name in names), np.dtype, *kinds]


def _refusal(path: str, error: Exception) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    if found:
        return (
            f"{path}: refused, and nothing in it was run: it is not only tensors but names "
            f"{found[1]}. Where it was made, save model.state_dict() alone."
        )
    return f"{path}: damaged, or not a PyTorch checkpoint ({brief(error)}). Fetch it again."


def _as_numpy(path: str, key: object, value: object) -> np.ndarray:
    torch = _torch(path)
    if not isinstance(key, str) or not isinstance(value, torch.Tensor):
        raise UserError(f"{path}: {key!r} is a {type(value).__name__}, not a named tensor.")
    plain = value.layout == torch.strided and not (value.is_quantized or value.is_nested)
    try:
        if plain:
            value = value.detach()
            return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    except (TypeError, RuntimeError):
        pass  # of a type that NumPy lacks, as float8, or without content (meta)
    raise UserError(
        f"{path}: {key} ({str(value.dtype).removeprefix('torch.')} on {value.device}) is not a "
        "dense array of numbers: sparse, nested, quantised or empty. Save it as dense float32."
    )


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
