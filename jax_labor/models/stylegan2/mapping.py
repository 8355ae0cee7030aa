"""From a latent and a class to w, the space of styles (Karras et al., CVPR 2019, section 2)."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.models.stylegan2.layers import Dense, unit_moment


class MappingNetwork(nn.Module):
    """`num_layers` dense layers fc0, fc1, ... from the normalised z, and c embedded, to w.

    z and the embedding of c are each scaled to a mean square of one and joined. With `z_dim` 0
    the class alone is mapped: so the discriminator's.

    Parameters: fc{i}, and embed where `c_dim` > 0: see Dense.
    """

    w_dim: int
    z_dim: int
    c_dim: int = 0
    num_layers: int = 8
    lr: float = 0.01

    @nn.compact
    def __call__(self, z: jax.Array | None, c: jax.Array | None = None) -> jax.Array:
        """Map z[B,z_dim] (None if z_dim is 0) and c[B,c_dim] (None if c_dim is 0) to w[B,w_dim]."""
        parts = [unit_moment(z.astype(jnp.float32))] if self.z_dim else []
        if self.c_dim:
            parts.append(unit_moment(Dense(self.w_dim, name="embed")(c)))
        x = jnp.concatenate(parts, 1)
        for i in range(self.num_layers):
            x = Dense(self.w_dim, self.lr, activate=True, name=f"fc{i}")(x)
        return x
