"""Reading single pixels of bilinearly resized feature maps, without resizing the maps."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jax_labor.ops.resize import bilinear_taps


def gather_pixels(
    maps: Sequence[jax.Array],
    size: tuple[int, int],
    image: jax.Array,
    row: jax.Array,
    column: jax.Array,
) -> jax.Array:
    """Returns what each pixel would hold, were every map resized to `size` and all concatenated.

    Resizing is that of torch's `interpolate(mode="bilinear", align_corners=False)`, up or down and
    without anti-aliasing (the features of DatasetGAN; Zhang et al., CVPR 2021, section 3.1). Four
    values of each map are read per pixel, so a batch costs nothing of the size of an image.

    Args:
      maps: float [N, h_l, w_l, C_l] each, of any float type, in the order of concatenation. (Not a
        dict: JAX sorts the keys of a dict, and channels would then change their places.)
      size: static (H, W) that rows and columns refer to.
      image: int32[...] in [0, N).
      row: int32[...] in [0, H).
      column: int32[...] in [0, W).

    Returns:
      float32[..., sum C_l].
    """
    return jnp.concatenate([_gather(x, size, image, row, column) for x in maps], -1)


def _gather(x, size, image, row, column):
    _, h, w, channels = x.shape
    top, bottom, down = (jnp.asarray(t)[row] for t in bilinear_taps(h, size[0], False))
    left, right, across = (jnp.asarray(t)[column] for t in bilinear_taps(w, size[1], False))
    flat = jnp.asarray(x).reshape(-1, channels)
    across, down = across[..., None], down[..., None]

    def read(y, z):
        index = (image * h + y) * w + z
        return flat.at[index].get(mode="promise_in_bounds").astype(jnp.float32)

    def line(y):
        return read(y, left) * (1 - across) + read(y, right) * across

    return line(top) * (1 - down) + line(bottom) * down
