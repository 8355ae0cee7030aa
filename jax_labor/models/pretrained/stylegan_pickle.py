"""Official StyleGAN2-ADA checkpoints (.pkl), read without PyTorch and without running them.

Each network is pickled with its source text, which the official loader executes. Here the modules'
state is read as data: parameters, buffers, submodules and the constructor's arguments.
"""

import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np

from jax_labor.errors import UserError
from jax_labor.models.pretrained.tensor_pickle import TENSOR_NAMES, Tensor
from jax_labor.models.pretrained.unpickle import Forbidden, plain_key, read_pickle, shown

NETWORKS = ("G_ema", "G", "D")
_SCALARS = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")
_LONGEST = 100  # a module's name: more than any network has
_ZIP = b"PK\x03\x04"  # how a file of torch.save begins
# What old NVIDIA files for TensorFlow are made of.
_TENSORFLOW = ("dnnlib.tflib.", "tfutil.", "training.networks_stylegan")
_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    MemoryError,
    RecursionError,
)


@dataclasses.dataclass(frozen=True)
class Network:
    """One network of a file.

    Attributes:
      kind: the official class, Generator or Discriminator.
      arguments: what it was constructed with.
      tensors: state-dict key -> array as stored; bfloat16 as float32 (the same values).
      conv_clamp: limit of its layers' outputs, None where they have none. The official codes have
        other defaults where the arguments leave it out: None in ADA's, 256 in StyleGAN3's.
    """

    kind: str
    arguments: dict[str, Any]
    tensors: dict[str, np.ndarray]
    conv_clamp: float | None


@dataclasses.dataclass(frozen=True)
class _Module:
    """A pickled module: its class's name and its attributes."""

    kind: str
    state: dict[str, Any]


