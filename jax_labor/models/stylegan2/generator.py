"""StyleGAN2's generator: mapping, truncation and synthesis."""

from collections.abc import Collection

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_labor.errors import UserError
from jax_labor.models.stylegan2.mapping import MappingNetwork
from jax_labor.models.stylegan2.shape import Pyramid
from jax_labor.models.stylegan2.synthesis import (
    FIXED,
    Noise,
    SynthesisNetwork,
    feature_sizes,
    num_ws,
)

W_AVG_KEPT = 0.995


class StyleGAN2Generator(nn.Module):
    """Images from latents (Karras et al., CVPR 2020), equal to the official PyTorch network.

    With `v = generator.init(key, z, c)`, all of these are pure functions of their arguments:

        generator.apply(v, z, c, noise=keys)                            images
        generator.apply(v, z, c, psi=0.7, cutoff=8, method="map")       ws
        generator.apply(v, ws, keys, taps=names, method="synthesise")   images and feature maps
        generator.apply(v, z, c, update=True, method="map", mutable=["stats"])

    A sample is a function of its latent, class and key alone. Its noise is the same to the bit in
    any batch on any number of devices; its image up to rounding (1e-6), since matrix products of
    another size add in another order, and to the bit too where samples are computed one by one
    (jax.lax.map over batches of one). On a GPU the default precision of float32 convolutions is
    TensorFloat-32, about 1e-3; jax.default_matmul_precision("highest") gives the official numbers.

    Collections:

    * "params": what is trained. mapping/{embed,fc0,...}, synthesis/b{r}/{const,conv0,conv1,torgb},
      float32, kernels HWIO or [in,out], before the equalised learning rate.
    * "stats": what is not. w_avg [w_dim], the running mean of w, which only `update` moves; and
      synthesis/b{r}/conv{i}/noise_const [h,w], which never moves.

    Attributes:
      pyramid: sizes, channels and precision, see Pyramid.
      z_dim, w_dim: lengths of latents and styles.
      c_dim: length of the class vector; 0 for a generator without classes.
      mapping_layers: 8 in StyleGAN2; 2 in the official code's automatic settings.
      conv_clamp: limit of each layer's output; None for none.
    """

    pyramid: Pyramid
    z_dim: int = 512
    w_dim: int = 512
    c_dim: int = 0
    mapping_layers: int = 8
    conv_clamp: float | None = None

    def setup(self):
        """Name the two networks and the running mean."""
        self.mapping = MappingNetwork(self.w_dim, self.z_dim, self.c_dim, self.mapping_layers)
        self.synthesis = SynthesisNetwork(self.pyramid, self.conv_clamp)
        self.w_avg = self.variable("stats", "w_avg", jnp.zeros, (self.w_dim,))

    def __call__(
        self,
        z: jax.Array,
        c: jax.Array | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        noise: Noise = FIXED,
    ) -> jax.Array:
        """Give float32 [B,H,W,3]: `map`, then `synthesise`."""
        return self.synthesise(self.map(z, c, psi, cutoff), noise)[0]

    def map(
        self,
        z: jax.Array,
        c: jax.Array | None = None,
        psi: float = 1.0,
        cutoff: int | None = None,
        update: bool = False,
        axis_name: str | None = None,
    ) -> jax.Array:
        """Give the styles ws float32 [B,num_ws,w_dim]; every row of a sample equal at psi 1.

        Args:
          z: [B,z_dim], N(0,1).
          c: [B,c_dim], one-hot, where c_dim > 0.
          psi: truncation: the first rows become w_avg + psi (w - w_avg); a number, 1 for none, or
            a traced scalar.
          cutoff: how many rows; None for all.
          update: move w_avg to 0.995 w_avg + 0.005 mean(w), before truncating.
          axis_name: the mapped axis over whose devices that mean runs too.

        Raises:
          UserError: z or c of another shape.
        """
        self._check(z, c)
        w = self.mapping(z, c)
        if update and not self.is_initializing():
            batch = w.mean(0)
            batch = lax.pmean(batch, axis_name) if axis_name else batch
            self.w_avg.value = batch + W_AVG_KEPT * (self.w_avg.value - batch)
        ws = jnp.broadcast_to(w[:, None], (w.shape[0], self.num_ws, self.w_dim))
        # Not through w_avg, which would round. An array of JAX may have no value yet.
        if isinstance(psi, (int, float, np.number)) and psi == 1:
            return ws
        mean = self.w_avg.value[None, None]
        cut = ws[:, :cutoff]
        return jnp.concatenate([mean + psi * (cut - mean), ws[:, cut.shape[1] :]], 1)

    def synthesise(
        self, ws: jax.Array, noise: Noise = FIXED, taps: Collection[str] = ()
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Give images and named feature maps from styles: see SynthesisNetwork."""
        return self.synthesis(ws, noise, taps)

    @property
    def num_ws(self) -> int:
        """How many styles an image has."""
        return num_ws(self.pyramid)

    @property
    def feature_sizes(self) -> dict[str, tuple[int, int, int]]:
        """Name -> (h, w, C) of the maps for pixel classifiers, in the order of computation."""
        return feature_sizes(self.pyramid)

    def _check(self, z, c):
        if z.ndim != 2 or z.shape[1] != self.z_dim:
            raise UserError(f"z must be [B,{self.z_dim}], got {z.shape}")
        if self.c_dim and (c is None or c.shape != (z.shape[0], self.c_dim)):
            found = "none" if c is None else c.shape
            raise UserError(f"the generator has classes: c must be [B,{self.c_dim}], got {found}")


def mean_latent(
    generator: StyleGAN2Generator, variables: dict, key: jax.Array, count: int, batch: int = 1024
) -> dict:
    """Gives `variables` with w_avg set to the mean w of `count` latents drawn from `key`.

    For weights that come without a running mean. The classes of a conditional generator are drawn
    evenly.
    """

    @jax.jit
    def summed(variables, key, kept):
        # Whole batches always, of which the last counts in part: another size compiles anew.
        latents, classes = jax.random.split(key)
        z = jax.random.normal(latents, (batch, generator.z_dim))
        labels = jax.random.randint(classes, (batch,), 0, max(generator.c_dim, 1))
        c = jax.nn.one_hot(labels, generator.c_dim) if generator.c_dim else None
        w = generator.apply(variables, z, c, method="map")[:, 0]
        return jnp.where(jnp.arange(batch)[:, None] < kept, w, 0).sum(0)

    total = jnp.zeros((generator.w_dim,))
    for start in range(0, count, batch):
        total = total + summed(variables, jax.random.fold_in(key, start), count - start)
    return {**variables, "stats": {**variables["stats"], "w_avg": total / count}}
