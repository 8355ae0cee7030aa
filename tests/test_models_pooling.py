"""Max pooling against PyTorch's numbers and a NumPy oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_labor.models.pooling import global_average, max_pool

pytestmark = pytest.mark.usefixtures("quick_compilation")

SIZES = ["33x65", "49x81", "32x64", "48x81", "5x2"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_equals_pytorch(golden, size, ceil_mode):
    stored = np.load(golden / "maxpool3x3s2p1.npz")
    x = stored[f"x_{size}"].transpose(0, 2, 3, 1)
    expected = stored[f"y_{size}_ceil{int(ceil_mode)}"].transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(max_pool(x, ceil_mode=ceil_mode), expected)


def slow_max_pool(x, window, stride, padding, ceil_mode):
    """One window at a time; a window counts if it starts inside the input or its left padding."""
    starts = []
    for size in x.shape:
        last = size + padding - 1 if ceil_mode else size + 2 * padding - window
        candidates = range(0, last + 1, stride)
        reach = size + 2 * padding - window + (stride - 1 if ceil_mode else 0)
        starts.append([s for s in candidates if s <= reach])
    out = np.empty([len(s) for s in starts], x.dtype)
    for i, top in enumerate(starts[0]):
        for j, left in enumerate(starts[1]):
            rows = slice(max(top - padding, 0), max(top - padding + window, 0))
            columns = slice(max(left - padding, 0), max(left - padding + window, 0))
            out[i, j] = x[rows, columns].max()
    return out


@pytest.mark.parametrize("window,stride,padding", [(3, 2, 1), (2, 2, 0), (2, 3, 1), (3, 1, 1)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_equals_a_slow_oracle_on_odd_shapes(window, stride, padding, ceil_mode):
    rng = np.random.default_rng(window * 10 + stride)
    for height, width in [(3, 4), (5, 7), (8, 6), (9, 3)]:
        x = (rng.normal(size=(height, width)) - 3).astype(np.float32)
        expected = slow_max_pool(x, window, stride, padding, ceil_mode)
        pooled = max_pool(x[None, :, :, None], window, stride, padding, ceil_mode)
        np.testing.assert_array_equal(pooled[0, :, :, 0], expected)


def test_the_gradient_reaches_only_each_window_s_maximum():
    x = jnp.asarray(np.random.default_rng(0).permutation(30).reshape(1, 5, 6, 1), jnp.float32)
    gradient = jax.grad(lambda x: max_pool(x, ceil_mode=True).sum())(x)
    pooled = np.asarray(max_pool(x, ceil_mode=True)).ravel()
    expected = np.zeros(30)
    for value in pooled:
        expected[np.flatnonzero(np.asarray(x).ravel() == value)] += 1
    np.testing.assert_array_equal(np.asarray(gradient).ravel(), expected)


def test_global_average_of_bfloat16_accumulates_in_float32():
    x = jnp.ones((1, 64, 128, 1), jnp.bfloat16)
    assert global_average(x).dtype == jnp.bfloat16
    assert float(global_average(x)[0, 0, 0, 0]) == 1.0
