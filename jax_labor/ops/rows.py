"""Row blocks: functions of upsampled logits that never hold the upsampled image.

Logits are small, label maps are not: at 1024x2048 and 19 classes one map of probabilities takes
160 MB. The functions here upsample a block of output rows, apply a function to it, keep its (small)
result and go on. Inside a block the layout is [rows, C, W]: reductions over classes then run along
a middle axis, with the long axis W free for vector instructions.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jax_labor.ops.resize import bilinear_taps
from jax_labor.ops.windows import windows

# Elements of one upsampled block [rows, C, W]: 2 MiB of float32 stays in a CPU core's cache; an
# accelerator wants more work per kernel, and 16 MiB stays in the second-level cache of a large one.
BLOCK_ELEMENTS_CPU = 2**19
BLOCK_ELEMENTS_ACCELERATOR = 2**22


def block_rows(size: tuple[int, int], num_classes: int) -> tuple[int, int]:
    """Returns (rows in a block, number of blocks) for label maps of `size` = (H, W).

    As many rows as keep rows*W*C within the block size above, at least one; rather a divisor of H,
    where there is one above half of that: blocks that end with the image are joined without a copy.
    Else evened out over the blocks, of which the last reaches beyond the image; users cut that off.
    """
    cpu = jax.default_backend() == "cpu"
    elements = BLOCK_ELEMENTS_CPU if cpu else BLOCK_ELEMENTS_ACCELERATOR
    height, width = size
    most = min(height, max(1, elements // (width * num_classes)))
    divisor = max(rows for rows in range(1, most + 1) if height % rows == 0)
    if 2 * divisor > most:
        return divisor, height // divisor
    blocks = math.ceil(height / most)
    return math.ceil(height / blocks), blocks


def _block_reader(
    x: jax.Array, size: tuple[int, int], align_corners: bool, rows: int
) -> Callable[[jax.Array], jax.Array]:
    """Returns a function from block number to the block of resized `x` [h,w,C] as [rows, C, W]."""
    h, w, channels = x.shape
    height, width = size
    cut = windows(h, height, rows, align_corners=align_corners)
    start, weights = jnp.asarray(cut.start), jnp.asarray(cut.matrix())
    low, high, weight = bilinear_taps(w, width, align_corners)
    weight = weight[None, None]
    x = x.astype(jnp.float32).transpose(0, 2, 1)

    def read(block: jax.Array) -> jax.Array:
        strip = jax.lax.dynamic_slice_in_dim(x, start[block], cut.length)
        if w != width:
            strip = strip[:, :, low] * (1 - weight) + strip[:, :, high] * weight
        strip = strip.reshape(cut.length, -1)
        y = jnp.dot(weights[block], strip, precision=jax.lax.Precision.HIGHEST)
        return y.reshape(rows, channels, width)

    return read


def map_rows(
    function: Callable[..., Any],
    logits: Sequence[jax.Array],
    size: tuple[int, int],
    align_corners: bool,
    maps: Sequence[jax.Array] = (),
) -> Any:
    """Applies `function` to blocks of rows of upsampled logits and joins what it returns.

    Args:
      function: takes one block float32[R, C, W] per entry of `logits`, then one block [R, W] per
        entry of `maps`; returns a pytree of [R, W] arrays.
      logits: float [h, w, C] each; h and w may differ between them.
      size: static (H, W) of the result.
      align_corners: as in `resize_bilinear`.
      maps: arrays [H, W] read beside the logits; padding rows of the last block hold zeros.

    Returns:
      The pytree of `function`, with arrays [H, W].
    """
    blocks, read = _reader(logits, size, align_corners, maps)
    out = jax.lax.map(lambda b: function(*read(b)), jnp.arange(blocks))
    return jax.tree.map(lambda a: a.reshape(-1, size[1])[: size[0]], out)


def sum_rows(
    function: Callable[..., Any],
    logits: Sequence[jax.Array],
    size: tuple[int, int],
    align_corners: bool,
    maps: Sequence[jax.Array] = (),
) -> Any:
    """Sums over all blocks what `function` returns for each; the arguments are those of `map_rows`.

    The last block may hold padding rows: `function` must give them no weight (their `maps` are 0).
    """
    blocks, read = _reader(logits, size, align_corners, maps)
    first = jax.eval_shape(lambda b: function(*read(b)), jax.ShapeDtypeStruct((), jnp.int32))
    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), first)

    def add(total: Any, block: jax.Array) -> tuple[Any, None]:
        return jax.tree.map(jnp.add, total, function(*read(block))), None

    return jax.lax.scan(add, zero, jnp.arange(blocks))[0]


def _reader(
    logits: Sequence[jax.Array],
    size: tuple[int, int],
    align_corners: bool,
    maps: Sequence[jax.Array],
) -> tuple[int, Callable[[jax.Array], list[jax.Array]]]:
    """Returns the number of blocks and the function that reads one block of every argument."""
    rows, blocks = block_rows(size, max(x.shape[-1] for x in logits))
    readers = [_block_reader(x, size, align_corners, rows) for x in logits]
    excess = rows * blocks - size[0]
    maps = [jnp.pad(m, ((0, excess), (0, 0))) for m in maps]

    def read(block: jax.Array) -> list[jax.Array]:
        parts = [jax.lax.dynamic_slice_in_dim(m, block * rows, rows) for m in maps]
        return [r(block) for r in readers] + parts

    return blocks, read


def class_softmax(x: jax.Array) -> jax.Array:
    """Returns softmax over the classes of a block float32[R, C, W]."""
    e = jnp.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def class_argmax(x: jax.Array) -> jax.Array:
    """Returns the best class int32[R, W] of a block [R, C, W]; ties go to the lowest class.

    Written out class by class: a reduction over (value, index) pairs does not vectorise on CPU.
    """
    best = x[:, 0]
    index = jnp.zeros(best.shape, jnp.int32)
    for c in range(1, x.shape[1]):
        index = jnp.where(x[:, c] > best, c, index)
        best = jnp.maximum(x[:, c], best)
    return index
