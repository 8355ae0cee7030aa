"""StyleGAN2 (-ADA): generator and discriminator, NHWC, equal to the official PyTorch networks."""

from jax_labor.models.stylegan2.discriminator import StyleGAN2Discriminator
from jax_labor.models.stylegan2.factory import (
    build_discriminator,
    build_generator,
    settings_of,
    variable_shapes,
)
from jax_labor.models.stylegan2.generator import StyleGAN2Generator, mean_latent
from jax_labor.models.stylegan2.shape import Pyramid

__all__ = [
    "Pyramid",
    "StyleGAN2Discriminator",
    "StyleGAN2Generator",
    "build_discriminator",
    "build_generator",
    "mean_latent",
    "settings_of",
    "variable_shapes",
]
