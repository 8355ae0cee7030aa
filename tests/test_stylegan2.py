"""What the networks promise beside their numbers: precision, gradients, settings, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_stylegan2 import LATENTS, SMALL, generator

from jax_labor.errors import UserError
from jax_labor.models.stylegan2 import (
    build_discriminator,
    build_generator,
    mean_latent,
    settings_of,
)
from jax_labor.models.stylegan2.discriminator import minibatch_deviation

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def small():
    return generator()


@pytest.fixture
def z(rng):
    return rng.standard_normal((4, 8)).astype(np.float32)


def mapped(network, variables, z, c=None, **options):
    return jax.jit(lambda z: network.apply(variables, z, c, method="map", **options))(z)


def test_init_draws_what_the_paper_says():
    network = build_generator(SMALL | LATENTS | {"resolution": 8, "w_dim": 64})
    params = jax.jit(network.init)(jax.random.key(1), jnp.zeros((1, 8)))["params"]
    layer = params["synthesis"]["b8"]["conv0"]
    assert layer["noise_strength"] == 0
    np.testing.assert_array_equal(layer["affine"]["bias"], 1)
    np.testing.assert_allclose(layer["kernel"].std(), 1, rtol=0.1)
    np.testing.assert_allclose(params["mapping"]["fc1"]["kernel"].std(), 100, rtol=0.1)
    assert network.num_ws == 4


def test_the_running_mean_moves_only_when_asked(small, z):
    network, variables = small

    def step(z, axis_name=None):
        options = {"update": True, "axis_name": axis_name, "mutable": ["stats"]}
        return network.apply(variables, z, method="map", **options)

    ws, changed = jax.jit(step)(z)
    before = variables["stats"]["w_avg"]
    after = before * 0.995 + 0.005 * ws[:, 0].mean(0)
    np.testing.assert_allclose(changed["stats"]["w_avg"], after, rtol=1e-5)
    assert jax.tree.structure(changed["stats"]) == jax.tree.structure(variables["stats"])
    assert np.abs(after - before).max() > 1e-4
    each = jax.pmap(lambda z: step(z, "data")[1]["stats"]["w_avg"], axis_name="data", out_axes=None)
    np.testing.assert_allclose(each(z.reshape(4, 1, -1)), after, rtol=1e-4, atol=1e-7)


def test_the_mean_latent_is_the_mean_of_many():
    network, variables = generator(c_dim=3)
    count = 500
    found = mean_latent(network, variables, jax.random.key(1), count, batch=250)["stats"]["w_avg"]
    z = np.random.default_rng(2).standard_normal((3000, 8)).astype(np.float32)
    c = np.eye(3, dtype=np.float32)[np.arange(3000) % 3]
    w = np.asarray(mapped(network, variables, z, c)[:, 0])
    assert (np.abs(found - w.mean(0)) / (w.std(0) / np.sqrt(count))).max() < 5
    assert np.abs(w.mean(0)).max() > 0.05


def test_the_mean_latent_compiles_once_without_the_weights_in_it(monkeypatch):
    network, variables = generator()
    own, traced = type(network).map, []

    def noted(self, *args):
        traced.append(self.variables["params"]["mapping"]["fc0"]["kernel"])
        return own(self, *args)

    monkeypatch.setattr(type(network), "map", noted)
    mean_latent(network, variables, jax.random.key(1), 7, batch=3)
    (kernel,) = traced
    assert isinstance(kernel, jax.core.Tracer)


def test_truncation_moves_the_first_layers_only(small, z):
    network, variables = small
    mean = variables["stats"]["w_avg"]
    ws = mapped(network, variables, z)
    cut = mapped(network, variables, z, psi=0.25, cutoff=2)
    expected = 0.75 * mean[None, None] + 0.25 * np.asarray(ws[:, :2])
    np.testing.assert_allclose(cut[:, :2], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(cut[:, 2:], ws[:, 2:])


def test_truncation_can_be_traced(small, z):
    network, variables = small
    traced = jax.jit(lambda psi: network.apply(variables, z, psi=psi, method="map"))
    for psi in (0.25, 1.0):
        expected = mapped(network, variables, z, psi=psi)
        np.testing.assert_allclose(traced(psi), expected, rtol=1e-5, atol=1e-5)
    for psi in (1, 1.0, np.float32(1)):
        found = mapped(network, variables, z, psi=psi)
        np.testing.assert_array_equal(found, mapped(network, variables, z))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_is_near_and_stays_inside(small, z, dtype):
    network, variables = small
    low = build_generator(settings_of(network) | {"low_precision_blocks": 2, "dtype": dtype})
    expected, found = (jax.jit(net.apply)(variables, z) for net in (network, low))
    assert found.dtype == jnp.float32
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert 1e-6 < error < {"bfloat16": 0.05, "float16": 0.005}[dtype]


def test_half_precision_survives_large_weights(small, z):
    """Kernels far beyond 65504 cancel in demodulation, if they are scaled before."""
    network, variables = small
    low = build_generator(settings_of(network) | {"low_precision_blocks": 1, "dtype": "float16"})
    block = dict(variables["params"]["synthesis"]["b16"])
    conv = block["conv0"]
    block["conv0"] = {**conv, "kernel": conv["kernel"] * np.float32(1e6)}
    synthesis = {**variables["params"]["synthesis"], "b16": block}
    large = {**variables, "params": {**variables["params"], "synthesis": synthesis}}
    run = jax.jit(low.apply)
    expected = run(variables, z)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(run(large, z), expected, atol=0.005 * np.abs(expected).max())


def test_low_precision_discriminator():
    image = jax.random.normal(jax.random.key(0), (4, 16, 16, 3))
    full = build_discriminator(SMALL)
    low = build_discriminator(SMALL | {"low_precision_blocks": 2, "dtype": "bfloat16"})
    variables = jax.jit(full.init)(jax.random.key(1), image)
    expected, found = (jax.jit(net.apply)(variables, image) for net in (full, low))
    assert found.dtype == jnp.float32
    error = np.abs(found - expected).max() / np.abs(expected).max()
    assert 1e-6 < error < 0.1


def test_feature_sizes_are_those_of_the_maps():
    network, variables = generator(base=(3, 5))
    sizes = network.feature_sizes
    assert list(sizes) == ["b4.const", "b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1"]
    ws = jnp.zeros((2, network.num_ws, 8))
    run = jax.jit(lambda ws: network.apply(variables, ws, taps=sizes, method="synthesise"))
    image, maps = run(ws)
    assert image.shape == (2, 12, 20, 3)
    assert {name: value.shape[1:] for name, value in maps.items()} == sizes


def test_minibatch_deviation_by_hand():
    x = np.arange(4 * 1 * 1 * 2, dtype=np.float32).reshape(4, 1, 1, 2) ** 2
    found = jax.jit(lambda x: minibatch_deviation(x, 2))(x)[:, 0, 0, 2]
    even, odd = (np.mean(np.abs(x[i, 0, 0] - x[i + 2, 0, 0]) / 2) for i in (0, 1))
    np.testing.assert_allclose(found, [even, odd, even, odd], rtol=1e-5)


def test_settings_build_the_same_network():
    for build, extra in ((build_generator, LATENTS), (build_discriminator, {"c_dim": 2})):
        network = build(SMALL | extra | {"base": [4, 6], "conv_clamp": 256})
        assert build(settings_of(network)) == network


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"resolution": 48}, "power of two"),
        ({"resolution": 4}, "power of two"),
        ({"base": (4,)}, "base"),
        ({"base": ("a", 3)}, "base"),
        ({"dtype": "int8"}, "int8.*float16"),
        ({"channel_base": 8}, "no channel"),
        ({"chanel_max": 8}, "chanel_max.*channel_max"),
    ],
)
def test_impossible_settings(settings, message):
    with pytest.raises(UserError, match=message):
        build_generator(SMALL | settings)


def test_a_setting_that_is_missing():
    with pytest.raises(UserError, match="resolution"):
        build_discriminator({})


def test_arguments_that_do_not_fit(small, z):
    network, variables = small
    keys = jax.random.split(jax.random.key(0), 3)

    def refuse(message, *arguments, net=network, **more):
        with pytest.raises(UserError, match=message):
            jax.eval_shape(lambda: net.apply(variables, *arguments, **more))

    ws = np.zeros((4, network.num_ws, 8), np.float32)
    refuse(r"z must be \[B,8\], got \(4, 7\)", z[:, :7])
    refuse("ws must be", ws[:, 1:], method="synthesise")
    refuse("noise needs a key per sample: 4", ws, keys, method="synthesise")
    refuse("noise 'random'", ws, "random", method="synthesise")
    refuse("no feature map b8.conv2.*b8.conv1", ws, taps=["b8.conv2"], method="synthesise")
    refuse("c must be.*got none", z, net=build_generator(SMALL | LATENTS | {"c_dim": 2}))


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({}, (4, 16, 24, 3), r"must be \[B,16,16,3\]"),
        ({}, (6, 16, 16, 3), "mbstd_group 4 must divide the batch per device .6."),
        ({"mbstd_channels": 5}, (4, 16, 16, 3), "mbstd_channels"),
        ({"architecture": "dense"}, (4, 16, 16, 3), "resnet, skip, orig"),
        ({"c_dim": 3}, (4, 16, 16, 3), "got none"),
    ],
)
def test_images_that_do_not_fit(settings, shape, message):
    network = build_discriminator(SMALL | settings)
    with pytest.raises(UserError, match=message):
        jax.eval_shape(lambda x: network.init(jax.random.key(0), x), jnp.zeros(shape))
