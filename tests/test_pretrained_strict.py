"""An import accounts for every key of the file and every variable of the model, or refuses."""

import itertools
import json
import zlib

import jax
import numpy as np
import pytest

from jax_labor.errors import UserError
from jax_labor.models import FCDiscriminator, build_model
from jax_labor.models.pretrained import (
    LAYOUTS,
    check_layouts,
    check_settings,
    detect_layout,
    export_weights,
    get_layout,
    import_weights,
)

CONFIG = {"backbone": "resnettiny", "width": 4, "aux": True, "selector": "shared"}


def blank(model, *inputs):
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), *inputs))
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)


def model_variables(**changes):
    image = np.zeros((1, 32, 32, 3), np.float32)
    return blank(build_model(CONFIG | {"dilations": (6, 12)} | changes, 3), image, False)


def random_like(tensors, seed=0):
    rng = np.random.default_rng(seed)
    return {k: rng.normal(size=t.shape).astype(np.float32) for k, t in tensors.items()}


@pytest.fixture(scope="module")
def variables():
    return model_variables()


@pytest.fixture(scope="module")
def tensors(variables):
    """A complete AdaptSegNet file for the tiny model, the two dead branches included."""
    return random_like(export_weights(variables, "adaptsegnet"))


def refused(tensors, variables, layout="adaptsegnet"):
    with pytest.raises(UserError) as error:
        import_weights(tensors, layout, variables)
    return str(error.value)


def test_the_complete_file_passes_and_comes_back_bit_for_bit(tensors, variables):
    filled, report = import_weights(tensors, "adaptsegnet", variables)
    exported = export_weights(filled, "adaptsegnet")
    assert list(report.used) == [key for key in tensors if key not in report.dropped]
    for key in report.used:
        np.testing.assert_array_equal(exported[key], tensors[key], strict=True)
    assert {key.rpartition(".")[0] for key in report.dropped} == {
        f"layer{head}.conv2d_list.{i}" for head in (5, 6) for i in (2, 3)
    }
    assert {path.split("/")[2] for path in report.left} == {"classifier1", "classifier2"}
    assert "layer5.conv2d_list.2" in report.summary()
    assert "selector/classifier1" in report.summary()


def test_the_model_is_not_changed_and_shares_no_memory(tensors, variables):
    filled, _ = import_weights(tensors, "adaptsegnet", variables)
    assert not any(leaf.any() for leaf in jax.tree.leaves(variables))
    bias = filled["params"]["backbone"]["bn1"]["bias"]
    assert not np.shares_memory(bias, tensors["bn1.bias"])


def test_one_missing_key(tensors, variables):
    del (tensors := dict(tensors))["layer2.0.bn1.running_var"]
    message = refused(tensors, variables)
    assert "1 keys do not match" in message
    assert "missing: layer2.0.bn1.running_var for batch_stats/backbone/layer2_0/bn1/var" in message


def test_one_extra_key(tensors, variables):
    extra = np.zeros(3, np.float32)
    assert "unexpected: layer7.weight is not in" in refused(
        {**tensors, "layer7.weight": extra}, variables
    )
    message = refused({**tensors, "layer4.5.conv1.weight": extra}, variables)
    assert "unexpected: layer4.5.conv1.weight has no place in the model" in message


def test_one_misshaped_key(tensors, variables):
    wrong = tensors["layer6.conv2d_list.1.bias"][:-1]
    message = refused({**tensors, "layer6.conv2d_list.1.bias": wrong}, variables)
    assert "shape: layer6.conv2d_list.1.bias is (2,) (as params/head/branch1/bias)" in message
    assert "the model's is (3,)" in message


@pytest.mark.parametrize(
    "change, named",
    [
        (lambda t: t.astype(np.float64) * 1e39, "value: bn1.bias holds NaN, infinity or more"),
        (lambda t: t.astype(np.int32), "type: bn1.bias is int32"),
        (lambda t: t * np.nan, "value: bn1.bias holds NaN"),
    ],
)
def test_one_key_that_is_no_weight(tensors, variables, change, named):
    assert named in refused({**tensors, "bn1.bias": change(tensors["bn1.bias"])}, variables)


