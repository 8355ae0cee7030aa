"""upfirdn2d against a slow one: zeros put in, padded, convolved pixel by pixel, thinned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_labor.ops.filter2d import LOWPASS, downsample2d, upfirdn2d, upsample2d

pytestmark = pytest.mark.usefixtures("quick_compilation")


def slow(x, taps, up, down, padding, gain):
    batch, height, width, channels = x.shape
    stuffed = np.zeros((batch, height * up, width * up, channels))
    stuffed[:, ::up, ::up] = x
    for axis, (before, after) in ((1, padding[0]), (2, padding[1])):
        widths = [(0, 0)] * 4
        widths[axis] = (max(before, 0), max(after, 0))
        stuffed = np.pad(stuffed, widths)
        keep = range(max(-before, 0), stuffed.shape[axis] - max(-after, 0))
        stuffed = stuffed.take(keep, axis)
    flipped = np.outer(taps, taps)[::-1, ::-1, None]
    size = len(taps)
    rows, columns = stuffed.shape[1] - size + 1, stuffed.shape[2] - size + 1
    y = np.zeros((batch, rows, columns, channels))
    for i in range(rows):
        for j in range(columns):
            y[:, i, j] = (stuffed[:, i : i + size, j : j + size] * flipped).sum((1, 2))
    return y[:, ::down, ::down] * gain


@pytest.mark.parametrize("seed", range(8))
def test_against_the_slow_one(seed):
    rng = np.random.default_rng(seed)
    taps = rng.standard_normal(rng.integers(1, 7))
    up, down = (int(n) for n in rng.integers(1, 4, 2))
    padding = tuple(tuple(int(n) for n in rng.integers(-1, 5, 2)) for _ in range(2))
    x = rng.standard_normal((2, *rng.integers(8, 11, 2), 2)).astype(np.float32)
    y = jax.jit(lambda x: upfirdn2d(x, taps.tolist(), up, down, padding, 1.5))(x)
    np.testing.assert_allclose(y, slow(x, taps, up, down, padding, 1.5), atol=2e-5)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_constant_stays_one_inside(factor):
    x = np.full((1, 16, 16, 1), 3.0, np.float32)
    taps = LOWPASS if factor == 2 else np.full(8, 1 / 8).tolist()
    up = jax.jit(lambda x: upsample2d(x, taps, factor))(x)
    down = jax.jit(lambda x: downsample2d(x, taps, factor))(x)
    assert up.shape == (1, 16 * factor, 16 * factor, 1)
    assert down.shape == (1, 16 // factor, 16 // factor, 1)
    np.testing.assert_allclose(up[:, 8:-8, 8:-8], 3, rtol=1e-6)
    np.testing.assert_allclose(down[:, 1:-1, 1:-1], 3, rtol=1e-6)


def test_low_precision_stays_low():
    x = jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.bfloat16)
    assert jax.eval_shape(upsample2d, x).dtype == jnp.bfloat16


def test_its_gradient_is_its_transpose(rng):
    """<A x, y> = <x, A' y> for the gradient A', which makes every higher order right as well."""
    x = rng.standard_normal((1, 5, 6, 2)).astype(np.float32)
    y = rng.standard_normal((1, 10, 12, 2)).astype(np.float32)

    def both(x, y):
        found, transpose = jax.vjp(upsample2d, x)
        return found, *transpose(y)

    found, back = jax.jit(both)(x, y)
    np.testing.assert_allclose(np.vdot(found, y), np.vdot(x, back), rtol=1e-4)


def test_nothing_left_is_an_error():
    with pytest.raises(ValueError, match="shorter than the filter"):
        jax.eval_shape(upfirdn2d, jax.ShapeDtypeStruct((1, 2, 9, 1), jnp.float32))
