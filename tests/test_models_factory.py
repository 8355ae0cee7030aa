"""build_model: every name builds, defaults are the published settings, typos are named."""

import types

import jax
import jax.numpy as jnp
import ml_collections
import pytest

from jax_labor.errors import UserError
from jax_labor.models import build_model
from jax_labor.models.factory import CHOICES, TINY_DILATIONS


def outputs(cfg):
    model, image = build_model(cfg, 7), jnp.zeros((1, 33, 49, 3))
    return jax.eval_shape(lambda key: model.init_with_output(key, image, True), jax.random.key(0))


@pytest.mark.parametrize("backbone", CHOICES["backbone"])
@pytest.mark.parametrize("head", CHOICES["head"])
def test_every_backbone_builds_with_every_head(backbone, head):
    cfg = {"backbone": backbone, "head": head, "aux": True, "selector": "shared"}
    out, variables = outputs(cfg | {"style": "torchvision"})
    size = (9, 13) if head == "v3plus" else (5, 7)
    if backbone == "unet":
        size = (17, 25)  # its heads read the map of stride 2
    assert out.main.shape == out.classifier2.shape == (1, *size, 7)
    assert out.aux.shape == (1, 5, 7, 7)  # on layer3, of stride 8 in all of them
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("key", ["style", "selector", "bn", "dtype"])
def test_every_other_name_builds(key):
    for name in CHOICES[key]:
        out, _ = outputs({"backbone": "resnettiny", key: name})
        assert out.main.dtype == jnp.float32


@pytest.mark.parametrize("key", CHOICES)
def test_an_unknown_name_lists_the_choices(key):
    with pytest.raises(UserError) as error:
        build_model({key: "nothing"}, 7)
    assert f"model.{key}" in str(error.value)
    assert all(choice in str(error.value) for choice in CHOICES[key])


def test_an_unknown_setting_is_not_skipped():
    with pytest.raises(UserError, match="backbon.*backbone"):
        build_model({"backbon": "resnet50"}, 7)


def test_a_config_dict_an_object_and_a_mapping_mean_the_same():
    plain = {"backbone": "resnet18", "dilations": (6, 12), "aux": True}
    models = [
        build_model(cfg, 7)
        for cfg in (plain, ml_collections.ConfigDict(plain), types.SimpleNamespace(**plain))
    ]
    assert models[0] == models[1] == models[2]


def test_dilations_reach_every_v2_head_and_default_to_the_published_ones():
    two = build_model({"dilations": (6, 12), "aux": True, "selector": "own"}, 7)
    heads = (two.head, two.aux, two.selector.classifier1, two.selector.classifier2)
    assert {head.dilations for head in heads} == {(6, 12)}
    assert build_model({}, 7).head.dilations == (6, 12, 18, 24)
    assert build_model({"backbone": "resnettiny"}, 7).head.dilations == TINY_DILATIONS
    v3 = build_model({"head": "v3", "aux": True}, 7)
    assert v3.head.dilations == (12, 24, 36) and v3.aux.dilations == (6, 12, 18, 24)


def test_head_channels_and_batch_norm_settings_are_passed_on():
    cfg = {"head": "v3plus", "channels": 256, "bn": "frozen", "bn_eps": 0.0, "style": "torchvision"}
    model = build_model(cfg, 7, axis_name="data")
    assert model.head.channels == 256
    for part in (model.head, model.backbone):
        assert (part.bn, part.bn_eps, part.axis_name) == ("frozen", 0.0, "data")


def test_width_changes_the_tiny_backbone_only():
    assert build_model({"backbone": "resnettiny", "width": 8}, 7).backbone.width == 8
    assert build_model({"backbone": "resnet50", "width": 8}, 7).backbone.width == 64
