"""Adaptive discriminator augmentation (Karras et al., NeurIPS 2020): the transforms "bgc".

Differentiable, jitted, with a traced probability and a key per sample: a sample is changed in the
same way whatever batch and device it is on.
"""

import jax

from jax_labor.errors import UserError
from jax_labor.ops.ada.colour import draw_colour, recolour
from jax_labor.ops.ada.geometry import draw_geometry, warp

KINDS = "bgc"


def augment(images: jax.Array, keys: jax.Array, p: jax.Array, kinds: str = KINDS) -> jax.Array:
    """Changes each image by every transform of `kinds` with probability `p`.

    Args:
        images: float32[B, H, W, 3], -1 to 1.
        keys: typed keys [B], one a sample.
        p: float32[], probability of each transform; from 1 on always.
        kinds: of "b" (pixel blitting: mirror, quarter turn, whole-pixel shift), "g" (scale,
            rotation, stretch, shift) and "c" (brightness, contrast, inversion of the luma, hue,
            saturation); "" changes nothing.

    Returns:
        float32[B, H, W, 3], not clipped.
    """
    parts = jax.vmap(jax.random.split)(keys)
    size = images.shape[1:3]
    if "b" in kinds or "g" in kinds:
        draw = jax.vmap(lambda key: draw_geometry(key, p, size, "b" in kinds, "g" in kinds))
        images = warp(images, draw(parts[:, 0]))
    if "c" in kinds:
        images = recolour(images, jax.vmap(lambda key: draw_colour(key, p))(parts[:, 1]))
    return images


def check_kinds(kinds: str, setting: str = "kinds") -> None:
    """Raises a UserError, naming `setting`, for transforms that do not exist."""
    unknown = sorted(set(kinds) - set(KINDS))
    if unknown:
        raise UserError(f"{setting} is {kinds!r}: use letters of {KINDS!r}, or '' for none.")
