"""The DeepLab heads against the same computation written with PyTorch's functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from model_variables import random_variables

from jax_labor.models.dropout import dropout
from jax_labor.models.heads import ASPPV2, HeadV3, HeadV3Plus

pytestmark = pytest.mark.usefixtures("quick_compilation")

RNG = np.random.default_rng(0)
MAPS = {
    "layer1": RNG.normal(size=(2, 17, 22, 6)).astype(np.float32),
    "layer3": RNG.normal(size=(2, 9, 11, 7)).astype(np.float32),
    "layer4": RNG.normal(size=(2, 9, 11, 8)).astype(np.float32),
}


class Torch:
    """Units of one head in PyTorch, on our variables."""

    def __init__(self, variables):
        self.params = jax.tree.map(lambda x: torch.from_numpy(np.array(x)), variables["params"])
        stats = variables.get("batch_stats", {})
        self.stats = jax.tree.map(lambda x: torch.from_numpy(np.array(x)), stats)

    def conv(self, x, name, dilation=1, groups=1):
        weight = self.params[name]["kernel"].permute(3, 2, 0, 1)
        pad = dilation * (weight.shape[-1] - 1) // 2
        bias = self.params[name].get("bias")
        return F.conv2d(x, weight, bias, 1, pad, dilation, groups)

    def unit(self, x, name, norm, dilation=1, groups=1):
        x = self.conv(x, name, dilation, groups)
        p, s = self.params[norm], self.stats[norm]
        return F.relu(F.batch_norm(x, s["mean"], s["var"], p["scale"], p["bias"], eps=1e-5))

    def separable(self, x, prefix, i, dilation=1):
        names = [f"{prefix}_{kind}{i}" for kind in ("depthwise_conv", "depthwise_bn")]
        x = self.unit(x, *names, dilation, groups=x.shape[1])
        return self.unit(x, f"{prefix}_pointwise_conv{i}", f"{prefix}_pointwise_bn{i}")


def run(head, variables):
    return jax.jit(lambda maps: head.apply(variables, maps, False))(MAPS)


def nchw(name):
    return torch.from_numpy(MAPS[name]).permute(0, 3, 1, 2)


def assert_equal(logits, expected):
    assert logits.dtype == jnp.float32
    expected = expected.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("dilations", [(6, 12), (6, 12, 18, 24), (1, 3)])
@pytest.mark.parametrize("tap", ["layer3", "layer4"])
def test_v2_is_the_sum_of_its_branches(dilations, tap):
    head = ASPPV2(5, dilations, tap)
    variables = random_variables(head, MAPS, False)
    net = Torch(variables)
    expected = sum(net.conv(nchw(tap), f"branch{i}", d) for i, d in enumerate(dilations))
    assert_equal(run(head, variables), expected)


def test_v2_starts_at_a_deviation_of_one_hundredth_and_no_bias():
    wide = {"layer4": jnp.zeros((1, 3, 3, 512))}
    head = ASPPV2(19)
    key = jax.random.key(0, impl="rbg")  # compiles sooner than the default
    params = jax.jit(lambda key: head.init(key, wide, False))(key)["params"]
    assert sorted(params) == ["branch0", "branch1", "branch2", "branch3"]
    for branch in params.values():
        assert float(jnp.std(branch["kernel"])) == pytest.approx(0.01, rel=0.02)
        assert not np.any(branch["bias"])


def test_v3_pools_projects_and_classifies_as_torchvision():
    head = HeadV3(5, dilations=(2, 4, 6), channels=12)
    variables = random_variables(head, MAPS, False)
    net, x = Torch(variables), nchw("layer4")
    branches = [net.unit(x, f"aspp_conv{i}", f"aspp_bn{i}", d) for i, d in enumerate((1, 2, 4, 6))]
    pooled = net.unit(x.mean((2, 3), keepdim=True), "aspp_conv4", "aspp_bn4")
    branches.append(pooled.expand(-1, -1, *x.shape[2:]))
    y = net.unit(torch.cat(branches, 1), "project_conv", "project_bn")
    y = net.conv(net.unit(y, "conv", "bn"), "classifier")
    assert_equal(run(head, variables), y)


def test_v3plus_decodes_at_stride_4_as_ripu():
    head = HeadV3Plus(5, dilations=(2, 4, 6), channels=12)
    variables = random_variables(head, MAPS, False)
    net, x = Torch(variables), nchw("layer4")
    branches = [net.unit(x, "aspp_conv0", "aspp_bn0")]
    branches += [net.separable(x, "aspp", i, d) for i, d in enumerate((2, 4, 6), start=1)]
    pooled = net.unit(x.mean((2, 3), keepdim=True), "pool_conv", "pool_bn")
    branches.append(pooled.expand(-1, -1, *x.shape[2:]))
    y = net.unit(torch.cat(branches, 1), "project_conv", "project_bn")
    y = F.interpolate(y, size=MAPS["layer1"].shape[1:3], mode="bilinear", align_corners=True)
    y = torch.cat([y, net.unit(nchw("layer1"), "shortcut_conv", "shortcut_bn")], 1)
    y = net.separable(net.separable(y, "decoder", 0), "decoder", 1)
    logits = run(head, variables)
    assert logits.shape == (2, 17, 22, 5)
    assert_equal(logits, net.conv(y, "classifier"))


@pytest.mark.parametrize("whole_maps", [False, True])
def test_dropout_keeps_the_mean_and_drops_for_each_example_alone(whole_maps):
    x = np.ones((3, 9, 8, 64), np.float32)
    keys = jax.random.split(jax.random.key(0), 3)
    y = np.asarray(dropout(x, 0.25, keys, whole_maps))
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert y.mean() == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(y[1:], dropout(x[1:], 0.25, keys[1:], whole_maps))
    assert np.any(y[0] != y[1])
    assert (y == y[:, :1, :1]).all() == whole_maps
    assert dropout(x, 0.25, None) is x


@pytest.mark.parametrize("kind", [HeadV3, HeadV3Plus])
def test_heads_drop_only_with_keys(kind):
    head = kind(5, dilations=(2, 4), channels=12, dropout=0.5)
    variables = random_variables(head, MAPS, False)
    keys = jax.random.split(jax.random.key(0), 2)
    plain = head.apply(variables, MAPS, False)
    np.testing.assert_array_equal(plain, kind(5, (2, 4), 12).apply(variables, MAPS, False))
    assert np.any(head.apply(variables, MAPS, False, keys) != plain)


@pytest.mark.parametrize("kind", [ASPPV2, HeadV3, HeadV3Plus])
def test_logits_are_no_bfloat16_numbers(kind):
    """Rounded, two classifiers that nearly agree would ask where rounding says that they differ."""
    settings = {"dilations": (2, 4)}
    if kind is not ASPPV2:
        settings |= {"channels": 12, "dtype": jnp.bfloat16}
    head = kind(5, **settings)
    variables = random_variables(head, MAPS, False)
    maps = {name: jnp.asarray(x, jnp.bfloat16) for name, x in MAPS.items()}
    logits = head.apply(variables, maps, False)
    assert logits.dtype == jnp.float32
    rounded = logits.astype(jnp.bfloat16).astype(jnp.float32)
    assert (logits == rounded).mean() < 0.05
