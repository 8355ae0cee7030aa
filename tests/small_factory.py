"""A DatasetGAN small enough to repeat: a random generator of 24x16 pixels, a few images."""

import jax
import numpy as np

from configs import datasetgan
from jax_labor.experiments.generator_file import save_generator
from jax_labor.models.stylegan2 import build_generator

SIZE = (24, 16)
NETWORK = {
    "resolution": 16,
    "base": (6, 4),
    "channel_base": 64,
    "channel_max": 4,
    "z_dim": 4,
    "w_dim": 4,
    "mapping_layers": 1,
}
SETTINGS = {
    "train.steps": 4,
    "train.eval_every": 2,
    "train.log_every": 2,
    "train.checkpoint_every": 2,
    "train.tensorboard": False,
    "train.pictures": 2,
    "model.width": 8,
    "optimizer.warmup": 0,
    "optimizer.decay_steps": 4,  # of the oracle too, whose steps then are the same program
    **{f"data.{view}.size": SIZE for view in ("source_view", "target_view")},
    "eval.size": SIZE,
    **{f"data.{d}.options.height": 24 for d in ("target", "eval")},
    **{f"data.{d}.options.width": 16 for d in ("target", "eval")},
    "oracle.data.options.height": 24,
    "oracle.data.options.width": 16,
    "oracle.data.options.train": 8,
    "oracle.steps": 2,
    "data.target.options.train": 6,
    "data.eval.options.test": 10,
    "data.source_batch": 4,
    "data.target_batch": 4,
    "data.eval_batch": 4,
    "samples.count": 3,
    "ensemble.members": 2,
    "ensemble.steps": 6,
    "ensemble.checkpoint_every": 2,
    "ensemble.batch": 8,
    "factory.count": 11,
    "factory.drop": 0.2,
    "factory.batch": 2,
    "factory.block": 4,
    "factory.shard": 4,
}
FLAGS = [f"--config.{name}={value}" for name, value in SETTINGS.items()]


def make_generator(folder, seed=0, scale=1.0) -> str:
    """Saves a generator with random weights and noise; returns its path."""
    network = build_generator(NETWORK)
    latents = np.zeros((1, NETWORK["z_dim"]), np.float32)
    key = jax.random.key(seed, impl="rbg")  # other draws take longer to compile
    variables = jax.device_get(jax.jit(network.init)(key, latents))
    variables = jax.tree.map(lambda x: np.float32(scale) * x, variables)
    save_generator(folder, network, variables, 1)
    return str(folder)


def config(data, generator: str, **changes):
    """The demo's settings, made small, for a run in this process."""
    settings = datasetgan.get_config("demo")
    settings.data.dir = str(data)
    settings.generator.path = generator
    settings.update_from_flattened_dict(SETTINGS | changes)
    return settings