def test_half_precision_is_widened_without_loss(tensors, variables):
    half = {key: value.astype(np.float16) for key, value in tensors.items()}
    filled, _ = import_weights(half, "adaptsegnet", variables)
    mean = filled["batch_stats"]["backbone"]["bn1"]["mean"]
    np.testing.assert_array_equal(mean, half["bn1.running_mean"].astype(np.float32), strict=True)


def test_double_precision_is_rounded_and_said(tensors, variables):
    double = {key: value.astype(np.float64) * (1 / 3) for key, value in tensors.items()}
    filled, report = import_weights(double, "adaptsegnet", variables)
    mean = filled["batch_stats"]["backbone"]["bn1"]["mean"]
    np.testing.assert_array_equal(mean, double["bn1.running_mean"].astype(np.float32), strict=True)
    assert f"rounded from float64 to float32: {len(report.used)} tensors" in report.summary()


def test_every_problem_is_counted_and_the_list_is_cut(tensors, variables):
    message = refused({"conv1.weight": tensors["conv1.weight"]}, variables)
    missing = len(jax.tree.leaves(variables)) - 1 - 8  # the selector's classifiers may stay
    assert f"{missing} keys do not match" in message
    assert f"and {missing - 6} more" in message
    assert len(message.splitlines()) == 9


def test_a_dead_branch_fills_no_living_one(tensors):
    message = refused(tensors, model_variables(dilations=(6, 12, 18, 24)))
    assert "missing: layer6.conv2d_list.2.weight for params/head/branch2/kernel" in message
    assert "dilations=(6, 12)" in message
    assert "model.aux" not in message  # which it has


def test_a_head_without_counterpart_needs_one_in_the_file(tensors):
    message = refused(tensors, model_variables(aux=False))
    assert "params/aux/branch0/kernel" in message
    assert message.endswith("auxiliary head: set model.aux=True.")


def test_adaptsegnet_and_advent_are_told_apart_by_name_only(tensors):
    with pytest.raises(UserError, match="several layouts") as error:
        detect_layout(tensors)
    assert "adaptsegnet:" in str(error.value)
    assert "advent:" in str(error.value)
    living = [key for key in tensors if not LAYOUTS["adaptsegnet"].drops(key)]
    assert detect_layout(living) == "adaptsegnet"


def test_unknown_keys_name_the_nearest_layout_and_what_it_lacks(tensors):
    with pytest.raises(UserError, match="nearest is adaptsegnet.*know odd.one") as error:
        detect_layout([*tensors, "odd.one"])
    assert all(f"  {name}: " in str(error.value) for name in LAYOUTS)
    with pytest.raises(UserError, match="the 0 keys"):
        detect_layout([])


def test_unknown_layout_suggests():
    with pytest.raises(UserError, match="Did you mean 'adaptsegnet'"):
        get_layout("adaptsegnt")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_no_two_keys_fill_one_variable(layout):
    """The lines of a table may overlap, but what is read is a bijection."""
    paths = {}
    for module in layout.modules:
        for number, leaf in itertools.product("01234", module.leaves):
            places = dict.fromkeys("sbi", number)
            path = layout.flax_path(key := f"{module.torch.format(**places)}.{leaf.torch}")
            if path:
                assert paths.setdefault(path, key) == key
    assert len(paths) >= len(layout.modules)
    if layout.name == "deeplabv3":
        assert layout.flax_path("classifier.0.convs.4.0.weight") is None


