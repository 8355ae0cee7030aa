"""Training an ensemble of pixel classifiers on pixels sampled from a few labelled images."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.ops.corners import gather_pixels

BATCH = 64


@flax.struct.dataclass
class EnsembleState:
    """What training changes; every array but `step` has a leading axis M.

    Attributes:
        step: int32[], steps done.
        member: int32[M], number of each member; its draws depend on it alone.
        params: the classifiers' parameters.
        batch_stats: their running statistics.
        opt_state: the optimiser's (its own counters have no leading axis).
    """

    step: jax.Array
    member: jax.Array
    params: dict
    batch_stats: dict
    opt_state: tuple


class LabelledPixels(NamedTuple):
    """The labelled pixels of N images, void left out.

    Attributes:
        place: int32[P, 3], (image, row, column) in the whole image, by class and then by place.
        label: int32[P], train ids.
        first: int32[K], where each class that occurs begins.
        count: int32[K], its pixels.
    """

    place: np.ndarray
    label: np.ndarray
    first: np.ndarray
    count: np.ndarray


def find_labelled(labels: np.ndarray, top: int = 0) -> LabelledPixels:
    """Lists the labelled pixels of label maps.

    Args:
        labels: int[N, rows, W] train ids, 255 where void.
        top: the row of the image at which the maps begin (64 in the published cars).

    Raises:
        UserError: no pixel is labelled.
    """
    labels = np.asarray(labels)
    place = np.argwhere(labels != IGNORE).astype(np.int32)
    if not len(place):
        raise UserError("the label maps hold no labelled pixel (all are 255): label some first.")
    label = labels[tuple(place.T)].astype(np.int32)
    order = np.argsort(label, kind="stable")
    _, first, count = np.unique(label[order], return_index=True, return_counts=True)
    place = place[order] + np.array([0, top, 0], np.int32)
    return LabelledPixels(place, label[order], first.astype(np.int32), count.astype(np.int32))


def draw_pixels(
    pixels: LabelledPixels, key: jax.Array, batch: int, every_class: bool
) -> tuple[jax.Array, jax.Array]:
    """Draws a batch of pixels with replacement.

    Args:
        pixels: as `find_labelled` gives them.
        key: of this draw.
        batch: static number of pixels B.
        every_class: static; the first places go to one pixel of each class that occurs, the rest
            are uniform over all pixels, as in the paper (Zhang et al., CVPR 2021, section 3.1).

    Returns:
        (place int32[B, 3], label int32[B]).

    Raises:
        UserError: more classes occur than the batch has places.
    """
    classes = len(pixels.count) if every_class else 0
    if classes > batch:
        raise UserError(f"a batch of {batch} pixels cannot hold one of each of {classes} classes.")
    own, rest = jax.random.split(key)
    index = jax.random.randint(rest, (batch - classes,), 0, len(pixels.label))
    if every_class:
        first, count = jnp.asarray(pixels.first), jnp.asarray(pixels.count)
        one = first + jax.random.randint(own, (classes,), 0, count)
        index = jnp.concatenate([one, index])
    return jnp.asarray(pixels.place)[index], jnp.asarray(pixels.label)[index]


def create_ensemble(model, tx, key: jax.Array, channels: int, member: Sequence[int]):
    """A fresh `EnsembleState`, each member initialised by its own key.

    Args:
        model: a PixelClassifier.
        tx: an optimiser that treats every number alone, as Adam does; the members share it.
        key: of the ensemble.
        channels: sum C_l of the features.
        member: numbers of the members, `range(10)` as published.
    """
    return _create(model, tx, key, channels, jnp.asarray(list(member), jnp.int32))


@functools.partial(jax.jit, static_argnums=(0, 1, 3))
def _create(model, tx, key, channels, member):
    keys = jax.vmap(lambda m: jax.random.fold_in(key, m))(member)
    x = jnp.zeros((1, channels))
    variables = jax.vmap(lambda own: model.init(own, x, False))(keys)
    params, stats = variables["params"], variables["batch_stats"]
    return EnsembleState(jnp.zeros((), jnp.int32), member, params, stats, tx.init(params))


def make_training(
    model,
    tx,
    size: tuple[int, int],
    steps: int,
    batch: int = BATCH,
    every_class: bool = True,
) -> Callable:
    """Builds train(state, maps, pixels, key) -> (state, loss float32[steps, M]), to be jitted.

    Does `steps` steps of cross-entropy on `batch` sampled pixels of each member's own. `maps` are
    the features of the labelled images, float [N, h_l, w_l, C_l] of any float type, at their native
    resolutions: the upsampled features are never built. `pixels` come from `find_labelled`. The
    draws of a step are folded from (key, step, member), so that any cutting into calls, and any
    choice of members, gives the same numbers.

    Args:
        model: a PixelClassifier.
        tx: the optimiser of `create_ensemble`; the published one is `optax.adam(1e-3)`.
        size: (H, W) of the images.
        steps: steps per call.
        batch: pixels per member and step.
        every_class: as in `draw_pixels`.
    """

    def step(state, maps, pixels, key):
        keys = jax.vmap(lambda m: _keys(key, state.step, m))(state.member)
        place, label = jax.vmap(lambda k: draw_pixels(pixels, k, batch, every_class))(keys[:, 0])
        x = gather_pixels(maps, size, *jnp.moveaxis(place, -1, 0))
        grad = jax.vmap(jax.value_and_grad(loss, has_aux=True))
        (losses, stats), grads = grad(state.params, state.batch_stats, x, label, keys[:, 1])
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        return EnsembleState(state.step + 1, state.member, params, stats, opt_state), losses

    def loss(params, stats, x, label, key):
        variables = {"params": params, "batch_stats": stats}
        rngs, mutable = {"dropout": key}, ["batch_stats"]
        logits, moved = model.apply(variables, x, True, rngs=rngs, mutable=mutable)
        loss = optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
        return loss, moved["batch_stats"]

    def train(state, maps, pixels, key):
        def body(state, _):
            return step(state, maps, pixels, key)

        return jax.lax.scan(body, state, length=steps)

    return train


def _keys(key, step, member):
    """Returns one step's keys of one member: pixels, dropout."""
    return jax.random.split(jax.random.fold_in(jax.random.fold_in(key, step), member))
