"""What training a generator changes, and the networks that it trains."""

import dataclasses

import flax
import jax
import jax.numpy as jnp
import optax


@flax.struct.dataclass
class GanState:
    """What the phases read and write, and what a checkpoint holds.

    Attributes:
        step: int32[], iterations done.
        generator: the generator's parameters.
        average: their moving average, which images are made with.
        stats: the generator's running mean of w and its fixed noise; shared with the average.
        discriminator: the discriminator's parameters.
        generator_opt_state, discriminator_opt_state: their optimisers'.
        path_length: float32[], moving mean of the path lengths.
        augment_p: float32[], probability of each augmentation.
        signs: float32[2], sum of D's signs on real images since p last moved, and their number.
    """

    step: jax.Array
    generator: dict
    average: dict
    stats: dict
    discriminator: dict
    generator_opt_state: tuple
    discriminator_opt_state: tuple
    path_length: jax.Array
    augment_p: jax.Array
    signs: jax.Array


@dataclasses.dataclass(frozen=True)
class Gan:
    """The two networks and their optimisers."""

    generator: object
    discriminator: object
    generator_tx: optax.GradientTransformation
    discriminator_tx: optax.GradientTransformation


def create(gan: Gan, key: jax.Array, augment_p: float) -> GanState:
    """A fresh state; its average is a copy of the generator.

    Args:
        gan: the networks.
        key: of the parameters.
        augment_p: the first probability of augmentation.
    """
    generator_key, discriminator_key = jax.random.split(key)
    variables = gan.generator.init(generator_key, jnp.zeros((1, gan.generator.z_dim)))
    image = jnp.zeros((1, *gan.generator.pyramid.image_size, 3))
    params = variables["params"]
    discriminator = gan.discriminator.init(discriminator_key, image)["params"]
    return GanState(
        step=jnp.zeros((), jnp.int32),
        generator=params,
        average=jax.tree.map(jnp.copy, params),  # a buffer cannot be donated twice
        stats=variables["stats"],
        discriminator=discriminator,
        generator_opt_state=gan.generator_tx.init(params),
        discriminator_opt_state=gan.discriminator_tx.init(discriminator),
        path_length=jnp.zeros(()),
        augment_p=jnp.asarray(augment_p, jnp.float32),
        signs=jnp.zeros(2),
    )


def lazy_adam(settings, every: int) -> optax.GradientTransformation:
    """Adam for a network whose regulariser runs only every `every`-th iteration.

    Its updates come on top of the others, k + 1 instead of k: rate and memory are shortened to
    match (Karras et al., CVPR 2020, appendix B).

    Args:
        settings: `lr`, `b1`, `b2`.
        every: the interval k; 0 where there is no regulariser.
    """
    share = every / (every + 1) if every else 1.0
    b1, b2 = settings.b1**share, settings.b2**share
    return optax.adam(settings.lr * share, b1=b1, b2=b2, eps=1e-8)