def test_settings_of_another_dialect_are_refused():
    check_settings("ripu", {"style": "torchvision", "bn_eps": 0.0})
    with pytest.raises(UserError, match=r"model.bn_eps must be 0.0 \(is 1e-05\)"):
        check_settings("ripu", {"style": "torchvision"})
    check_settings("ripu_batchnorm", {"style": "torchvision"})
    with pytest.raises(UserError, match=r"model.bn_eps must be 1e-05 \(is 0.0\)"):
        check_settings("ripu_v3plus_batchnorm", {"style": "torchvision", "bn_eps": 0.0})
    with pytest.raises(UserError, match="model.style must be 'torchvision'"):
        check_settings("torchvision", {})
    with pytest.raises(
        UserError, match=r"model.dilations must be \(6, 12\) \(is \(6, 12, 18, 24\)\)"
    ):
        check_settings("adaptsegnet", {"dilations": ()})
    v3 = {"style": "torchvision", "head": "v3"}
    check_settings("deeplabv3", v3 | {"dilations": ()})
    with pytest.raises(UserError, match=r"model.dilations must be \(12, 24, 36\)"):
        check_settings("deeplabv3", v3 | {"dilations": (6, 12, 18)})
    check_settings("torchvision", {"style": "torchvision"}, normalize="imagenet")
    with pytest.raises(UserError, match=r"data.normalize must be 'imagenet' \(is 'caffe'\)"):
        check_settings("torchvision", {"style": "torchvision"}, normalize="caffe")


def test_export_into_another_dialect_is_refused():
    check_layouts("adaptsegnet", "adaptsegnet")
    check_layouts("torchvision", "ripu")
    with pytest.raises(UserError, match="bn_eps 0.0, not 1e-05"):
        check_layouts("ripu", "iast")


def test_export_of_what_the_layout_cannot_hold(variables):
    with pytest.raises(UserError, match="no place for .*backbone/bn1/mean"):
        export_weights(variables, "advent_discriminator")
    with pytest.raises(UserError, match="not all that layout ripu needs"):
        export_weights(variables, "ripu")


def recipe(key, shape):
    """The golden README's rule for a network without batch norm."""
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(size=shape)
    scale = np.sqrt(2 / np.prod(shape[1:])) if key.endswith("weight") else 0.05
    return (noise * scale).astype(np.float32)


@pytest.mark.parametrize(
    "name, layout, expected",
    [
        ("adaptsegnet_FCDiscriminator", "adaptsegnet_discriminator", "y_47x70"),
        ("advent_get_fc_discriminator", "advent_discriminator", None),
    ],
)
def test_golden_discriminator_keys(golden, name, layout, expected):
    shapes = json.loads((golden / "fc_discriminator_keys.json").read_text())[name]
    outputs = np.load(golden / "fc_discriminator_prob2entropy.npz")
    x = outputs["x_47x70"].astype(np.float32)
    if expected is None:
        x = -x * np.log2(x + 1e-30) / np.log2(19)
    x = x.transpose(0, 2, 3, 1)
    model = FCDiscriminator()
    tensors = {key: recipe(key, shape) for key, shape in shapes.items()}
    assert detect_layout(tensors) == layout
    filled, report = import_weights(tensors, layout, blank(model, x))
    assert set(report.used) == set(shapes)
    y = jax.jit(model.apply)(filled, x).transpose(0, 3, 1, 2)
    theirs = outputs[expected or "advent_y_on_entropy_47x70"]
    np.testing.assert_allclose(y, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def test_golden_adaptsegnet_keys(golden):
    """Every one of the 640 keys has its place in the full model, and every variable its key."""
    text = (golden / "adaptsegnet_deeplabmulti_keys.json").read_text()
    shapes = json.loads(text)["state_dict"]
    config = {"backbone": "resnet101", "style": "caffe", "dilations": (6, 12), "aux": True}
    image = np.zeros((1, 32, 32, 3), np.float32)
    model = build_model(config, 19)
    target = jax.eval_shape(lambda: model.init(jax.random.key(0), image, False))
    tensors = {key: np.broadcast_to(np.float32(0.5), shape) for key, shape in shapes.items()}
    _, report = import_weights(tensors, "adaptsegnet", target)
    assert not report.left
    assert len(report.filled) == len(jax.tree.leaves(target)) == len(report.used)
    dead = [key for key in report.dropped if not key.endswith("num_batches_tracked")]
    assert len(dead) == 8
    assert len(report.used) + len(report.dropped) == 640
