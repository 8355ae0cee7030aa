"""One iteration of StyleGAN2's training, as up to five phases that follow each other.

Karras et al., CVPR 2020, section 3 and appendix B; augmentation after Karras et al., NeurIPS 2020.
Each phase is phase(state, batch) -> (state, metrics) for one device of the axis "data"; metrics are
float32[] and equal on every device. The batch is dict(image float32[B, H, W, 3], real images from
-1 to 1) and, where those do not fill their size, mask float32[B, H, W, 1], 1 where there is an
image. D then sees real and generated images alike through the masks of the real ones, so that
neither network can learn from what is beside an image.

A sample's draws depend on (seed, step, phase, its number in the global batch) alone, and the
minibatch deviation of D compares consecutive samples, as many as its group holds: so any number of
devices gives the same result, as long as each holds whole groups. (The official code compares the
samples of a device, in groups that are interleaved; which samples meet is of no consequence.)
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from jax_labor.ops.ada import augment
from jax_labor.steps import gan_losses
from jax_labor.steps.ada import adjust
from jax_labor.steps.gan_state import Gan, GanState
from jax_labor.steps.parallel import AXIS

GENERATOR, PATH, DISCRIMINATOR, R1, FINISH = "generator", "path", "discriminator", "r1", "finish"
_NUMBERS = {GENERATOR: 0, PATH: 1, DISCRIMINATOR: 2, R1: 3}


class Draws(NamedTuple):
    """Typed keys [B] of each sample: two latents, noise, augmentations, the path's direction."""

    latent: jax.Array
    mixed: jax.Array
    noise: jax.Array
    fake: jax.Array
    real: jax.Array
    path: jax.Array


def phases_of(step: int, loss) -> list[str]:
    """Names of the phases of the iteration after `step` others, in order.

    A regulariser runs in the last of every `path_every` and `r1_every` iterations; where its weight
    is 0, never.
    """
    due = {
        PATH: loss.path_weight and (step + 1) % loss.path_every == 0,
        R1: loss.r1_gamma and (step + 1) % loss.r1_every == 0,
    }
    order = (GENERATOR, PATH, DISCRIMINATOR, R1, FINISH)
    return [name for name in order if due.get(name, True)]


def make_phases(gan: Gan, config) -> dict[str, Callable]:
    """Builds the phases by name.

    Args:
        gan: the networks and their optimisers.
        config: settings `seed`, `loss`, `augment`, `average` of a card, and `data.train_batch`.
    """
    phase = _Phases(gan, config)
    return {
        GENERATOR: phase.generator,
        PATH: phase.path,
        DISCRIMINATOR: phase.discriminator,
        R1: phase.r1,
        FINISH: phase.finish,
    }


