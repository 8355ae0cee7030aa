"""Imported networks give the logits of the PyTorch networks that the weights come from."""

import jax
import numpy as np
import pytest

from jax_labor.models import discriminator, heads, resnet, segmenter, selector
from jax_labor.models.pretrained import detect_layout, export_weights, import_weights

pytestmark = pytest.mark.usefixtures("quick_compilation")

torch = pytest.importorskip("torch", reason="the development extra torch is not installed")
import torch_nets  # noqa: E402

CLASSES = 5


@pytest.fixture(autouse=True)
def small_resnets(monkeypatch):
    monkeypatch.setitem(resnet.VARIANTS, "bottleneck4", resnet.Variant((1, 2, 1, 1), True))
    monkeypatch.setitem(resnet.VARIANTS, "one", resnet.Variant((1, 1, 1, 1), True))
    monkeypatch.setitem(resnet.VARIANTS, "basic4", resnet.Variant((1, 2, 1, 1), False))


def net(style, head=None, aux=None, eps=1e-5, variant="bottleneck4", selector=None):
    backbone = resnet.ResNet(variant, style, width=8, bn_eps=eps)
    head = head or heads.ASPPV2(CLASSES)
    return segmenter.LaborNet(backbone, head, aux, selector)


def blank(model, *inputs):
    """Variables of zeros: whatever an import forgets shows."""
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), *inputs))
    return jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), shapes)


def state(module):
    return {key: tensor.numpy() for key, tensor in module.state_dict().items()}


def to_nhwc(tensor):
    return tensor.numpy().transpose(0, 2, 3, 1)


def assert_close(ours, theirs):
    theirs = to_nhwc(theirs)
    assert ours.shape == theirs.shape
    scale = np.abs(theirs).max()
    assert scale > 0.1
    np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=1e-4)


IMAGE = np.random.default_rng(0).normal(size=(2, 48, 72, 3)).astype(np.float32)


def forward(model, variables):
    return jax.jit(lambda v: model.apply(v, IMAGE, False))(variables)


def torch_forward(module):
    with torch.no_grad():
        return module(torch.from_numpy(IMAGE.transpose(0, 3, 1, 2).copy()))


def round_trip(module, layout, model):
    """Import and check that the export gives the used tensors back bit for bit."""
    tensors = state(module)
    variables, report = import_weights(tensors, layout, blank(model, IMAGE, False))
    exported = export_weights(variables, layout)
    for key in report.used:
        np.testing.assert_array_equal(exported[key], tensors[key], strict=True)
    assert set(report.used) | set(report.dropped) == set(tensors)
    return variables, report, exported


BRANCHES = {"adaptsegnet": (6, 12), "advent": (6, 12, 18, 24)}


@pytest.mark.parametrize("layout", BRANCHES)
def test_two_levels(layout):
    dilations = BRANCHES[layout]
    module = torch_nets.randomise(
        torch_nets.DeeplabMulti(CLASSES, len(dilations), blocks=(1, 2, 1, 1))
    )
    model = net(
        "caffe",
        heads.ASPPV2(CLASSES, dilations),
        heads.ASPPV2(CLASSES, dilations, "layer3"),
    )
    variables, report, exported = round_trip(module, layout, model)
    outputs = forward(model, variables)
    aux, main = torch_forward(module)
    assert_close(outputs.aux, aux)
    assert_close(outputs.main, main)
    assert not report.left
    dead = {key for key in report.dropped if "num_batches_tracked" not in key}
    assert dead == {key for key in state(module) if len(dilations) == 2 and branch(key) > 1}
    module.load_state_dict({k: torch.from_numpy(v) for k, v in exported.items()}, strict=True)
    torch.testing.assert_close(torch_forward(module)[1], main, rtol=0, atol=0)


def branch(key):
    return int(key.split(".")[2]) if "conv2d_list" in key else -1


def test_one_level():
    module = torch_nets.randomise(torch_nets.DeeplabSingle(CLASSES, 2, blocks=(1, 2, 1, 1)))
    assert detect_layout(state(module)) == "adaptsegnet_single"
    model = net("caffe", heads.ASPPV2(CLASSES, (6, 12)))
    variables, _, _ = round_trip(module, "adaptsegnet_single", model)
    assert_close(forward(model, variables).main, torch_forward(module))


def test_initial_weights_bring_their_head_only_where_the_classes_agree():
    module = torch_nets.randomise(torch_nets.DeeplabSingle(CLASSES, 4, blocks=(1, 2, 1, 1)))
    tensors = {f"Scale.{key}": value for key, value in state(module).items()}
    assert detect_layout(tensors) == "deeplab_resnet_pretrained"
    model = net("caffe")
    variables, report = import_weights(
        tensors, "deeplab_resnet_pretrained", blank(model, IMAGE, False)
    )
    assert_close(forward(model, variables).main, torch_forward(module))
    assert not report.left

    other = net("caffe", heads.ASPPV2(CLASSES + 1))
    variables, report = import_weights(
        tensors, "deeplab_resnet_pretrained", blank(other, IMAGE, False)
    )
    head = {key for key in tensors if ".layer5." in key}
    assert {k for k in report.dropped if "num_batches" not in k} == head
    assert {path.split("/")[1] for path in report.left} == {"head"}


def test_ripu_has_epsilon_zero():
    module = torch_nets.randomise(torch_nets.Ripu(CLASSES))
    assert detect_layout(state(module)) == "ripu"
    model = net("torchvision", eps=0.0, variant="one")
    variables, _, _ = round_trip(module, "ripu", model)
    assert_close(forward(model, variables).main, torch_forward(module))


