"""What a StyleGAN2 checkpoint says about its architecture, as settings of our networks."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from jax_labor.errors import UserError
from jax_labor.models.pretrained.layouts import get_layout
from jax_labor.models.pretrained.unpickle import shown

# The official constructor's arguments: what they are called here; None: of no effect on numbers.
_SHARED = {
    "c_dim": "c_dim",
    "img_resolution": "resolution",
    "channel_base": "channel_base",
    "channel_max": "channel_max",
    "num_fp16_res": "low_precision_blocks",
    "conv_clamp": "conv_clamp",
    "num_layers": "mapping_layers",
    "fp16_channels_last": None,
    "freeze_layers": None,
    "fused_modconv_default": None,
    "w_avg_beta": None,  # of training alone
}
_GENERATOR = _SHARED | {"z_dim": "z_dim", "w_dim": "w_dim"}
_DISCRIMINATOR = _SHARED | {
    "architecture": "architecture",
    "cmap_dim": "cmap_dim",
    "mbstd_group_size": "mbstd_group",
    "mbstd_num_channels": "mbstd_channels",
}
# What our networks have built in; another value makes another network.
_BUILT_IN = {
    "img_channels": 3,
    "architecture": "skip",
    "resample_filter": [1, 3, 3, 1],
    "activation": "lrelu",
    "lr_multiplier": 0.01,
    "embed_features": None,
    "layer_features": None,
    "kernel_size": 3,
    "use_noise": True,
}
# Settings that None is a value of; and the most where it is less than 2**20.
_OPEN = ("conv_clamp", "cmap_dim", "mbstd_group")
_MOST = {"mapping_layers": 64}
_NESTED = ("mapping_kwargs", "synthesis_kwargs", "block_kwargs", "epilogue_kwargs", "layer_kwargs")


def settings_from_arguments(kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the official constructor's arguments into settings for `build_generator` and its like.

    Args:
      kind: Generator or Discriminator.
      arguments: as in the file, with their nested mappings.

    Raises:
      UserError: an argument that our networks do not have, or have fixed to another value.
    """
    names = {"Generator": _GENERATOR, "Discriminator": _DISCRIMINATOR}.get(kind)
    if names is None:
        raise UserError(f"a network of kind {shown(kind)}, not Generator or Discriminator")
    settings, given = {}, _flat(arguments)
    if not _maps(kind, given):
        given.pop("lr_multiplier", None)
    for name, value in given.items():
        if name in names:
            settings |= {names[name]: value} if names[name] else {}
        elif name not in _BUILT_IN:
            named = shown(name).strip("'")
            raise UserError(f"unknown argument {named}={shown(value)} of the {kind}")
        elif not _equal(value, _BUILT_IN[name]) and not _states_default(kind, name, given):
            raise UserError(
                f"the {kind} has {name}={shown(value)}; only {_BUILT_IN[name]!r} is known here"
            )
    return settings


def check_architecture(settings: Mapping[str, Any]) -> None:
    """Refuse settings of a file that no network has, before it is tried to build one of them.

    Raises:
      UserError: naming the setting.
    """
    for name, value in settings.items():
        if not _possible(name, value):
            raise UserError(f"no StyleGAN2 network has {name[:50]}={shown(value)}")


def _possible(name: str, value: Any) -> bool:
    if value is None or name == "conv_clamp":
        number = type(value) in (int, float) and 0 < value < float("inf")
        return number or (value is None and name in _OPEN)
    if name in ("architecture", "dtype"):
        return type(value) is str and len(value) < 20
    if name == "base":
        return type(value) in (list, tuple) and all(_possible("", part) for part in value)
    return type(value) is int and 0 <= value <= _MOST.get(name, 2**20)


def settings_from_tensors(layout: str, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Read a generator's settings off its tensors' shapes; all but `conv_clamp` is in them.

    Raises:
      UserError: the layout is not a generator's, or tensors are missing.
    """
    table = get_layout(layout)
    paths = {key: table.flax_path(key) for key in tensors}
    shapes = {p: table.to_flax(key, tensors[key]).shape for key, p in paths.items() if p}
    found = (re.fullmatch(r"params/synthesis/b(\d+)/conv1/kernel", path) for path in shapes)
    widths = {int(match[1]): shapes[match[0]][-1] for match in found if match}
    try:
        w_dim = shapes["params/synthesis/b4/conv1/affine/kernel"][0]
        embed = shapes.get("params/mapping/embed/kernel")
        return {
            "resolution": max(widths),
            "base": shapes["params/synthesis/b4/const"][:2],
            "channel_base": widths[max(widths)] * max(widths),
            "channel_max": widths[4],
            "z_dim": shapes["params/mapping/fc0/kernel"][0] - (w_dim if embed else 0),
            "w_dim": w_dim,
            "c_dim": embed[0] if embed else 0,
            "mapping_layers": sum("/mapping/fc" in p and p.endswith("kernel") for p in shapes),
        }
    except (KeyError, IndexError, ValueError) as error:
        raise UserError(
            f"layout {layout}: its tensors do not tell the architecture ({error} is missing)"
        ) from None


def _maps(kind: str, given: Mapping[str, Any]) -> bool:
    """Tell whether the mapping has dense layers, which its lr_multiplier acts on.

    The official converter of TensorFlow's files writes 0.1 into discriminators without any.
    """
    unconditional = kind == "Discriminator" and _equal(given.get("c_dim"), 0)
    return not unconditional and not _equal(given.get("num_layers"), 0)


def _states_default(kind: str, name: str, given: Mapping[str, Any]) -> bool:
    """Tell whether a width of the mapping, None by default, is given as what that stands for."""
    width = given.get("w_dim" if kind == "Generator" else "cmap_dim")
    wide = name in ("embed_features", "layer_features")
    return wide and type(width) is int and _equal(given[name], width)


def _flat(arguments: Mapping[str, Any], depth: int = 3) -> dict[str, Any]:
    if not depth:
        raise UserError("its arguments are nested deeper than any network's")
    flat = {}
    for name, value in arguments.items():
        nested = name in _NESTED and isinstance(value, dict)
        flat |= _flat(value, depth - 1) if nested else {name: value}
    return flat


def _equal(value: Any, known: Any) -> bool:
    """Compare without asking an object of the file, which can be an array or hold itself."""
    if isinstance(known, list):
        listed = type(value) in (list, tuple) and len(value) == len(known)
        return listed and all(map(_equal, value, known))
    return type(value) is type(known) and value == known
