"""A sample is a function of its latent and its key, so that its label map always fits it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small_stylegan2 import generator

from jax_labor.ops.medoids import greedy_medoids
from jax_labor.steps.samples import (
    LABELLED,
    PICTURES,
    STOPS,
    WRITTEN,
    choose_samples,
    draw_latents,
)


@pytest.fixture(scope="module")
def small():
    return generator(resolution=8, channel_max=4, mapping_layers=1)


@pytest.fixture(scope="module")
def batch():
    z = np.random.default_rng(5).standard_normal((4, 8)).astype(np.float32)
    return z, jax.random.split(jax.random.key(6), 4)


@pytest.fixture(scope="module")
def one_by_one(small):
    """Images [B,...] of latents and keys, each sample computed alone; compiled once a length."""
    network, variables = small

    def one(sample):
        z, key = sample
        return network.apply(variables, z[None], noise=key[None])[0]

    return jax.jit(lambda z, keys: jax.lax.map(one, (z, keys)))


@pytest.mark.parametrize("order", [[2], [3, 1, 0, 3], [1, 1, 0, 2]])
def test_the_same_bits_one_by_one_in_any_company(one_by_one, batch, order):
    z, keys = batch
    order = np.array(order)
    np.testing.assert_array_equal(one_by_one(z[order], keys[order]), one_by_one(z, keys)[order])


def test_the_same_bits_on_any_number_of_devices(one_by_one, batch):
    z, keys = batch
    expected, each = one_by_one(z, keys), jax.pmap(one_by_one)
    for devices in (2, 4):
        images = each(z.reshape(devices, -1, 8), keys.reshape(devices, -1))
        np.testing.assert_array_equal(images.reshape(expected.shape), expected)


def test_the_same_sample_in_any_batch_but_for_rounding(small, batch):
    """Matrix products of another size add in another order; the noise itself is the same."""
    network, variables = small
    run = jax.jit(lambda z, keys: network.apply(variables, z, noise=keys))
    z, keys = batch
    expected, found = run(z, keys), run(z[2:3], keys[2:3])
    np.testing.assert_allclose(found[0], expected[2], atol=1e-5 * np.abs(expected).max())
    other = run(z, keys[np.array([1, 0, 3, 2])])
    assert np.abs(other[0] - expected[0]).max() > 0.1


def test_every_layer_and_every_sample_has_noise_of_its_own(small, batch):
    """With every kernel and bias zero, a layer puts out its own noise."""
    network, variables = small
    silent = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf * (path[-1].key == "noise_strength"), variables["params"]
    )
    taps = ("b8.conv0", "b8.conv1")

    def run(keys):
        ws = jnp.ones((4, network.num_ws, 8))
        found = {**variables, "params": silent}
        return network.apply(found, ws, keys, taps, method="synthesise")[1]

    maps = jax.jit(run)(batch[1])
    signs = np.concatenate([np.sign(maps[name][..., 0]).reshape(4, -1) for name in taps])
    alike = signs @ signs.T / 64
    assert np.allclose(np.diag(alike), 1)
    assert np.abs(alike - np.diag(np.diag(alike))).max() < 0.6
    assert np.abs(alike - np.diag(np.diag(alike))).mean() < 0.2


def test_samples_of_different_purposes_are_never_the_same():
    assert len({int(each) for each in (PICTURES, STOPS, LABELLED, WRITTEN)}) == 4


@pytest.mark.parametrize(("candidates", "count"), [(40, 5), (6, 6)])
def test_samples_that_stand_for_the_others_by_their_styles(small, candidates, count):
    network, variables = small
    choose = jax.jit(lambda v: choose_samples(network, v, 3, LABELLED, candidates, count))
    numbers = choose(variables).tolist()
    z = draw_latents(network, 3, LABELLED, jnp.arange(candidates)).z
    ws = network.apply(variables, z, method="map")[:, 0]
    assert len(set(numbers)) == count
    assert numbers == greedy_medoids(ws, count).tolist()