def read_stylegan_pickle(path: str | os.PathLike, network: str = "G_ema") -> Network:
    """Read one network of an official .pkl; nothing in the file is run.

    Args:
      path: {"G": ..., "D": ..., "G_ema": ...} as training writes it, or one network alone: a
        generator is then G_ema, a discriminator D.
      network: one of NETWORKS.

    Raises:
      UserError: the file is missing, damaged, hostile, of TensorFlow, or has no such network.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if file.read(len(_ZIP)) == _ZIP:
                raise UserError(f"{path}: not a pickle but a file of torch.save: rename it to .pt.")
            file.seek(0)
            content = read_pickle(file, _NAMES)
        return _network(path, content, network, size)
    except Forbidden as found:
        raise UserError(_refusal(path, str(found)[:100])) from None
    except _DAMAGE as error:
        detail = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: damaged, or not a StyleGAN2 pickle ({detail}). Fetch it again."
        ) from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}).") from None


def _refusal(path: str, found: str) -> str:
    if found.startswith(_TENSORFLOW):
        return (
            f"{path}: made by the TensorFlow StyleGAN2 ({found}), which holds no plain tensors. "
            "Convert it once with the official stylegan2-ada-pytorch: python legacy.py "
            "--source=OLD.pkl --dest=NEW.pkl, and give NEW.pkl."
        )
    return (
        f"{path}: refused, and nothing in it was run: it is not only networks but asks for {found}."
    )


def _network(path: str, content: Any, name: str, size: int) -> Network:
    if isinstance(content, _Module):
        content = {"D" if content.kind == "Discriminator" else "G_ema": content}
    if not isinstance(content, dict) or not any(n in content for n in NETWORKS):
        raise UserError(f"{path}: a pickle, but without networks named {', '.join(NETWORKS)}.")
    module = content.get(name)
    if not isinstance(module, _Module):
        there = ", ".join(n for n in NETWORKS if isinstance(content.get(n), _Module))
        raise UserError(f"{path}: has no network {name!r}; it has {there or 'none'}.")
    arguments = module.state["_init_kwargs"]
    if module.state.get("_init_args") or type(arguments) is not dict:
        raise ValueError("constructed with unnamed arguments")
    tensors = dict(_tensors(module, "", set()))
    if sum(tensor.nbytes for tensor in tensors.values()) > size:
        raise ValueError("its tensors claim more than the file holds")
    arrays = {key: tensor.array() for key, tensor in tensors.items()}
    return Network(module.kind, arguments, arrays, max(_clamps(module), default=None))


def _tensors(module: _Module, prefix: str, seen: set[int]) -> Iterator[tuple[str, Tensor]]:
    """Walk through the submodules, the parameters of a module before its buffers, as PyTorch."""
    if not isinstance(module, _Module):
        raise ValueError(f"{prefix} is not a module")
    parts = [module.state[part] for part in ("_parameters", "_buffers", "_modules")]
    # No module shares its parts; what is met again and again would never be walked to its end.
    if any(id(part) in seen for part in parts):
        raise ValueError(f"{prefix} is not a module of its own")
    seen.update(map(id, parts))
    hidden = module.state.get("_non_persistent_buffers_set", set())
    if type(hidden) is not set:
        raise ValueError(f"{prefix} hides what is not a set")
    for name, tensor in (*parts[0].items(), *parts[1].items()):
        if tensor is not None and name not in hidden:
            if not isinstance(tensor, Tensor):
                raise ValueError(f"{_key(prefix, name)} is not a tensor")
            yield _key(prefix, name), tensor
    for name, child in parts[2].items():
        if child is not None:
            yield from _tensors(child, f"{_key(prefix, name)}.", seen)


def _clamps(module: _Module) -> Iterator[float]:
    """Walk through the limits of the layers of a module that `_tensors` has walked through."""
    clamp = module.state.get("conv_clamp")
    if type(clamp) in (int, float):
        yield clamp
    for child in module.state["_modules"].values():
        if child is not None:
            yield from _clamps(child)


def _key(prefix: str, name: str) -> str:
    """Join a key, no longer than any network has: one long name can stand in many modules."""
    if type(name) is not str or len(prefix) + len(name) > _LONGEST:
        raise ValueError(f"{prefix} has a part without a usable name")
    return prefix + name


def _module(meta: Mapping) -> _Module:
    kind, state = meta["class_name"], meta["state"]
    if meta["type"] != "class" or type(kind) is not str or type(state) is not dict:
        raise ValueError("a persistent object that is no module")
    return _Module(kind, state)


def _mapping(pairs=()) -> dict:
    return {plain_key(key): value for key, value in _listed(pairs)}


def _set(items=()) -> set:
    return {plain_key(item) for item in _listed(items)}


def _listed(items) -> Collection:
    if type(items) not in (list, tuple):
        raise ValueError(f"items in a {type(items).__name__}")
    return items


def _encode(text: str, code: str) -> bytes:
    """Give the bytes that protocol 2 writes as text."""
    if type(text) is not str or code != "latin1":
        raise ValueError(f"bytes from text in {shown(code)}")
    return text.encode("latin1")


def _scalar(dtype: np.dtype, raw: bytes):
    if not isinstance(dtype, np.dtype) or type(raw) is not bytes:
        raise ValueError("a NumPy scalar that is not one")
    return np.frombuffer(raw, dtype)[0].item()


def _dtype(code: str, *_) -> np.dtype:
    if code not in _SCALARS:
        raise ValueError(f"a NumPy scalar of type {shown(code)}")
    return np.dtype(code)


_NAMES = {
    "torch_utils.persistence._reconstruct_persistent_obj": _module,
    **TENSOR_NAMES,
    "collections.OrderedDict": _mapping,
    "dnnlib.util.EasyDict": _mapping,
    "builtins.set": _set,
    # Protocol 2, which knows no bytes and has Python 2's names.
    "__builtin__.set": _set,
    "__builtin__.bytes": lambda: b"",
    "_codecs.encode": _encode,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
}
