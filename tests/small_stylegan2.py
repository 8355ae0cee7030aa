"""Small StyleGAN2 networks with random weights, noise strengths and running means included."""

import jax
import numpy as np

from jax_labor.models.pretrained import export_weights
from jax_labor.models.stylegan2 import build_discriminator, build_generator, variable_shapes

SMALL = {"resolution": 16, "channel_base": 128, "channel_max": 12}
LATENTS = {"z_dim": 8, "w_dim": 8, "mapping_layers": 2}


def randomised(network, seed=0):
    """Variables of `network`, N(0,1), the mapping's undone by its learning rate of 0.01."""
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        scale = 100 if "fc" in jax.tree_util.keystr(path) and "mapping" in str(path) else 1
        return (scale * rng.standard_normal(leaf.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, variable_shapes(network))


def generator(**settings):
    network = build_generator(SMALL | LATENTS | settings)
    return network, randomised(network)


def discriminator(**settings):
    network = build_discriminator(SMALL | {"mapping_layers": 2} | settings)
    return network, randomised(network)


def as_torch(variables, layout):
    """The official state dict of `variables`, in float64."""
    import torch

    tensors = export_weights(variables, layout)
    return {key: torch.from_numpy(tensor).double() for key, tensor in tensors.items()}
