"""LaborNet: selector, gradients, precision and several devices, on the tiny backbone."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_variables import random_variables

from jax_labor.models import build_model

pytestmark = pytest.mark.usefixtures("quick_compilation")
CFG = {"backbone": "resnettiny", "width": 4, "bn": "train", "aux": True, "selector": "shared"}
IMAGE = np.random.default_rng(0).normal(size=(4, 40, 56, 3)).astype(np.float32)
CLASSES = 5


@functools.cache
def variables(selector="shared"):
    """Shared by the tests; NumPy arrays, so that a first use inside a trace leaks nothing."""
    return random_variables(build_model(CFG | {"selector": selector}, CLASSES), IMAGE, False)


def apply(model, params, image=IMAGE, selector="shared"):
    state = {"params": params, "batch_stats": variables(selector)["batch_stats"]}
    return model.apply(state, image, True, mutable=["batch_stats"])


def norm_of(tree):
    return sum(float(jnp.abs(x).sum()) for x in jax.tree.leaves(tree))


@pytest.mark.parametrize("selector", ["none", "shared", "own"])
def test_the_tree_and_the_outputs_follow_the_settings(selector):
    model = build_model(CFG | {"selector": selector, "aux": selector == "own"}, CLASSES)
    out, tree = jax.eval_shape(
        lambda key: model.init_with_output(key, IMAGE, False), jax.random.key(0)
    )
    params = tree["params"]
    assert set(params) - {"selector", "aux"} == {"backbone", "head"}
    assert ("aux" in params) == (out.aux is not None) == (selector == "own")
    assert out.main.shape == (4, 5, 7, CLASSES)
    assert set(out.features) == {"layer1", "layer3", "layer4"}
    if selector == "none":
        assert "selector" not in params
        assert out.classifier1 is None and out.classifier2 is None
        return
    own = {"backbone"} if selector == "own" else set()
    assert set(params["selector"]) == {"classifier1", "classifier2"} | own
    assert out.classifier1.shape == out.classifier2.shape == out.main.shape


def test_own_backbone_has_the_segmenter_s_names_and_shapes():
    params = variables("own")["params"]
    shapes = [jax.tree.map(jnp.shape, p["backbone"]) for p in (params, params["selector"])]
    assert shapes[0] == shapes[1]


def test_the_two_classifiers_start_apart_and_disagree():
    selector = build_model(CFG | {"dilations": (1,)}, CLASSES).selector
    maps = {"layer4": np.random.default_rng(1).normal(size=(1, 5, 7, 64)).astype(np.float32)}
    start = jax.jit(lambda key: selector.init_with_output(key, IMAGE, maps, False))
    (first, second), variables = start(jax.random.key(0, impl="rbg"))
    kernels = [np.ravel(head["branch0"]["kernel"]) for head in variables["params"].values()]
    assert abs(np.corrcoef(*kernels)[0, 1]) < 0.1
    assert 0 < float((first.argmax(-1) != second.argmax(-1)).mean()) < 1


@pytest.mark.parametrize("through", [False, True])
def test_selector_gradient_says_whether_shared_features_change(through):
    model = build_model(CFG | {"selector_gradient": through}, CLASSES)

    def discrepancy(params):
        out, _ = apply(model, params)
        p1, p2 = jax.nn.softmax(out.classifier1), jax.nn.softmax(out.classifier2)
        return jnp.abs(p1 - p2).mean()

    gradient = jax.jit(jax.grad(discrepancy))(variables()["params"])
    assert (norm_of(gradient["backbone"]) > 0) == through
    assert norm_of(gradient["head"]) == norm_of(gradient["aux"]) == 0
    assert norm_of(gradient["selector"]["classifier1"]) > 0
    assert norm_of(gradient["selector"]["classifier2"]) > 0


def test_an_own_backbone_learns_while_the_segmenter_s_does_not():
    model = build_model(CFG | {"selector": "own"}, CLASSES)

    def loss(params):
        out, _ = apply(model, params, selector="own")
        return jnp.square(out.classifier1).mean()

    gradient = jax.jit(jax.grad(loss))(variables("own")["params"])
    assert norm_of(gradient["selector"]["backbone"]) > 0
    assert norm_of(gradient["backbone"]) == 0


def test_evaluation_moves_nothing_and_does_not_mix_images():
    model = build_model(CFG, CLASSES)
    whole, moved = jax.jit(lambda x: model.apply(variables(), x, False, mutable=["batch_stats"]))(
        IMAGE
    )
    for old, new in zip(
        jax.tree.leaves(variables()["batch_stats"]), jax.tree.leaves(moved), strict=True
    ):
        np.testing.assert_array_equal(old, new)
    single = jax.jit(lambda x: model.apply(variables(), x, False))(IMAGE[1:2])
    np.testing.assert_allclose(single.main[0], whole.main[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bn", ["train", "affine_frozen", "frozen"])
def test_the_batch_norm_mode_reaches_every_layer(bn):
    model = build_model(CFG | {"bn": bn}, CLASSES)

    def loss(params):
        out, moved = apply(model, params)
        return jnp.square(out.main).mean(), moved["batch_stats"]

    gradient, moved = jax.jit(jax.grad(loss, has_aux=True))(variables()["params"])
    for path, value in jax.tree_util.tree_leaves_with_path(gradient["backbone"]):
        names = [p.key for p in path]
        is_norm = "scale" in names or "bias" in names
        assert bool(np.any(value != 0)) == (not is_norm or bn == "train"), names
    stored = variables()["batch_stats"]
    pairs = zip(jax.tree.leaves(stored), jax.tree.leaves(moved), strict=True)
    assert all(np.any(old != new) == (bn != "frozen") for old, new in pairs)


def test_bfloat16_answers_float32_logits_near_float32():
    full, half = (
        jax.jit(build_model(CFG | {"dtype": dtype}, CLASSES).apply, static_argnums=2)(
            variables(), IMAGE, False
        )
        for dtype in ("float32", "bfloat16")
    )
    assert half.features["layer4"].dtype == jnp.bfloat16
    for exact, rough in zip(full[:4], half[:4], strict=True):
        assert rough.dtype == jnp.float32
        np.testing.assert_allclose(rough, exact, atol=0.05 * float(jnp.abs(exact).max()))


def test_four_devices_take_the_same_step_as_one():
    def gradient(axis_name, image):
        model = build_model(CFG, CLASSES, axis_name)

        def loss(params):
            out, moved = apply(model, params, image)
            return jnp.square(out.main).mean() + out.classifier1.mean(), moved["batch_stats"]

        return jax.grad(loss, has_aux=True)(variables()["params"])

    def shard(image):
        grads, moved = gradient("data", image)
        return jax.lax.pmean(grads, "data"), moved

    one = jax.jit(lambda x: gradient(None, x))(IMAGE)
    four = jax.pmap(shard, axis_name="data", out_axes=None)(IMAGE.reshape(4, 1, *IMAGE.shape[1:]))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(four), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5 * max(1, float(jnp.abs(a).max())))
