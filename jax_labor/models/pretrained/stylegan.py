"""A StyleGAN2 network and its weights from one file, which also tells the architecture."""

import dataclasses
import logging
import os
from collections.abc import Mapping
from typing import Any

from jax_labor.errors import UserError, about
from jax_labor.models.pretrained.checkpoints import read_checkpoint, read_noted
from jax_labor.models.pretrained.convert import Report, import_weights
from jax_labor.models.pretrained.layouts import detect_layout
from jax_labor.models.pretrained.stylegan_layouts import DISCRIMINATOR, GENERATOR, ROSINALITY, W_AVG
from jax_labor.models.pretrained.stylegan_missing import fill_missing
from jax_labor.models.pretrained.stylegan_pickle import read_stylegan_pickle
from jax_labor.models.pretrained.stylegan_settings import (
    check_architecture,
    settings_from_arguments,
    settings_from_tensors,
)
from jax_labor.models.pretrained.variables import ABOUT, fill_variables, split_source, take_about
from jax_labor.models.stylegan2 import (
    StyleGAN2Discriminator,
    StyleGAN2Generator,
    build_discriminator,
    build_generator,
    variable_shapes,
)

Network = StyleGAN2Generator | StyleGAN2Discriminator
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Options:
    """What a file may leave open.

    Attributes:
      network: which one of an official .pkl (G_ema, G, D) or of rosinality's (g_ema, g).
      conv_clamp: of an official state dict, which alone does not say: the limit, or 0 for none.
      mean_latent: where the file has no running mean of w: how many latents to average, drawn
        from a fixed key. Truncation goes towards it.
    """

    network: str = "G_ema"
    conv_clamp: float | None = None
    mean_latent: int | None = None


def load_stylegan(
    source: str | os.PathLike, options: Options | None = None
) -> tuple[Network, dict, Report]:
    """Build the network that a file holds and fill it, strictly.

    A network of other frameworks computes in float32, whatever it was trained in. What had to be
    made, because the file lacks it, is logged and in the report's notes.

    Args:
      source: an official .pkl; a rosinality .pt; a state dict of an official generator; or our
        own .npz. A layout's name may stand before it, as in `rosinality:ffhq.pt`.
      options: what the file may leave open.

    Returns:
      the network; its variables, NumPy float32; and the report of the import.

    Raises:
      UserError: the file is unreadable or hostile, is not of StyleGAN2, leaves something open
        that no option answers, answers itself what an option does, or has a key or a variable
        that is not accounted for.
    """
    network, variables, report = _load(*split_source(source), options or Options())
    for note in report.notes:
        _LOG.info("%s: %s", source, note)
    return network, variables, report


def _load(layout, path, options):
    if str(path).endswith(".pkl"):
        with about(path):
            _refuse(options, "conv_clamp", "mean_latent")
        found = read_stylegan_pickle(path, options.network)
        layout = {"Generator": GENERATOR}.get(found.kind, DISCRIMINATOR)
        with about(path):
            return _from_pickle(found, layout)
    tensors, notes = read_noted(path, options.network)
    with about(path):
        if ABOUT in tensors:
            _refuse(options, "conv_clamp", "mean_latent")
            return _from_ours(tensors)
        return _from_state_dict(tensors, layout, options, notes)


def network_settings(path: str | os.PathLike) -> dict[str, Any]:
    """Read the settings of the network in an .npz of ours; empty where it is not of StyleGAN2.

    Raises:
      UserError: the file can't be read, is damaged or of another kind.
    """
    tensors = read_checkpoint(path)
    with about(path):
        settings = take_about(tensors)["network"]
        check_architecture(settings)
    return settings


def _refuse(options: Options, *names: str) -> None:
    """Refuse options that the file answers itself, or else they would be passed over."""
    given = [name for name in names if getattr(options, name) is not None]
    if given:
        raise UserError(f"the file says itself what --{given[0]} asks for: leave that out.")


def _from_pickle(found, layout):
    settings = {"conv_clamp": found.conv_clamp}
    settings |= settings_from_arguments(found.kind, found.arguments)
    network, shapes = build_stylegan(layout, settings | {"low_precision_blocks": 0})
    variables, report = import_weights(found.tensors, layout, shapes)
    return network, variables, report


def _from_ours(tensors):
    about = take_about(tensors)
    layout, settings = about["layout"], about["network"]
    if not settings:
        raise UserError(
            f"weights in layout {layout}, not a StyleGAN2 network: import needs the model, give"
            " --config=configs/spl.py or another card."
        )
    network, shapes = build_stylegan(layout, settings)
    return network, *fill_variables(shapes, tensors, about | {"left": ()})


def _from_state_dict(tensors, layout, options, notes):
    layout = layout or detect_layout(tensors)
    if layout not in (GENERATOR, ROSINALITY):
        raise UserError(
            f"layout {layout} does not tell its network: import needs the model, give "
            "--config=configs/spl.py or another card."
            if layout != DISCRIMINATOR
            else "a discriminator's state dict does not tell its settings: give the .pkl."
        )
    settings = settings_from_tensors(layout, tensors)
    _refuse(options, "mean_latent" if layout == GENERATOR else "conv_clamp")
    if layout == GENERATOR:
        if options.conv_clamp is None:
            raise UserError(
                "a state dict does not say whether its layers are clamped. Make a file that does "
                "by launch/weights.py import FILE --conv_clamp=256 --out=FILE.npz (256: the "
                "official ADA training; 0: none), or give the .pkl."
            )
        settings["conv_clamp"] = options.conv_clamp or None
    network, shapes = build_stylegan(layout, settings)
    variables, report = import_weights(tensors, layout, shapes, notes)
    if f"stats/{W_AVG}" not in report.left:
        _refuse(options, "mean_latent")
    if report.left:
        variables, report = fill_missing(network, variables, report, options.mean_latent)
    return network, variables, report


def build_stylegan(layout: str, settings: Mapping[str, Any]) -> tuple[Network, dict]:
    """Build the network of a file's settings, and its variables' shapes: some only fail there.

    Raises:
      UserError: no network has such settings.
    """
    check_architecture(settings)
    build = build_discriminator if layout == DISCRIMINATOR else build_generator
    try:
        network = build(settings)
        return network, variable_shapes(network)
    except (TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise UserError(f"its settings make no network ({error}): {dict(settings)}") from None
