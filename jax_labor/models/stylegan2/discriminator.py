"""StyleGAN2's discriminator (Karras et al., CVPR 2020, figure 7)."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.errors import UserError
from jax_labor.models.stylegan2.layers import Conv, Dense
from jax_labor.models.stylegan2.mapping import MappingNetwork
from jax_labor.models.stylegan2.shape import Pyramid
from jax_labor.ops.filter2d import downsample2d

ARCHITECTURES = ("resnet", "skip", "orig")
HALF = math.sqrt(0.5)


class DiscriminatorBlock(nn.Module):
    """Halves the size: conv0 and conv1, with the image or a residual as the architecture says.

    Parameters: fromrgb (at the image's own size; with "skip" everywhere), conv0, conv1, and with
    "resnet" skip: see Conv.
    """

    pyramid: Pyramid
    block: int
    architecture: str
    clamp: float | None

    @nn.compact
    def __call__(self, x: jax.Array | None, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Map x[B,h,w,I], None at first, to [B,h/2,w/2,O]; and shrink the image with "skip"."""
        dtype = self.pyramid.precision(self.block)
        channels, after = (self.pyramid.channels(r) for r in (self.block, self.block // 2))
        x = None if x is None else x.astype(dtype)
        if x is None or self.architecture == "skip":
            colours = Conv(channels, 1, clamp=self.clamp, name="fromrgb")(image.astype(dtype))
            x = colours if x is None else x + colours
        if self.architecture == "skip":
            image = downsample2d(image.astype(dtype))
        y = Conv(channels, clamp=self.clamp, name="conv0")(x)
        conv1 = Conv(after, down=True, clamp=self.clamp, name="conv1")
        if self.architecture != "resnet":
            return conv1(y), image
        skip = Conv(after, 1, down=True, bias=False, activate=False, name="skip")
        return skip(x, HALF) + conv1(y, HALF), image


class DiscriminatorEpilogue(nn.Module):
    """The last, smallest block: minibatch deviation, a convolution, two dense layers.

    Parameters: conv, fc, out, and with "skip" fromrgb: see Conv and Dense. fc reads the maps
    channel by channel, as the official code stores its kernel.
    """

    outputs: int
    architecture: str
    clamp: float | None
    group: int
    deviations: int

    @nn.compact
    def __call__(self, x: jax.Array, image: jax.Array) -> jax.Array:
        """Map x[B,h,w,C] to float32 [B,outputs]."""
        channels = x.shape[-1]
        x = x.astype(jnp.float32)
        if self.architecture == "skip":
            x = x + Conv(channels, 1, name="fromrgb")(image.astype(jnp.float32))
        if self.deviations:
            x = minibatch_deviation(x, self.group, self.deviations)
        x = Conv(channels, clamp=self.clamp, name="conv")(x)
        x = x.transpose(0, 3, 1, 2).reshape(x.shape[0], -1)
        x = Dense(channels, activate=True, name="fc")(x)
        return Dense(self.outputs, name="out")(x)


class StyleGAN2Discriminator(nn.Module):
    """Tells real from generated images; equal to the official PyTorch network.

    With classes, the output is projected: the product of cmap_dim outputs with the class mapped
    to as many (Miyato and Koyama, ICLR 2018). Collection "params" only: mapping/{embed,fc0,...}
    where c_dim > 0, b{r}/{fromrgb,conv0,conv1,skip}, b4/{conv,fc,out}.

    Attributes:
      pyramid: sizes, channels and precision, see Pyramid.
      c_dim: length of the class vector; 0 for none.
      architecture: "resnet" (the default of StyleGAN2), "skip" or "orig".
      conv_clamp: limit of each convolution's output; None for none.
      mbstd_group: how many samples the minibatch deviation compares, at most; None for all.
      mbstd_channels: how many channels it adds; 0 for none.
      mapping_layers: of the class's mapping.
      cmap_dim: length of the projection; None for as many as b4 has channels.
    """

    pyramid: Pyramid
    c_dim: int = 0
    architecture: str = "resnet"
    conv_clamp: float | None = None
    mbstd_group: int | None = 4
    mbstd_channels: int = 1
    mapping_layers: int = 8
    cmap_dim: int | None = None

    @nn.compact
    def __call__(self, image: jax.Array, c: jax.Array | None = None) -> jax.Array:
        """Give logits float32 [B,1] of image[B,H,W,3], about -1 to 1, and c[B,c_dim].

        Raises:
          UserError: an image of another size, a missing class, an unknown architecture, or a
            batch that the groups do not divide.
        """
        self._check(image, c)
        x, clamp = None, self.conv_clamp
        for r in self.pyramid.blocks[:0:-1]:
            block = DiscriminatorBlock(self.pyramid, r, self.architecture, clamp, name=f"b{r}")
            x, image = block(x, image)
        width = self.cmap_dim or self.pyramid.channels(4)
        epilogue = DiscriminatorEpilogue(
            width if self.c_dim else 1,
            self.architecture,
            clamp,
            self.mbstd_group or image.shape[0],
            self.mbstd_channels,
            name="b4",
        )
        x = epilogue(x, image)
        if not self.c_dim:
            return x
        mapping = MappingNetwork(width, 0, self.c_dim, self.mapping_layers, name="mapping")
        return (x * mapping(None, c)).sum(1, keepdims=True) / math.sqrt(width)

    def _check(self, image, c):
        size = self.pyramid.image_size
        if image.ndim != 4 or image.shape[1:3] != size:
            raise UserError(f"images must be [B,{size[0]},{size[1]},3], got {image.shape}")
        if self.architecture not in ARCHITECTURES:
            raise UserError(
                f"architecture {self.architecture!r}: choose one of {', '.join(ARCHITECTURES)}"
            )
        if self.c_dim and (c is None or c.shape != (image.shape[0], self.c_dim)):
            found = "none" if c is None else c.shape
            raise UserError(f"with classes, c must be [B,{self.c_dim}], got {found}")


def minibatch_deviation(x: jax.Array, group: int, channels: int = 1) -> jax.Array:
    """Appends to each sample how much the samples of its group differ (Karras et al., ICLR 2018).

    Sample j is in group j mod (B/g), g = min(group, B). The deviation over the group is averaged
    over pixels and over each of `channels` equal parts of the channels.

    Args:
      x: float32 [B,h,w,C].
      group: samples per group, at most.
      channels: how many to append; divides C.

    Returns:
      float32 [B,h,w,C+channels], the new ones last.

    Raises:
      UserError: B is not a multiple of the group's size, or C of `channels`.
    """
    batch, height, width, depth = x.shape
    group = min(group, batch)
    if batch % group or depth % channels:
        raise UserError(
            f"mbstd_group {group} must divide the batch per device ({batch}), and mbstd_channels "
            f"{channels} the {depth} channels"
        )
    y = x.reshape(group, batch // group, height, width, channels, depth // channels)
    variance = jnp.square(y - y.mean(0, keepdims=True)).mean(0)
    mean = jnp.sqrt(variance + 1e-8).mean((1, 2, 4))
    maps = jnp.broadcast_to(
        mean[None, :, None, None], (group, *mean.shape[:1], height, width, channels)
    )
    return jnp.concatenate([x, maps.reshape(batch, height, width, channels)], -1)
