"""A pytree as named host arrays and back: what a checkpoint keeps of a state."""

import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jax_labor.errors import UserError

_SHOWN = 8


def host_arrays(state: Any) -> dict[str, np.ndarray]:
    """Copy the leaves of `state` to the host, by path (`params/head/kernel`).

    Copies even where NumPy could look into the buffer: a donated buffer is written over while the
    save is still in progress.
    """
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    return {_name(path): np.array(jax.device_get(leaf)) for path, leaf in leaves}


def checksum(state: Any, first: bytes = b"") -> str:
    """SHA-256 of `first` and of every host array's path, type, shape and content."""
    digest = hashlib.sha256(first)
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}".encode())
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()


def fill(target: Any, arrays: Mapping[str, np.ndarray], source: str) -> Any:
    """Return `target` with its leaves replaced by those of `arrays` of the same path.

    A Python number in `target` takes an array of shape (). Raises `UserError`, naming `source` and
    the leaves, when a path is missing or left over, or a shape or dtype differs.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(target)
    wanted = {_name(path): leaf for path, leaf in leaves}
    problems = [f"{name}: not in the checkpoint" for name in wanted.keys() - arrays.keys()]
    problems += [f"{name}: not in this model" for name in arrays.keys() - wanted.keys()]
    for name in wanted.keys() & arrays.keys():
        if not _fits(arrays[name], wanted[name]):
            has, wants = _form(arrays[name]), _form(wanted[name])
            problems.append(f"{name}: the checkpoint has {has}, this model wants {wants}")
    if problems:
        raise UserError(_report(source, sorted(problems)))
    return jax.tree_util.tree_unflatten(structure, [arrays[name] for name in wanted])


def _name(path: tuple) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _fits(array: np.ndarray, wanted: Any) -> bool:
    if isinstance(wanted, (bool, int, float)):
        return array.shape == ()
    return array.shape == tuple(wanted.shape) and array.dtype == wanted.dtype


def _form(leaf: Any) -> str:
    if isinstance(leaf, (bool, int, float)):
        return type(leaf).__name__
    return f"{leaf.dtype}[{','.join(map(str, leaf.shape))}]"


def _report(source: str, problems: list[str]) -> str:
    shown = [f"- {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        shown.append(f"- and {len(problems) - _SHOWN} more")
    lines = "\n".join(shown)
    remedy = "Use the configuration it was made with"
    return f"{source}: not a checkpoint of this model:\n{lines}\n{remedy}"
