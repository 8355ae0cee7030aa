"""Labelling generated images with an ensemble of pixel classifiers."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jax_labor.models.pixel_ensemble import fold, later_layers
from jax_labor.ops.divergence import divergence, image_score, opinion, vote
from jax_labor.ops.projection import map_ensemble


class PixelLabels(NamedTuple):
    """What the ensemble says of B images.

    Attributes:
      label: int32[B, rows, W] train ids.
      divergence: float32[B, rows, W], the members' Jensen-Shannon divergence in nats.
      score: float32[B], uncertainty of the image.
    """

    label: jax.Array
    divergence: jax.Array
    score: jax.Array


def to_picture(js: jax.Array) -> jax.Array:
    """Divergences in nats as uint8, 500 to the nat; 255, white, is 0.51 nats or more."""
    return jnp.clip(jnp.round(500 * js), 0, 255).astype(jnp.uint8)


def make_labelling(
    size: tuple[int, int],
    rows: tuple[int, int] | None = None,
    voting: str = "hard",
    score: str = "top",
) -> Callable[[dict, Sequence[jax.Array]], PixelLabels]:
    """Builds label(variables, maps) -> PixelLabels, to be jitted (Zhang et al., CVPR 2021, 3.2).

    `variables` are an ensemble's, with a leading axis M; `maps` the generator's features float
    [B, h_l, w_l, C_l] in the order of the classifiers' channels. The upsampled features are never
    built: see `ops.projection`.

    Args:
      size: (H, W) of the images.
      rows: (first, last) rows that carry labels; (64, 448) in the published cars.
      voting: "hard" or "soft", see `ops.divergence.vote`.
      score: "top" or "sum", see `ops.divergence.image_score`.
    """

    def label(variables, maps):
        ensemble = fold(variables)
        rest = (ensemble.bias, ensemble.layers, ensemble.head)

        def member(hidden, rest):
            return opinion(later_layers(hidden, *rest))

        def finish(total):
            return vote(total, voting), divergence(total, len(ensemble.kernel))

        def image(number):
            label, js = map_ensemble(
                member, finish, maps, number, ensemble.kernel, rest, size, rows
            )
            return PixelLabels(label, js, image_score(js, score))

        return jax.lax.map(image, jnp.arange(maps[0].shape[0]))

    return label
