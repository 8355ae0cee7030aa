"""Strict conversion between a state dict of another framework and our variables."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from flax import traverse_util

from jax_labor.errors import UserError
from jax_labor.models.pretrained.layout import COUNTERS, Layout, matches
from jax_labor.models.pretrained.layouts import get_layout
from jax_labor.models.pretrained.naming import rename

SHOWN = 6


@dataclasses.dataclass(frozen=True)
class Report:
    """What an import did with every key of the file and every variable of the model.

    Attributes:
      layout: name of the layout.
      used: PyTorch keys that were read, in the file's order.
      dropped: PyTorch keys that were deliberately not read.
      filled: variables that came from the file.
      copied: variables of the selector's own backbone, copied from the backbone.
      left: variables that stay as initialised.
      notes: what else a person should know of it, a line each.
    """

    layout: str
    used: tuple[str, ...]
    dropped: tuple[str, ...]
    filled: tuple[str, ...]
    copied: tuple[str, ...]
    left: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def summary(self) -> str:
        """Give a few lines for a person: counts, and the names of what was dropped or left."""
        named = tuple(key for key in self.dropped if not matches(key, COUNTERS))
        lines = [
            f"layout {self.layout}: {len(self.used)} tensors read",
            f"  dropped: {_listed(_modules(named, '.'))}",
            f"  dropped batch counters: {len(self.dropped) - len(named)}",
            f"  copied to the selector's own backbone: {len(self.copied)} variables",
            f"  left as initialised: {_listed(_modules(self.left, '/'))}",
            *(f"  {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def import_weights(
    tensors: Mapping[str, np.ndarray],
    layout: str,
    variables: Mapping,
    notes: tuple[str, ...] = (),
) -> tuple[dict, Report]:
    """Fill `variables` with `tensors`; every key and every variable must be accounted for.

    Args:
      tensors: PyTorch key -> array (convolutions OIHW).
      layout: name of a layout, see `layouts.LAYOUTS`.
      variables: {"params": ..., "batch_stats": ...} as `init` gave them, or only their shapes;
        read, not changed.
      notes: for the report, what the file's reader said.

    Returns:
      variables of the same structure, NumPy float32 where filled; and the report.

    Raises:
      UserError: listing missing, unexpected, mis-shaped and non-float or non-finite keys.
    """
    table = get_layout(layout)
    flat = traverse_util.flatten_dict(dict(variables), sep="/")
    routes, dropped, problems = _route(tensors, table, flat)
    for key, path in routes.items():
        problems += _unfit(key, tensors[key], table.to_flax(key, tensors[key]), path, flat[path])
    filled = {path: key for key, path in routes.items()}
    copies = copies_for_selector(flat, filled)
    left = tuple(path for path in flat if path not in filled and path not in copies)
    problems += _missing(left, table)
    if problems:
        raise UserError(_complaint(table, problems, flat))
    for path, key in filled.items():
        flat[path] = table.to_flax(key, np.array(tensors[key], np.float32))
    for path, source in copies.items():
        flat[path] = np.array(flat[source])
    used = tuple(key for key in tensors if key not in dropped)
    wide = sum(tensors[key].dtype == np.float64 for key in routes)
    notes += (f"rounded from float64 to float32: {wide} tensors",) if wide else ()
    report = Report(layout, used, dropped, tuple(filled), tuple(copies), left, notes)
    return traverse_util.unflatten_dict(flat, sep="/"), report


def export_weights(variables: Mapping, layout: str) -> dict[str, np.ndarray]:
    """Write `variables` in `layout`: the reverse of `import_weights`, bit for bit.

    Variables on the layout's `left` list that it has no place for (the selector, for instance) are
    not written. AdaptSegNet's two branches that never act are written as zeros, so that the
    original loads the file.

    Returns:
      PyTorch key -> float32 array (convolutions OIHW).

    Raises:
      UserError: the model has variables that the layout can neither hold nor leave out.
    """
    table = get_layout(layout)
    flat = traverse_util.flatten_dict(dict(variables), sep="/")
    keys = {path: table.torch_key(path) for path in flat}
    homeless = [p for p, key in keys.items() if key is None and not _may_stay(p, table)]
    if homeless:
        raise UserError(f"layout {layout} has no place for {_listed(homeless)} of the model.")
    tensors = {k: table.to_torch(k, np.array(flat[p], np.float32)) for p, k in keys.items() if k}
    tensors |= _zeros(tensors, table) | _constants(tensors, table)
    if not table.anchored(tensors):
        raise UserError(f"the model has not all that layout {layout} needs: {table.about}.")
    return tensors


def copies_for_selector(flat: Mapping[str, object], filled: Mapping[str, object]) -> dict[str, str]:
    """Give variable of the selector's own backbone -> the backbone's variable that fills it."""
    sources = {p: p.replace("/selector/backbone/", "/backbone/", 1) for p in flat}
    return {p: s for p, s in sources.items() if p != s and s in filled and p not in filled}


def _route(tensors: Mapping, table: Layout, flat: Mapping) -> tuple[dict, tuple, list[str]]:
    """Split the file's keys into key -> variable, dropped keys, and problems."""
    routes, dropped, problems = {}, [], []
    replaced = _replaced(tensors, table, flat)
    for key in tensors:
        path = table.flax_path(key)
        fixed = table.constant(key)
        if table.drops(key) or key in replaced:
            dropped.append(key)
        elif fixed is not None:
            problems += _differs(key, tensors[key], fixed)
        elif path is None:
            problems.append(f"unexpected: {key} is not in this layout")
        elif path not in flat:
            problems.append(f"unexpected: {key} has no place in the model ({path})")
        else:
            routes[key] = path
    return routes, tuple(dropped), problems


