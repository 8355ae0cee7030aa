"""Generator and discriminator against PyTorch, in the cases that official files vary."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the development extra torch is not installed")
import small_stylegan2 as small  # noqa: E402
import torch_stylegan2 as official  # noqa: E402

from jax_labor.models.pretrained import export_weights  # noqa: E402

pytestmark = pytest.mark.usefixtures("quick_compilation")


def one_hot(classes):
    return np.eye(classes, dtype=np.float32)[np.arange(4) % classes]


def close(found, expected):
    found = np.asarray(found)
    found = found.transpose(0, 3, 1, 2) if found.ndim == 4 else found
    expected = expected.numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5 * abs(expected).max())


# Where only what comes before or after the blocks differs.
TINY = {"resolution": 8}

GENERATORS = {
    "plain": {},
    "eight layers": {**TINY, "mapping_layers": 8},
    "conditional": {**TINY, "c_dim": 5},
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
    names = [name for name in network.feature_sizes if name != "b4.const"]
    run = jax.jit(lambda ws: network.apply(variables, ws, taps=names, method="synthesise"))
    image, maps = run(ws)
    expected, taps = official.synthesis(
        state, torch.from_numpy(ws).double(), network.pyramid.resolution, network.conv_clamp
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
    "conditional": {**TINY, "c_dim": 3},
    "own projection": {**TINY, "c_dim": 3, "cmap_dim": 5, "mapping_layers": 8},
    "clamped": {"conv_clamp": 0.7},
    "clamped skip": {"conv_clamp": 0.7, "architecture": "skip"},
    "groups of two, three channels": {**TINY, "mbstd_group": 2, "mbstd_channels": 3},
    "one group": {**TINY, "mbstd_group": None},
    "no deviation": {**TINY, "mbstd_channels": 0},
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
        network.pyramid.resolution,
        network.architecture,
        network.conv_clamp,
        network.mbstd_group or 4,
        network.mbstd_channels,
    )
    close(jax.jit(lambda x: network.apply(variables, x, c))(image), expected)


def same_gradients(found, state, loss, layout):
    """Every parameter's gradient within 1e-4 of the largest of its tensor."""
    used = {key: value for key, value in state.items() if value.requires_grad}
    gradients = torch.autograd.grad(loss, list(used.values()), allow_unused=True)
    ours = export_weights(jax.tree.map(np.asarray, found), layout)
    compared = 0
    for key, gradient in zip(used, gradients, strict=True):
        if gradient is not None and gradient.abs().max() > 0:
            size = float(gradient.abs().max())
            np.testing.assert_allclose(ours[key], gradient, rtol=0, atol=1e-4 * size, err_msg=key)
            compared += 1
    return compared


def trainable(state):
    fixed = ("noise_const", "resample_filter", "w_avg")
    return {k: v if k.endswith(fixed) else v.requires_grad_() for k, v in state.items()}


def test_gradients_of_path_length(rng):
    """|d(image * y)/dw|^2 differentiated again by every weight (Karras et al., 2020, eq. 4)."""
    network, variables = small.generator(resolution=8)
    ws = rng.standard_normal((2, network.num_ws, 8)).astype(np.float32)
    y = rng.standard_normal((2, 8, 8, 3)).astype(np.float32)

    def path_length(variables):
        def painted(ws):
            return (network.apply(variables, ws, method="synthesise")[0] * y).sum()

        return jnp.square(jax.grad(painted)(ws)).sum()

    state = trainable(small.as_torch(variables, "stylegan2"))
    styles = torch.from_numpy(ws).double().requires_grad_()
    image = official.synthesis(state, styles, 8)[0]
    painted = (image * torch.from_numpy(y.transpose(0, 3, 1, 2))).sum()
    (slope,) = torch.autograd.grad(painted, styles, create_graph=True)
    found = jax.jit(jax.grad(path_length))(variables)
    assert same_gradients(found, state, slope.square().sum(), "stylegan2") == 22


@pytest.mark.parametrize("architecture", ["resnet", "skip"])
def test_gradients_of_r1(rng, architecture):
    """|dD/dx|^2 differentiated again by every weight (Mescheder et al., ICML 2018, eq. 9)."""
    network, variables = small.discriminator(resolution=8, architecture=architecture)
    image = rng.standard_normal((4, 8, 8, 3)).astype(np.float32)

    def r1(variables):
        slope = jax.grad(lambda image: network.apply(variables, image).sum())(image)
        return jnp.square(slope).sum()

    state = trainable(small.as_torch(variables, "stylegan2_discriminator"))
    x = torch.from_numpy(image.transpose(0, 3, 1, 2)).double().requires_grad_()
    logits = official.discriminator(state, x, None, 8, architecture)
    (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    found = jax.jit(jax.grad(r1))(variables)
    compared = same_gradients(found, state, slope.square().sum(), "stylegan2_discriminator")
    assert compared >= 10
