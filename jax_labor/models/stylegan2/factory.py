"""From settings to a StyleGAN2 network, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from jax_labor.errors import UserError
from jax_labor.models.stylegan2.discriminator import StyleGAN2Discriminator
from jax_labor.models.stylegan2.generator import StyleGAN2Generator
from jax_labor.models.stylegan2.shape import Pyramid

Network = StyleGAN2Generator | StyleGAN2Discriminator


def build_generator(cfg: Mapping[str, Any]) -> StyleGAN2Generator:
    """The generator that `cfg` describes.

    `cfg` holds resolution and what else differs from the defaults of Pyramid and of
    StyleGAN2Generator, as one flat mapping. Raises UserError for an unknown or impossible setting.
    """
    return _build(StyleGAN2Generator, cfg)


def build_discriminator(cfg: Mapping[str, Any]) -> StyleGAN2Discriminator:
    """The discriminator that `cfg` describes, as `build_generator`."""
    return _build(StyleGAN2Discriminator, cfg)


def settings_of(network: Network) -> dict[str, Any]:
    """The flat settings of `network`, from which it can be built again; all of them, for JSON."""
    own = {name: getattr(network, name) for name in _own(type(network))}
    return dataclasses.asdict(network.pyramid) | own


def variable_shapes(network: Network) -> dict:
    """The variables of `network` as jax.ShapeDtypeStruct: names, shapes and types."""
    image = (1, *network.pyramid.image_size, 3)
    inputs = (1, network.z_dim) if isinstance(network, StyleGAN2Generator) else image
    arguments = [jax.ShapeDtypeStruct(shape, np.float32) for shape in (inputs, (1, network.c_dim))]
    return jax.eval_shape(lambda x, c: network.init(jax.random.key(0), x, c), *arguments)


def _build(kind: type[nn.Module], cfg: Mapping[str, Any]) -> Any:
    given = dict(cfg)
    shape = [field.name for field in dataclasses.fields(Pyramid)]
    known = [*shape, *_own(kind)]
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise UserError(
            f"unknown setting {', '.join(unknown)} of a {kind.__name__}: choose from "
            f"{', '.join(known)}"
        )
    if "resolution" not in given:
        raise UserError(f"a {kind.__name__} needs its resolution")
    given |= {"base": tuple(given.get("base", Pyramid.base))}
    pyramid = Pyramid(**{name: value for name, value in given.items() if name in shape})
    return kind(pyramid, **{name: value for name, value in given.items() if name not in shape})


def _own(kind: type[nn.Module]) -> list[str]:
    fixed = ("pyramid", "parent", "name")
    return [field.name for field in dataclasses.fields(kind) if field.name not in fixed]
