"""From styles to an image: StyleGAN2's synthesis network with skip outputs.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, figures 2 and 7.
"""

from collections.abc import Collection

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.errors import UserError
from jax_labor.models.stylegan2.layers import ModulatedConv, clamped, finish
from jax_labor.models.stylegan2.shape import Pyramid
from jax_labor.ops.filter2d import upsample2d

# Where the noise comes from: the fixed map of each layer, nowhere, or each sample's own key.
FIXED, NONE = "const", "none"
Noise = str | jax.Array


class SynthesisLayer(nn.Module):
    """Modulated convolution, noise, bias, leaky ReLU, clamp.

    Parameters: kernel, bias, affine: see ModulatedConv; noise_strength float32 [], zero.
    Collection "stats": noise_const float32 [h,w], the fixed noise, drawn N(0,1).
    """

    features: int
    size: tuple[int, int]
    index: int
    up: bool = False
    clamp: float | None = None

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array, noise: Noise) -> jax.Array:
        """Map x[B,.,.,I] and w[B,w_dim] to [B,h,w,features]; `noise` as of SynthesisNetwork."""
        conv = ModulatedConv(self.features, up=self.up)
        nn.share_scope(self, conv)
        y, bias = conv(x, w)
        fixed = self.variable("stats", "noise_const", self._draw)
        strength = self.param("noise_strength", nn.initializers.zeros, ())
        if not isinstance(noise, str):
            maps = jax.vmap(lambda key: self._normal(jax.random.fold_in(key, self.index)))(noise)
            y = y + (maps * strength)[..., None].astype(y.dtype)
        elif noise == FIXED:
            y = y + (fixed.value * strength)[None, :, :, None].astype(y.dtype)
        return finish(y + bias, clamp=self.clamp)

    def _draw(self):
        return self._normal(self.make_rng("params"))

    def _normal(self, key):
        return jax.random.normal(key, self.size)


class ToRGB(nn.Module):
    """1x1 modulated convolution to an image, neither demodulated nor activated.

    Parameters: see ModulatedConv.
    """

    clamp: float | None = None

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array) -> jax.Array:
        """Map x[B,h,w,I] and w[B,w_dim] to float32 [B,h,w,3]."""
        conv = ModulatedConv(3, size=1, demodulate=False)
        nn.share_scope(self, conv)
        y, bias = conv(x, w)
        return clamped(y + bias, self.clamp).astype(jnp.float32)


class SynthesisBlock(nn.Module):
    """One size of the synthesis: conv0 (which doubles it), conv1 and torgb.

    The first block, of number 4, has a learnt constant `const` float32 [h,w,C] in conv0's place.
    """

    pyramid: Pyramid
    block: int
    clamp: float | None = None

    @nn.compact
    def __call__(
        self, x: jax.Array | None, image: jax.Array | None, ws: jax.Array, noise: Noise
    ) -> tuple[jax.Array, jax.Array, dict[str, jax.Array]]:
        """Give the maps, the image so far, and every map by name.

        Args:
          x: [B,h/2,w/2,I], or None for the first block.
          image: float32 [B,h/2,w/2,3], or None.
          ws: float32 [B,n,w_dim], the styles of conv0, conv1, torgb (n = 3), or without conv0.
          noise: see SynthesisNetwork.
        """
        size, channels = self.pyramid.size(self.block), self.pyramid.channels(self.block)
        index = 2 * (self.block.bit_length() - 3)
        taps = {}
        if x is None:
            const = self.param("const", nn.initializers.normal(1.0), (*size, channels))
            x = taps["const"] = jnp.broadcast_to(const[None], (ws.shape[0], *const.shape))
        else:
            x = x.astype(self.pyramid.precision(self.block))
            layer = SynthesisLayer(channels, size, index - 1, True, self.clamp, name="conv0")
            x = taps["conv0"] = layer(x, ws[:, -3], noise)
        layer = SynthesisLayer(channels, size, index, False, self.clamp, name="conv1")
        x = taps["conv1"] = layer(x, ws[:, -2], noise)
        taps["torgb"] = ToRGB(self.clamp, name="torgb")(x, ws[:, -1])
        image = taps["torgb"] if image is None else upsample2d(image) + taps["torgb"]
        return x, image, taps | {"img": image}


class SynthesisNetwork(nn.Module):
    """The blocks b4, b8, ...; layer i of block k takes its own row of ws.

    Parameters and "stats": b{r}/{const,conv0,conv1,torgb}, see there.
    """

    pyramid: Pyramid
    clamp: float | None = None

    @nn.compact
    def __call__(
        self, ws: jax.Array, noise: Noise = FIXED, taps: Collection[str] = ()
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Give the images that the styles stand for, and the wanted maps.

        Args:
          ws: float32 [B,num_ws,w_dim].
          noise: typed keys [B], one a sample: its noise is a function of its key alone, whatever
            batch it is in; or "const" for the fixed noise of each layer, or "none".
          taps: names of maps to give, of `tap_names`.

        Returns:
          float32 [B,H,W,3], about -1 to 1 after training, not clipped; and name -> [B,h,w,C],
          float32, after the activation.

        Raises:
          UserError: an unknown tap or noise, or keys or styles of another number.
        """
        self._check(ws, noise, taps)
        x = image = None
        found = {}
        for block in self.pyramid.blocks:
            start = max(2 * (block.bit_length() - 3) - 1, 0)
            rows = ws[:, start : start + (2 if block == 4 else 3)]
            layers = SynthesisBlock(self.pyramid, block, self.clamp, name=f"b{block}")
            x, image, maps = layers(x, image, rows, noise)
            named = {f"b{block}.{name}": value for name, value in maps.items()}
            found |= {n: v.astype(jnp.float32) for n, v in named.items() if n in taps}
        return image, found

    def _check(self, ws, noise, taps):
        known = tap_names(self.pyramid)
        unknown = sorted(set(taps) - set(known))
        if unknown:
            raise UserError(f"no feature map {', '.join(unknown)}: choose from {', '.join(known)}")
        if ws.ndim != 3 or ws.shape[1] != num_ws(self.pyramid):
            raise UserError(f"ws must be [B,{num_ws(self.pyramid)},w_dim], got {ws.shape}")
        if isinstance(noise, str):
            if noise not in (FIXED, NONE):
                raise UserError(f"noise {noise!r}: give {FIXED!r}, {NONE!r} or a key per sample")
        elif noise.shape != ws.shape[:1]:
            raise UserError(f"noise needs a key per sample: {ws.shape[0]}, got {noise.shape}")


def num_ws(pyramid: Pyramid) -> int:
    """Returns how many styles an image has: one per convolution, and one for the last torgb."""
    return 2 * len(pyramid.blocks)


def tap_names(pyramid: Pyramid) -> tuple[str, ...]:
    """Returns every map's name, in the order of computation."""
    names = {4: ("const", "conv1", "torgb", "img")}
    rest = ("conv0", "conv1", "torgb", "img")
    return tuple(f"b{r}.{name}" for r in pyramid.blocks for name in names.get(r, rest))


def feature_sizes(pyramid: Pyramid) -> dict[str, tuple[int, int, int]]:
    """Returns name -> (h, w, C) of the maps that a pixel classifier reads (DatasetGAN, 3.1).

    The constant and each convolution's output, in the order of computation.
    """
    names = [n for n in tap_names(pyramid) if n.split(".")[1] in ("const", "conv0", "conv1")]
    blocks = {name: int(name[1:].split(".")[0]) for name in names}
    return {n: (*pyramid.size(r), pyramid.channels(r)) for n, r in blocks.items()}
