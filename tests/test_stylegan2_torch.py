"""Generator and discriminator against PyTorch, in the cases that official files vary."""

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the development extra torch is not installed")
import small_stylegan2 as small  # noqa: E402
import torch_stylegan2 as official  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_compilation")


def one_hot(classes):
    return np.eye(classes, dtype=np.float32)[np.arange(4) % classes]


def close(found, expected):
    found = np.asarray(found)
    found = found.transpose(0, 3, 1, 2) if found.ndim == 4 else found
    expected = expected.numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * abs(expected).max())


GENERATORS = {
    "plain": {},
    "eight layers": {"mapping_layers": 8},
    "conditional": {"c_dim": 5},
    "clamped": {"conv_clamp": 0.5},
    "not square": {"base": (2, 3)},
    "both": {"c_dim": 2, "conv_clamp": 0.5, "z_dim": 6},
}


@pytest.mark.parametrize("settings", GENERATORS.values(), ids=GENERATORS)
def test_generator(settings, rng):
    network, variables = small.generator(**settings)
    state = small.as_torch(variables, "stylegan2")
    z = rng.standard_normal((4, network.z_dim)).astype(np.float32)
    c = one_hot(network.c_dim) if network.c_dim else None
    ws = jax.jit(lambda z: network.apply(variables, z, c, method="map"))(z)
    w = official.mapping(
        state, torch.from_numpy(z).double(), c if c is None else torch.from_numpy(c).double()
    )
    for layer in range(network.num_ws):
        close(ws[:, layer], w)
    # Styles that differ by layer tell which layer takes which.
    ws = rng.standard_normal(ws.shape).astype(np.float32)
    names = ("b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1")
    run = jax.jit(lambda ws: network.apply(variables, ws, taps=names, method="synthesise"))
    image, maps = run(ws)
    expected, taps = official.synthesis(
        state, torch.from_numpy(ws).double(), 16, network.conv_clamp
    )
    close(image, expected)
    for name in names:
        close(maps[name], taps[name])
    if network.conv_clamp:
        assert np.isclose(np.abs(maps["b8.conv0"]).max(), 0.5)


DISCRIMINATORS = {
    "resnet": {},
    "skip": {"architecture": "skip"},
    "orig": {"architecture": "orig"},
    "conditional": {"c_dim": 3},
    "own projection": {"c_dim": 3, "cmap_dim": 5, "mapping_layers": 8},
    "clamped": {"conv_clamp": 0.7},
    "clamped skip": {"conv_clamp": 0.7, "architecture": "skip"},
    "groups of two, three channels": {"mbstd_group": 2, "mbstd_channels": 3},
    "one group": {"mbstd_group": None},
    "no deviation": {"mbstd_channels": 0},
    "not square": {"base": (3, 2)},
}


@pytest.mark.parametrize("settings", DISCRIMINATORS.values(), ids=DISCRIMINATORS)
def test_discriminator(settings, rng):
    network, variables = small.discriminator(**settings)
    state = small.as_torch(variables, "stylegan2_discriminator")
    image = rng.standard_normal((4, *network.pyramid.image_size, 3)).astype(np.float32)
    c = one_hot(network.c_dim) if network.c_dim else None
    expected = official.discriminator(
        state,
        torch.from_numpy(image.transpose(0, 3, 1, 2)).double(),
        c if c is None else torch.from_numpy(c).double(),
        16,
        network.architecture,
        network.conv_clamp,
        network.mbstd_group or 4,
        network.mbstd_channels,
    )
    close(jax.jit(lambda x: network.apply(variables, x, c))(image), expected)
