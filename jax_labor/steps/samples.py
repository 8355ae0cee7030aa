"""A generator's samples by number: latent, class, noise, image and feature maps."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jax_labor.ops.medoids import greedy_medoids

# What samples are drawn for. Far from the numbers of training steps, which the same seed is folded
# with; apart from each other, so that no labelled sample comes again in the written data set.
PICTURES, STOPS, LABELLED, WRITTEN = (np.uint32(2**32 - n) for n in (1, 2, 3, 4))


class Latents(NamedTuple):
    """What B samples are made from.

    Attributes:
      z: float32[B, z_dim].
      keys: PRNG keys [B], of each sample's noise.
      c: float32[B, c_dim], one-hot classes, each drawn evenly; None for a generator without.
    """

    z: jax.Array
    keys: jax.Array
    c: jax.Array | None


def draw_latents(generator, seed: int, purpose: np.uint32, numbers: jax.Array) -> Latents:
    """Draws samples `numbers` int[B]; each depends on (seed, purpose, number) alone."""
    base = jax.random.fold_in(jax.random.key(seed), purpose)
    own = jax.vmap(lambda n: jax.random.fold_in(base, n))(numbers)
    keys = jax.vmap(jax.random.split)(own)
    z = jax.vmap(lambda k: jax.random.normal(k, (generator.z_dim,)))(keys[:, 0])
    c = None
    if generator.c_dim:
        thirds = jax.vmap(lambda k: jax.random.fold_in(k, 2))(own)
        drawn = jax.vmap(lambda k: jax.random.randint(k, (), 0, generator.c_dim))(thirds)
        c = jax.nn.one_hot(drawn, generator.c_dim)
    return Latents(z, keys[:, 1], c)


def choose_samples(
    generator, variables, seed: int, purpose: np.uint32, candidates: int, count: int
) -> jax.Array:
    """Chooses among the first samples of a stream those that stand for all of them.

    They are the medoids of the styles w before truncation, whose distances follow what is seen
    better than those of the latents z do (Karras et al., CVPR 2019, section 4.1).

    Args:
      generator: a StyleGAN2Generator.
      variables: of it.
      seed, purpose: of the stream.
      candidates: samples to choose from.
      count: samples to choose, at most as many.

    Returns:
      int32[count] numbers of samples, the one that stands for most first.
    """
    latents = draw_latents(generator, seed, purpose, jnp.arange(candidates))
    ws = generator.apply(variables, latents.z, latents.c, method="map")
    return greedy_medoids(ws[:, 0], count)


def to_pixels(images: jax.Array) -> jax.Array:
    """Rounds float images from -1 to 1 (cut off outside) to uint8 of the same shape."""
    return jnp.clip(jnp.round((images + 1) * 127.5), 0, 255).astype(jnp.uint8)


class Rendered(NamedTuple):
    """B samples.

    Attributes:
      images: uint8[B, H, W, 3].
      maps: the feature maps float32[B, h_l, w_l, C_l], in the order of `generator.feature_sizes`.
      finite: bool[B], whether image and maps are numbers.
    """

    images: jax.Array
    maps: tuple[jax.Array, ...]
    finite: jax.Array


def make_render(
    generator, psi: float = 1.0, cutoff: int = 0
) -> Callable[[dict, Latents], Rendered]:
    """Builds render(variables, latents) -> Rendered, to be jitted.

    Args:
      generator: a StyleGAN2Generator.
      psi: truncation: 1 for none, 0 for the mean image.
      cutoff: how many rows of styles are truncated; 0 for all.
    """
    names = tuple(generator.feature_sizes)

    def render(variables, latents):
        z, keys, c = latents
        ws = generator.apply(variables, z, c, psi, cutoff or None, method="map")
        images, taps = generator.apply(variables, ws, keys, names, method="synthesise")
        maps = tuple(taps[name] for name in names)
        finite = [jnp.isfinite(x).all((1, 2, 3)) for x in (images, *maps)]
        return Rendered(to_pixels(images), maps, jnp.stack(finite).all(0))

    return render