def test_ripu_v3plus():
    module = torch_nets.randomise(torch_nets.Ripu(CLASSES, plus=True))
    assert detect_layout(state(module)) == "ripu_v3plus"
    head = heads.HeadV3Plus(CLASSES, channels=16, bn_eps=0.0)
    model = net("torchvision", head, eps=0.0, variant="one")
    variables, report, exported = round_trip(module, "ripu_v3plus", model)
    assert_close(forward(model, variables).main, torch_forward(module))
    assert set(exported) == set(state(module))


@pytest.mark.parametrize("plus", [False, True])
def test_ripu_without_frozen_statistics_has_epsilon(plus):
    module = torch_nets.randomise(torch_nets.Ripu(CLASSES, plus, torch.nn.BatchNorm2d).eval())
    layout = "ripu_v3plus_batchnorm" if plus else "ripu_batchnorm"
    assert detect_layout(state(module)) == layout
    head = heads.HeadV3Plus(CLASSES, channels=16) if plus else None
    model = net("torchvision", head, variant="one")
    variables, _, exported = round_trip(module, layout, model)
    assert_close(forward(model, variables).main, torch_forward(module))
    assert exported.keys() == state(module).keys()
    assert detect_layout(exported) == layout


def test_iast_names_its_discriminators_as_dropped():
    module = torch_nets.randomise(torch_nets.Iast(CLASSES))
    assert detect_layout(state(module)) == "iast"
    model = net("torchvision", variant="one")
    variables, report, _ = round_trip(module, "iast", model)
    assert_close(forward(model, variables).main, torch_forward(module))
    dropped = {key for key in report.dropped if "num_batches_tracked" not in key}
    assert dropped == {
        "backbone.fc.weight",
        "backbone.fc.bias",
        "discriminators.0.0.weight",
        "discriminators.0.0.bias",
    }


@pytest.mark.parametrize("variant, bottleneck", [("bottleneck4", True), ("basic4", False)])
def test_torchvision_backbone(variant, bottleneck):
    module = torch_nets.ResNet("torchvision", (1, 2, 1, 1), bottleneck=bottleneck, fc=7)
    torch_nets.randomise(module)
    assert detect_layout(state(module)) == "torchvision"
    model = net("torchvision", variant=variant)
    variables, report, exported = round_trip(module, "torchvision", model)
    assert_close(forward(model, variables).features["layer4"], torch_forward(module))
    assert {path.split("/")[1] for path in report.left} == {"head"}
    assert "fc.weight" in report.dropped
    assert not any(key.startswith("head") for key in exported)


def test_torchvision_deeplabv3_with_its_own_and_with_other_classes():
    module = torch_nets.randomise(torch_nets.TorchvisionV3(CLASSES))
    assert detect_layout(state(module)) == "deeplabv3"
    model = net("torchvision", heads.HeadV3(CLASSES, channels=16), variant="one")
    variables, report, _ = round_trip(module, "deeplabv3", model)
    assert_close(forward(model, variables).main, torch_forward(module))
    assert not report.left

    other = net("torchvision", heads.HeadV3(CLASSES + 1, channels=16), variant="one")
    _, report = import_weights(state(module), "deeplabv3", blank(other, IMAGE, False))
    assert {"classifier.4.weight", "classifier.4.bias"} <= set(report.dropped)
    assert report.left == ("params/head/classifier/bias", "params/head/classifier/kernel")


@pytest.mark.parametrize("layout", ["adaptsegnet_discriminator", "advent_discriminator"])
def test_discriminators(layout):
    build = {
        "adaptsegnet_discriminator": torch_nets.Discriminator,
        "advent_discriminator": torch_nets.sequential_discriminator,
    }[layout]
    module = torch_nets.randomise(build(CLASSES))
    assert detect_layout(state(module)) == layout
    model = discriminator.FCDiscriminator(ndf=8)
    maps = np.random.default_rng(1).random((2, 64, 65, CLASSES), np.float32)
    variables, report = import_weights(state(module), layout, blank(model, maps))
    with torch.no_grad():
        theirs = module(torch.from_numpy(maps.transpose(0, 3, 1, 2).copy()))
    assert_close(jax.jit(model.apply)(variables, maps), theirs)
    exported = export_weights(variables, layout)
    assert exported.keys() == state(module).keys()
    assert all((exported[key] == value).all() for key, value in state(module).items())


def selectornet(own):
    parts = {"classifier1": heads.ASPPV2(CLASSES), "classifier2": heads.ASPPV2(CLASSES)}
    backbone = resnet.ResNet("one", "torchvision", width=8) if own else None
    return net(
        "torchvision", variant="one", selector=selector.PixelSelector(**parts, backbone=backbone)
    )


@pytest.mark.parametrize("own", [False, True])
def test_the_selector_starts_apart_on_the_imported_backbone(own):
    module = torch_nets.randomise(torch_nets.Iast(CLASSES))
    model = selectornet(own)
    rng = np.random.default_rng(0)
    zeros = blank(model, IMAGE, False)
    variables = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), zeros)
    filled, report = import_weights(state(module), "iast", variables)
    for name in ("classifier1", "classifier2"):
        jax.tree.map(
            np.testing.assert_array_equal,
            filled["params"]["selector"][name],
            variables["params"]["selector"][name],
        )
    assert {path.split("/")[2] for path in report.left} == {"classifier1", "classifier2"}
    assert bool(report.copied) == own
    if own:
        for collection in ("params", "batch_stats"):
            jax.tree.map(
                np.testing.assert_array_equal,
                filled[collection]["selector"]["backbone"],
                filled[collection]["backbone"],
            )
