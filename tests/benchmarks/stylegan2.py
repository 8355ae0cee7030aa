"""StyleGAN2's layers against the plain ways to the same numbers, in one run.

    python tests/benchmarks/stylegan2.py

Prints for each layer the seconds of the plain way over ours: forward, gradient, and the gradient of
a squared gradient, which path length and R1 need.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_labor.models.stylegan2.layers import modulated_conv, strided_conv, up_conv
from jax_labor.ops.filter2d import LOWPASS, upfirdn2d

DIMENSIONS = ("NHWC", "HWIO", "NHWC")
PIXELS = 4 * 32 * 32


def grouped(x, kernel, styles):
    """One demodulated kernel per sample, as a grouped convolution."""
    batch, height, width, channels = x.shape
    own = kernel[None] * styles[:, None, None, :, None]
    own = own * lax.rsqrt(jnp.square(own).sum((1, 2, 3), keepdims=True) + 1e-8)
    own = own.transpose(1, 2, 3, 0, 4).reshape(3, 3, channels, -1)
    x = x.transpose(1, 2, 0, 3).reshape(1, height, width, -1)
    y = lax.conv_general_dilated(
        x, own, (1, 1), "SAME", dimension_numbers=DIMENSIONS, feature_group_count=batch
    )
    return y.reshape(height, width, batch, -1).transpose(2, 0, 1, 3)


def depthwise(x):
    """The low-pass as a depthwise convolution."""
    taps = np.outer(LOWPASS, LOWPASS).astype(np.float32)
    kernel = jnp.broadcast_to(taps[:, :, None, None], (4, 4, 1, x.shape[-1]))
    pads, groups = ((1, 1), (1, 1)), x.shape[-1]
    return lax.conv_general_dilated(
        x, kernel, (1, 1), pads, dimension_numbers=DIMENSIONS, feature_group_count=groups
    )


def transposed(x, kernel):
    """XLA's transposed convolution, then the same low-pass as ours."""
    y = lax.conv_general_dilated(
        x,
        kernel[::-1, ::-1],
        (1, 1),
        ((2, 2), (2, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=DIMENSIONS,
    )
    return upfirdn2d(y, padding=((1, 1), (1, 1)), gain=4.0)


def strided(x, kernel):
    """XLA's strided convolution."""
    return lax.conv_general_dilated(x, kernel, (2, 2), "VALID", dimension_numbers=DIMENSIONS)


def orders(function, arguments):
    """The function, its gradient, and the gradient of its squared gradient."""

    def squared(*arguments):
        return jnp.square(function(*arguments)).sum()

    def slope(*arguments):
        return jnp.square(jax.grad(squared)(*arguments)).sum()

    every = tuple(range(len(arguments)))
    return function, jax.grad(squared, every), jax.grad(slope, every)


def seconds(function, arguments, repeats=3):
    """The least of some runs after compiling."""
    function, times = jax.jit(function), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        times.append(time.perf_counter() - start)
    return min(times[1:])


def main():
    """Compare at a few sizes of equal work."""
    rng = np.random.default_rng(0)
    print(f"{'layer':12} {'size':16} {'forward':>14} {'gradient':>14} {'twice':>14}   (plain/ours)")
    for side, channels in ((16, 128), (32, 64)):
        x, kernel, styles = (
            jnp.asarray(rng.standard_normal(shape), jnp.float32)
            for shape in (
                (PIXELS // side**2, side, side, channels),
                (3, 3, channels, channels),
                (PIXELS // side**2, channels),
            )
        )
        odd = jnp.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
        for name, plain, ours, arguments in (
            ("modulated", grouped, modulated_conv, (x, kernel, styles)),
            ("up", transposed, up_conv, (x, kernel)),
            ("down", strided, strided_conv, (odd, kernel)),
            ("low-pass", depthwise, lambda x: upfirdn2d(x, padding=((1, 1), (1, 1))), (x,)),
        ):
            assert np.allclose(plain(*arguments), ours(*arguments), atol=1e-3)
            cells = []
            for one, other in zip(orders(plain, arguments), orders(ours, arguments), strict=True):
                slow, quick = seconds(one, arguments), seconds(other, arguments)
                cells.append(f"{quick * 1e3:6.1f} ms {slow / quick:4.1f}x")
            print(f"{name:12} {x.shape!s:16} " + " ".join(f"{cell:>14}" for cell in cells))


if __name__ == "__main__":
    main()