class _Phases:
    """The phases of one configuration; each method is pure."""

    def __init__(self, gan: Gan, config):
        self._gan, self._seed = gan, config.seed
        self._loss, self._augment, self._average = config.loss, config.augment, config.average
        self._batch = config.data.train_batch

    def generator(self, state: GanState, batch):
        """The generator learns to be believed."""
        common, draws = self._draws(state, GENERATOR, batch["image"].shape[0])

        def objective(params):
            images, stats = self._generate(params, state.stats, common, draws)
            logits = self._judge(state, state.discriminator, images, batch, draws.fake)
            return gan_losses.wants_real(logits).mean(), stats

        (loss, stats), grads = jax.value_and_grad(objective, has_aux=True)(state.generator)
        state = self._update_generator(state, grads).replace(stats=stats)
        return state, _means({"loss_generator": loss})

    def path(self, state: GanState, batch):
        """Path-length regularisation, on half a batch, whose share in the moving mean counts."""
        common, draws = self._draws(state, PATH, -(-batch["image"].shape[0] // 2))
        decay = self._loss.path_decay

        def objective(params):
            ws, stats = self._styles(params, state.stats, common, draws)
            shape = (*self._gan.generator.pyramid.image_size, 3)
            noise = jax.vmap(lambda key: jax.random.normal(key, shape))(draws.path)
            lengths = gan_losses.path_lengths(
                lambda ws: _synthesise(self._gan.generator, params, stats, ws, draws.noise),
                ws,
                noise,
            )
            batch_mean = jax.lax.pmean(lengths.mean(), AXIS)
            mean = state.path_length + decay * (batch_mean - state.path_length)
            penalty = jnp.square(lengths - mean).mean()
            weight = self._loss.path_weight * self._loss.path_every
            return weight * penalty, (penalty, mean, stats)

        grads, (penalty, mean, stats) = jax.grad(objective, has_aux=True)(state.generator)
        state = self._update_generator(state, grads).replace(stats=stats, path_length=mean)
        return state, _means({"path_penalty": penalty, "path_length": mean})

    def discriminator(self, state: GanState, batch):
        """The discriminator learns to tell generated images from real ones."""
        common, draws = self._draws(state, DISCRIMINATOR, batch["image"].shape[0])
        fake, stats = self._generate(state.generator, state.stats, common, draws)

        def objective(params):
            on_fake = self._judge(state, params, fake, batch, draws.fake)
            on_real = self._judge(state, params, batch["image"], batch, draws.real)
            losses = gan_losses.wants_fake(on_fake).mean(), gan_losses.wants_real(on_real).mean()
            return sum(losses), (on_fake, on_real)

        evaluate = jax.value_and_grad(objective, has_aux=True)
        (loss, (on_fake, on_real)), grads = evaluate(state.discriminator)
        state = self._update_discriminator(state, grads).replace(stats=stats)
        signs = jnp.stack([jnp.sign(on_real).sum(), jnp.asarray(on_real.size, jnp.float32)])
        state = state.replace(signs=state.signs + jax.lax.psum(signs, AXIS))
        scores = {"score_fake": on_fake.mean(), "score_real": on_real.mean()}
        scores["sign_real"] = jnp.sign(on_real).mean()
        return state, _means({"loss_discriminator": loss, **scores})

    def r1(self, state: GanState, batch):
        """R1 regularisation of the discriminator, through the augmentation."""
        _, draws = self._draws(state, R1, batch["image"].shape[0])

        def objective(params):
            penalty = gan_losses.r1_penalty(
                lambda images: self._judge(state, params, images, batch, draws.real),
                batch["image"],
            ).mean()
            return penalty * (self._loss.r1_gamma / 2 * self._loss.r1_every), penalty

        grads, penalty = jax.grad(objective, has_aux=True)(state.discriminator)
        return self._update_discriminator(state, grads), _means({"r1_penalty": penalty})

    def finish(self, state: GanState, batch):
        """The moving average, the strength of the augmentation, the count of iterations."""
        del batch
        images = state.step.astype(jnp.float32) * self._batch
        half_life = self._average.kimg * 1000.0
        if self._average.ramp:
            half_life = jnp.minimum(half_life, images * self._average.ramp)
        kept = 0.5 ** (self._batch / jnp.maximum(half_life, 1e-8))
        average = jax.tree.map(
            lambda new, old: new + kept * (old - new), state.generator, state.average
        )
        state = adjust(state.replace(average=average), self._augment, self._batch)
        return state.replace(step=state.step + 1), {"augment_p": state.augment_p}

    def _draws(self, state, phase, count):
        """The key that all samples of a phase share, and those of this device's samples."""
        key = jax.random.fold_in(jax.random.key(self._seed), state.step)
        common, own = jax.random.split(jax.random.fold_in(key, _NUMBERS[phase]))
        number = jax.lax.axis_index(AXIS) * count + jnp.arange(count)
        keys = jax.vmap(lambda n: jax.random.split(jax.random.fold_in(own, n), len(Draws._fields)))(
            number
        )
        return common, Draws(*(keys[:, i] for i in range(len(Draws._fields))))

    def _generate(self, params, stats, common, draws):
        """Images float32[B, H, W, 3], and the moved running mean of w."""
        ws, stats = self._styles(params, stats, common, draws)
        return _synthesise(self._gan.generator, params, stats, ws, draws.noise), stats

    def _styles(self, params, stats, common, draws):
        """Styles of one latent, and with some probability of another from some layer on."""
        generator = self._gan.generator
        variables = {"params": params, "stats": stats}
        z, other = (
            jax.vmap(lambda key: jax.random.normal(key, (generator.z_dim,)))(keys)
            for keys in (draws.latent, draws.mixed)
        )
        ws, moved = generator.apply(
            variables, z, update=True, axis_name=AXIS, method="map", mutable=["stats"]
        )
        stats = jax.lax.stop_gradient(moved["stats"])
        if not self._loss.mixing:
            return ws, stats
        whether, where = jax.random.split(common)
        cut = jax.random.randint(where, (), 1, generator.num_ws)
        cut = jnp.where(jax.random.uniform(whether) < self._loss.mixing, cut, generator.num_ws)
        mixed = generator.apply(variables, other, method="map")
        first = (jnp.arange(generator.num_ws) < cut)[None, :, None]
        return jnp.where(first, ws, mixed), stats

    def _judge(self, state, params, images, batch, keys):
        """Logits [B] of images through the batch's masks, augmented; not in the images' order."""
        images = images * batch["mask"] if "mask" in batch else images
        images = _augment(images, keys, state.augment_p, self._augment.kinds)
        discriminator = self._gan.discriminator
        images = _interleaved(images, discriminator.mbstd_group or images.shape[0])
        return _discriminate(discriminator, params, images)[:, 0]

    def _update_generator(self, state, grads):
        tx = self._gan.generator_tx
        params, opt_state = _update(tx, grads, state.generator_opt_state, state.generator)
        return state.replace(generator=params, generator_opt_state=opt_state)

    def _update_discriminator(self, state, grads):
        tx = self._gan.discriminator_tx
        params, opt_state = _update(tx, grads, state.discriminator_opt_state, state.discriminator)
        return state.replace(discriminator=params, discriminator_opt_state=opt_state)


# Jitted, so that a network is traced once for all phases: tracing is much of a start.
_augment = jax.jit(augment, static_argnums=3)


@functools.partial(jax.jit, static_argnums=0)
def _synthesise(generator, params, stats, ws, noise):
    variables = {"params": params, "stats": stats}
    return generator.apply(variables, ws, noise, method="synthesise")[0]


@functools.partial(jax.jit, static_argnums=0)
def _discriminate(discriminator, params, images):
    return discriminator.apply({"params": params}, images)


def _update(tx, grads, opt_state, params):
    """One step along the gradient of all devices, with what is not finite in it replaced."""
    grads = jax.lax.pmean(grads, AXIS)
    finite = jax.tree.map(lambda g: jnp.nan_to_num(g, nan=0.0, posinf=1e5, neginf=-1e5), grads)
    updates, opt_state = tx.update(finite, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def _interleaved(images, group):
    """Orders images so that the groups of `minibatch_deviation` are of consecutive ones."""
    group = min(group, images.shape[0])
    rows = images.reshape(-1, group, *images.shape[1:])
    return rows.swapaxes(0, 1).reshape(images.shape)


def _means(metrics):
    return jax.lax.pmean(metrics, AXIS)
