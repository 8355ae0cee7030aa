"""Batch norm: its modes against a NumPy oracle, and over several devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_labor.errors import UserError
from jax_labor.models.norm import BN_MODES, BatchNorm

RNG = np.random.default_rng(0)
SHAPES = [(2, 3, 5, 4), (1, 1, 2, 3), (3, 7, 1, 1)]


def make_variables(channels):
    params = {"scale": RNG.normal(1, 0.3, channels), "bias": RNG.normal(0, 1, channels)}
    stats = {"mean": RNG.normal(0, 1, channels), "var": RNG.uniform(0.5, 2, channels)}
    return jax.tree.map(np.float32, {"params": params, "batch_stats": stats})


def oracle(x, variables, batch, eps):
    """Normalised float64 x and the moved statistics."""
    params, stats = variables["params"], variables["batch_stats"]
    mean, var = stats["mean"].astype(float), stats["var"].astype(float)
    moved = stats
    if batch:
        rows = x.reshape(-1, x.shape[-1]).astype(float)
        unbiased = rows.var(0, ddof=1)
        moved = {
            "mean": 0.9 * mean + 0.1 * rows.mean(0),
            "var": 0.9 * var + 0.1 * unbiased,
        }
        mean, var = rows.mean(0), rows.var(0)
    return (x - mean) / np.sqrt(var + eps) * params["scale"] + params["bias"], moved


@pytest.mark.parametrize("mode", BN_MODES)
@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_output_and_stored_statistics_follow_the_mode(mode, train, shape):
    x = RNG.normal(3, 2, shape).astype(np.float32)
    variables = make_variables(shape[-1])
    layer = BatchNorm(mode, eps=1e-5)
    y, moved = layer.apply(variables, x, train, mutable=["batch_stats"])
    expected, statistics = oracle(x, variables, train and mode != "frozen", 1e-5)
    np.testing.assert_allclose(y, expected, rtol=2e-4, atol=2e-4)
    for name, value in statistics.items():
        np.testing.assert_allclose(moved["batch_stats"][name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mode", BN_MODES)
@pytest.mark.parametrize("train", [True, False])
def test_only_train_mode_gives_scale_and_bias_a_gradient(mode, train):
    x = RNG.normal(size=(2, 3, 3, 4)).astype(np.float32)
    weights = RNG.normal(size=x.shape).astype(np.float32)
    variables = make_variables(4)

    def loss(params, x):
        both = {**variables, "params": params}
        y, _ = BatchNorm(mode).apply(both, x, train, mutable=["batch_stats"])
        return (y * weights).sum()

    grads, through = jax.grad(loss, argnums=(0, 1))(variables["params"], x)
    for gradient in grads.values():
        assert np.any(gradient != 0) == (mode == "train")
    assert np.any(through != 0)


def test_eps_zero_divides_by_the_stored_deviation_alone():
    variables = make_variables(3)
    x = RNG.normal(size=(1, 2, 2, 3)).astype(np.float32)
    y = BatchNorm("frozen", eps=0.0).apply(variables, x, True)
    np.testing.assert_allclose(y, oracle(x, variables, False, 0.0)[0], rtol=1e-5, atol=1e-6)


def test_variance_survives_a_mean_far_from_zero():
    x = (1e4 + RNG.normal(size=(4, 8, 8, 2))).astype(np.float32)
    y, _ = BatchNorm().apply(make_unit_variables(2), x, True, mutable=["batch_stats"])
    np.testing.assert_allclose(np.asarray(y).std((0, 1, 2)), 1, rtol=1e-3)


def make_unit_variables(channels):
    return BatchNorm().init(jax.random.key(0), jnp.zeros((1, 1, 2, channels)), True)


def test_initialisation_stores_zero_mean_and_unit_variance_even_in_training():
    x = RNG.normal(5, 3, (2, 4, 4, 3)).astype(np.float32)
    stats = BatchNorm(axis_name="data").init(jax.random.key(0), x, True)["batch_stats"]
    np.testing.assert_array_equal(stats["mean"], np.zeros(3))
    np.testing.assert_array_equal(stats["var"], np.ones(3))


def test_bfloat16_computes_statistics_in_float32():
    x = jnp.asarray(RNG.normal(20, 1, (4, 16, 16, 2)), jnp.bfloat16)
    variables = make_variables(2)
    layer = BatchNorm(dtype=jnp.bfloat16)
    y, moved = layer.apply(variables, x, True, mutable=["batch_stats"])
    expected, statistics = oracle(np.asarray(x, np.float32), variables, True, 1e-5)
    assert y.dtype == jnp.bfloat16
    assert moved["batch_stats"]["var"].dtype == jnp.float32
    np.testing.assert_allclose(np.asarray(y, np.float32), expected, atol=0.03)
    np.testing.assert_allclose(moved["batch_stats"]["var"], statistics["var"], rtol=1e-5)


@pytest.mark.parametrize("mode", ["train", "affine_frozen"])
def test_four_devices_equal_one_on_the_global_batch(mode):
    x = RNG.normal(1, 2, (8, 3, 5, 4)).astype(np.float32)
    weights = RNG.normal(size=x.shape).astype(np.float32)
    variables = make_variables(4)

    def loss(layer, x, weights):
        y, moved = layer.apply(variables, x, True, mutable=["batch_stats"])
        return (y * weights).sum(), moved["batch_stats"]

    def shard(x, weights):
        layer = BatchNorm(mode, axis_name="data")
        return jax.grad(lambda x: loss(layer, x, weights), has_aux=True)(x)

    single = jax.grad(lambda x: loss(BatchNorm(mode), x, weights), has_aux=True)(x)
    split = [a.reshape(4, 2, *a.shape[1:]) for a in (x, weights)]
    gradient, moved = jax.pmap(shard, axis_name="data", out_axes=(0, None))(*split)
    np.testing.assert_allclose(
        np.asarray(gradient).reshape(x.shape), single[0], rtol=1e-4, atol=1e-5
    )
    for name, value in single[1].items():
        np.testing.assert_allclose(moved[name], value, rtol=1e-5, atol=1e-6)


def test_an_unknown_mode_names_the_choices():
    with pytest.raises(UserError, match="mode is 'off': use train, affine_frozen or frozen"):
        BatchNorm("off").init(jax.random.key(0), jnp.zeros((1, 1, 1, 2)), True)
