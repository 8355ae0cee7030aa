"""Flax linen networks: NHWC in, low-resolution float32 logits out."""

from jax_labor.models.discriminator import FCDiscriminator
from jax_labor.models.factory import build_model
from jax_labor.models.segmenter import LaborNet, Outputs

__all__ = ["FCDiscriminator", "LaborNet", "Outputs", "build_model"]
