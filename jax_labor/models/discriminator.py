"""The output-space discriminator of AdaptSegNet and ADVENT."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.errors import UserError
from jax_labor.models.resnet import conv

NEGATIVE_SLOPE = 0.2


class FCDiscriminator(nn.Module):
    """Tells source from target by the predicted maps (Tsai et al., CVPR 2018, section 3.3).

    `num_layers` convolutions of 4x4, stride 2, padding 1; leaky ReLU 0.2 between; no norm. The
    published one is ndf=64 with 5 layers: C-64-128-256-512-1. Each layer halves the map, rounded
    down, so an input needs at least 2**num_layers pixels a side: 5 layers suit maps resized to
    the image, 3 a low-resolution map of 15x20. Names: conv1 .. conv{num_layers-1}, classifier.
    """

    ndf: int = 64
    num_layers: int = 5
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, maps: jax.Array) -> jax.Array:
        """Map `maps[B,H,W,C]` (softmax or self-information) to logits float32[B,h,w,1]."""
        self._check(maps)
        x = maps
        for i in range(self.num_layers - 1):
            x = self._layer(self.ndf * 2**i, f"conv{i + 1}")(x)
            x = nn.leaky_relu(x, NEGATIVE_SLOPE)
        return self._layer(1, "classifier")(x).astype(jnp.float32)

    def _layer(self, channels, name):
        # PyTorch's own default, which the published discriminators keep: U(-b, b) with
        # b = 1 / sqrt(fan_in), that is, a variance of 1 / (3 fan_in).
        init = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        return conv(
            channels,
            4,
            2,
            dtype=self.dtype,
            name=name,
            use_bias=True,
            kernel_init=init,
            padding=((1, 1), (1, 1)),
        )

    def _check(self, maps):
        smallest = 2**self.num_layers
        if min(maps.shape[1:3]) < smallest:
            fits = max(min(maps.shape[1:3]).bit_length() - 1, 1)
            raise UserError(
                f"the discriminator's {self.num_layers} layers need maps of at least "
                f"{smallest}x{smallest}, got {maps.shape[1]}x{maps.shape[2]}: set "
                f"config.discriminator.layers to {fits} or less, or give it larger crops"
            )
