"""The Inception-v3 network whose features the Fréchet distance of images is measured in.

Szegedy et al., CVPR 2016, as trained in 2015 and published in TensorFlow; the weights are known in
PyTorch's names. Two things tell it from the usual Inception-v3: its average pools do not count the
padding, and the last block pools by maxima.
"""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.models.norm import BatchNorm
from jax_labor.models.pooling import max_pool
from jax_labor.ops.resize import resize_bilinear

SIZE, FEATURES = 299, 2048


class Conv(NamedTuple):
    """A convolution with batch norm and ReLU; `pad` keeps the size at stride 1."""

    name: str
    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    pad: bool = True


class Fork(NamedTuple):
    """Ways that start from one map; their results are laid side by side."""

    ways: tuple


def _halve(x: jax.Array) -> jax.Array:
    return max_pool(x, 3, 2, 0)


def _maxima(x: jax.Array) -> jax.Array:
    return max_pool(x, 3, 1, 1)


def _means(x: jax.Array) -> jax.Array:
    return nn.avg_pool(x, (3, 3), (1, 1), "SAME", count_include_pad=False)


def _a(pooled: int) -> Fork:
    return Fork((
        (Conv("branch1x1", 64),),
        (Conv("branch5x5_1", 48), Conv("branch5x5_2", 64, (5, 5))),
        (
            Conv("branch3x3dbl_1", 64),
            Conv("branch3x3dbl_2", 96, (3, 3)),
            Conv("branch3x3dbl_3", 96, (3, 3)),
        ),
        (_means, Conv("branch_pool", pooled)),
    ))  # fmt: skip


def _b() -> Fork:
    return Fork((
        (Conv("branch3x3", 384, (3, 3), 2, False),),
        (
            Conv("branch3x3dbl_1", 64),
            Conv("branch3x3dbl_2", 96, (3, 3)),
            Conv("branch3x3dbl_3", 96, (3, 3), 2, False),
        ),
        (_halve,),
    ))  # fmt: skip


def _c(inner: int) -> Fork:
    return Fork((
        (Conv("branch1x1", 192),),
        (
            Conv("branch7x7_1", inner),
            Conv("branch7x7_2", inner, (1, 7)),
            Conv("branch7x7_3", 192, (7, 1)),
        ),
        (
            Conv("branch7x7dbl_1", inner),
            Conv("branch7x7dbl_2", inner, (7, 1)),
            Conv("branch7x7dbl_3", inner, (1, 7)),
            Conv("branch7x7dbl_4", inner, (7, 1)),
            Conv("branch7x7dbl_5", 192, (1, 7)),
        ),
        (_means, Conv("branch_pool", 192)),
    ))  # fmt: skip


def _d() -> Fork:
    return Fork((
        (Conv("branch3x3_1", 192), Conv("branch3x3_2", 320, (3, 3), 2, False)),
        (
            Conv("branch7x7x3_1", 192),
            Conv("branch7x7x3_2", 192, (1, 7)),
            Conv("branch7x7x3_3", 192, (7, 1)),
            Conv("branch7x7x3_4", 192, (3, 3), 2, False),
        ),
        (_halve,),
    ))  # fmt: skip


def _e(pool) -> Fork:
    def both(name):
        across, down = Conv(f"{name}a", 384, (1, 3)), Conv(f"{name}b", 384, (3, 1))
        return Fork(((across,), (down,)))

    return Fork((
        (Conv("branch1x1", 320),),
        (Conv("branch3x3_1", 384), both("branch3x3_2")),
        (Conv("branch3x3dbl_1", 448), Conv("branch3x3dbl_2", 384, (3, 3)), both("branch3x3dbl_3")),
        (pool, Conv("branch_pool", 192)),
    ))  # fmt: skip


STEM = (
    Conv("Conv2d_1a_3x3", 32, (3, 3), 2, False),
    Conv("Conv2d_2a_3x3", 32, (3, 3), pad=False),
    Conv("Conv2d_2b_3x3", 64, (3, 3)),
    _halve,
    Conv("Conv2d_3b_1x1", 80),
    Conv("Conv2d_4a_3x3", 192, (3, 3), pad=False),
    _halve,
)
BLOCKS = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": _b(),
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": _d(),
    "Mixed_7b": _e(_means),
    "Mixed_7c": _e(_maxima),
}


class Inception(nn.Module):
    """Images to the features before the classifier."""

    @nn.compact
    def __call__(self, images: jax.Array) -> jax.Array:
        """Looks at images float32[B, H, W, 3] from -1 to 1, 75 pixels a side or more: [B, 2048]."""
        x = _run(STEM, images)
        for name in BLOCKS:
            x = _Block(name=name)(x)
        return x.mean((1, 2))


def prepare(images: jax.Array) -> jax.Array:
    """uint8[B, H, W, 3] as the network was trained on: float32[B, 299, 299, 3] from -1 to 1.

    Bilinear without antialiasing, as in the public code that published distances come from.
    """
    return 2 * resize_bilinear(images / jnp.float32(255), (SIZE, SIZE), False) - 1


def convolutions() -> Iterator[str]:
    """Names of all convolutions, "Mixed_5b/branch1x1"."""
    yield from _names(STEM)
    for name, block in BLOCKS.items():
        yield from (f"{name}/{inner}" for inner in _names(block))


def _names(part) -> Iterator[str]:
    if isinstance(part, Conv):
        yield part.name
    elif isinstance(part, tuple):
        for inner in part.ways if isinstance(part, Fork) else part:
            yield from _names(inner)


class _Block(nn.Module):
    """The block of its name."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return _run(BLOCKS[self.name], x)


class _ConvNorm(nn.Module):
    features: int
    kernel: tuple[int, int]
    stride: int
    pad: bool

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = nn.Conv(
            self.features,
            self.kernel,
            self.stride,
            "SAME" if self.pad else "VALID",
            use_bias=False,
            precision="highest",
            name="conv",
        )(x)
        return nn.relu(BatchNorm("frozen", 1e-3, name="bn")(x, train=False))


def _run(part, x: jax.Array) -> jax.Array:
    """Applies a convolution, a fork, a pool, or a row of these."""
    if isinstance(part, Conv):
        return _ConvNorm(*part[1:], name=part.name)(x)
    if isinstance(part, Fork):
        return jnp.concatenate([_run(way, x) for way in part.ways], axis=-1)
    if callable(part):
        return part(x)
    return functools.reduce(lambda x, step: _run(step, x), part, x)