def _replaced(tensors: Mapping, table: Layout, flat: Mapping) -> set[str]:
    """Give the keys of the replaceable modules, where these don't fit the model as a whole."""
    routes = {key: table.flax_path(key) for key in tensors}
    group = {k: p for k, p in routes.items() if p and matches(_bare(p), table.replaceable)}
    wanted = {path for path in flat if matches(_bare(path), table.replaceable)}
    fits = set(group.values()) == wanted and all(
        table.to_flax(key, tensors[key]).shape == np.shape(flat[path])
        for key, path in group.items()
    )
    return set() if fits else set(group)


def _unfit(key: str, tensor, arranged, path: str, target: object) -> list[str]:
    shape = arranged.shape
    if shape != np.shape(target):
        return [f"shape: {key} is {shape} (as {path}), the model's is {np.shape(target)}"]
    return unsound(key, tensor)


def unsound(key: str, tensor: np.ndarray) -> list[str]:
    """Say why a tensor is no weight: of another type, or not finite; empty where it is one."""
    if tensor.dtype not in (np.float32, np.float16, np.float64):
        return [f"type: {key} is {tensor.dtype}, not a float of 16, 32 or 64 bits"]
    with np.errstate(over="ignore"):
        finite = np.isfinite(tensor.astype(np.float32, copy=False)).all()
    return [] if finite else [f"value: {key} holds NaN, infinity or more than a float32 holds"]


def _missing(left: tuple[str, ...], table: Layout) -> list[str]:
    return [
        f"missing: {table.torch_key(path) or 'no key of this layout'} for {path}"
        for path in left
        if not _may_stay(path, table)
    ]


def _may_stay(path: str, table: Layout) -> bool:
    return matches(_bare(path), table.left) or "/selector/backbone/" in path


def _zeros(tensors: Mapping[str, np.ndarray], table: Layout) -> dict[str, np.ndarray]:
    return {
        f"{module}.{ending}": np.zeros_like(tensors[f"{like}.{ending}"])
        for module, like in table.zeros
        for ending in ("weight", "bias")
        if f"{like}.{ending}" in tensors
    }


def _constants(tensors: Mapping[str, np.ndarray], table: Layout) -> dict[str, np.ndarray]:
    names = [(c, rename(c.like, c.torch, key)) for c in table.constants for key in tensors]
    return {name: constant.value.copy() for constant, name in names if name}


def _differs(key: str, tensor: np.ndarray, value: np.ndarray) -> list[str]:
    if tensor.shape == value.shape and np.allclose(tensor, value, rtol=1e-5, atol=0):
        return []
    return [f"value: {key} is not the fixed filter that the networks here have"]


def _bare(path: str) -> str:
    """Take the collection off: `params/head/branch0/kernel` -> `head/branch0/kernel`."""
    return path.partition("/")[2]


def _complaint(table: Layout, problems: list[str], flat: Mapping) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in table.model)
    hint = f"\nThe layout belongs to model settings {settings}." if settings else ""
    homeless = any("(params/aux/" in problem for problem in problems)
    if homeless and not any(path.startswith("params/aux/") for path in flat):
        hint += "\nThe file has an auxiliary head: set model.aux=True."
    return (
        f"{len(problems)} keys do not match layout {table.name} ({table.about}):\n  "
        + _listed(problems, "\n  ")
        + hint
    )


def _modules(names: tuple[str, ...], separator: str) -> list[str]:
    return list(dict.fromkeys(name.rpartition(separator)[0] for name in names))


def _listed(names: list[str], between: str = ", ") -> str:
    more = [f"and {len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return between.join([*names[:SHOWN], *more]) or "nothing"
