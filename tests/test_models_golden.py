"""DeepLab-V2 on the Caffe-style ResNet-101 against AdaptSegNet's own outputs."""

import json
import zlib

import flax.linen as nn
import jax
import numpy as np
import pytest

from jax_labor.models import build_model
from jax_labor.models.pooling import max_pool

pytestmark = pytest.mark.usefixtures("quick_compilation")
CFG = {"backbone": "resnet101", "style": "caffe", "dilations": (6, 12), "aux": True}
LAST_BLOCKS = {"layer1": 2, "layer2": 3, "layer3": 22, "layer4": 2}
HEADS = {"layer5.conv2d_list": "aux", "layer6.conv2d_list": "head"}


def recipe_tensor(key, shape, shapes):
    """The value that golden/README.md's recipe gives one entry of the state dict."""
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(size=shape)
    module, _, ending = key.rpartition(".")
    norm = f"{module}.running_mean" in shapes
    if ending == "running_var":
        value = 1 + 0.2 * np.abs(noise)
    elif ending == "weight" and norm:
        value = 1 + 0.1 * noise
    elif ending == "weight":
        gain = {"conv1": 0.02}.get(module, 0.4 if module.endswith("conv3") else 1)
        value = noise * np.sqrt(2 / np.prod(shape[1:])) * gain
    else:
        value = (0.1 if norm else 0.05) * noise
    value = value.astype(np.float32)
    return value.transpose(2, 3, 1, 0) if value.ndim == 4 else value


def flax_path(key):
    """`layer1.0.conv2.weight` -> ("params", "backbone", "layer1_0", "conv2", "kernel")."""
    *module, ending = key.split(".")
    is_norm = module[-1].startswith("bn") or module[-2:] == ["downsample", "1"]
    leaf = {"weight": "scale" if is_norm else "kernel", "bias": "bias"}.get(ending)
    collection = "params" if leaf else "batch_stats"
    leaf = leaf or {"running_mean": "mean", "running_var": "var"}[ending]
    head = HEADS.get(".".join(module[:2]))
    if head:
        return collection, head, f"branch{module[2]}", leaf
    if "downsample" in module:
        module = [*module[:2], f"downsample_{'bn' if is_norm else 'conv'}"]
    if len(module) == 3:
        module = [f"{module[0]}_{module[1]}", module[2]]
    return collection, "backbone", *module, leaf


@pytest.fixture(scope="module")
def network(golden):
    """The model and its recipe weights; branches 2 and 3 are never summed there, so left out."""
    shapes = json.loads((golden / "adaptsegnet_deeplabmulti_keys.json").read_text())["state_dict"]
    tree = {}
    for key, shape in shapes.items():
        if key.endswith("num_batches_tracked") or "conv2d_list.2" in key or "conv2d_list.3" in key:
            continue
        *parents, leaf = flax_path(key)
        place = tree
        for name in parents:
            place = place.setdefault(name, {})
        place[leaf] = recipe_tensor(key, shape, shapes)
    return build_model(CFG, num_classes=19), jax.device_put(tree)


def test_the_tree_has_no_variable_more(network):
    model, variables = network
    image = np.zeros((1, 33, 33, 3), np.float32)
    fresh = jax.eval_shape(lambda key: model.init(key, image, False), jax.random.key(0))
    assert jax.tree.map(np.shape, variables) == jax.tree.map(np.shape, fresh)


@pytest.mark.parametrize("size", ["64x128", "65x129", "97x161"])
def test_logits_and_activations_equal_adaptsegnet(network, golden, size):
    model, variables = network
    x = np.load(golden / "seg_inputs.npz")[f"x_{size}"].transpose(0, 2, 3, 1)
    stored = np.load(golden / "adaptsegnet_deeplabmulti.npz")

    @jax.jit
    def forward(variables, x):
        outputs, kept = model.apply(variables, x, False, capture_intermediates=_is_tap)
        return outputs, taps(kept["intermediates"]["backbone"])

    with jax.default_matmul_precision("highest"):
        outputs, activations = forward(variables, x)
    for name, logits in {"x1": outputs.aux, "x2": outputs.main}.items():
        expected = stored[f"{name}_{size}"].transpose(0, 2, 3, 1)
        np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    for tap, value in activations.items():
        np.testing.assert_allclose(
            summary(value), stored[f"stat_{tap}_{size}"], rtol=1e-5, atol=1e-6, err_msg=tap
        )


def _is_tap(module, _):
    return module.name == "bn1" or any(
        module.name == f"{stage}_{last}" for stage, last in LAST_BLOCKS.items()
    )


def taps(kept):
    stem = nn.relu(kept["bn1"]["__call__"][0])
    stages = {stage: kept[f"{stage}_{i}"]["__call__"][0] for stage, i in LAST_BLOCKS.items()}
    return {"stem_relu": stem, "maxpool": max_pool(stem, ceil_mode=True), **stages}


def summary(x):
    """[N, C, H, W, mean, std, sum of abs, min, max] as golden/README.md defines it."""
    x = np.asarray(x, np.float64)
    n, h, w, c = x.shape
    return np.array([n, c, h, w, x.mean(), x.std(), np.abs(x).sum(), x.min(), x.max()])
