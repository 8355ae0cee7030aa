"""The backbones: map sizes, and where the dialects put strides and dilations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jax_labor.errors import UserError
from jax_labor.models.resnet import ResNet, conv

ODD_SIZES = [(64, 128), (65, 129), (97, 161), (120, 160), (61, 90)]


def shapes(size, **settings):
    image = jnp.zeros((1, *size, 3))
    model = ResNet(**settings)
    out, _ = jax.eval_shape(lambda k: model.init_with_output(k, image, True), jax.random.key(0))
    return {name: x.shape[1:] for name, x in out.items()}


@pytest.mark.parametrize("size", ODD_SIZES)
@pytest.mark.parametrize("variant", ["resnettiny", "resnet18", "resnet50"])
@pytest.mark.parametrize("style", ["caffe", "torchvision"])
def test_output_stride_is_8_for_any_input(size, variant, style):
    maps = shapes(size, variant=variant, style=style, width=16)
    ceil_pool = style == "caffe" and variant != "resnettiny"
    half = [-(-n // 2) for n in size]
    quarter = [n // 2 + 1 if ceil_pool else -(-n // 2) for n in half]
    eighth = [-(-n // 2) for n in quarter]
    end = 4 if variant == "resnet50" else 1
    assert maps["layer1"] == (*quarter, 16 * end)
    assert maps["layer3"] == (*eighth, 64 * end)
    assert maps["layer4"] == (*eighth, 128 * end)


def test_published_sizes_of_adaptsegnet():
    assert shapes((720, 1280), variant="resnet101")["layer4"] == (91, 161, 2048)
    assert shapes((512, 1024), variant="resnet101")["layer4"] == (65, 129, 2048)


def convolutions(style, variant):
    """(name, strides, dilation) of every convolution, read from the traced module calls."""
    found = {}

    def record(call, args, kwargs, context):
        if hasattr(context.module, "kernel_dilation") and context.method_name == "__call__":
            path = ".".join(context.module.path)
            found[path] = (context.module.strides[0], context.module.kernel_dilation[0])
        return call(*args, **kwargs)

    with nn.intercept_methods(record):
        shapes((64, 64), variant=variant, style=style)
    return found


def test_caffe_strides_first_and_dilates_all_blocks_of_a_stage():
    found = convolutions("caffe", "resnet50")
    assert found["layer2_0.conv1"] == (2, 1)
    assert found["layer2_0.conv2"] == (1, 1)
    assert found["layer2_0.downsample_conv"] == (2, 1)
    assert {found[f"layer3_{i}.conv2"] for i in range(6)} == {(1, 2)}
    assert {found[f"layer4_{i}.conv2"] for i in range(3)} == {(1, 4)}


def test_torchvision_strides_second_and_its_first_blocks_keep_the_dilation_before():
    found = convolutions("torchvision", "resnet50")
    assert found["layer2_0.conv1"] == (1, 1)
    assert found["layer2_0.conv2"] == (2, 1)
    assert [found[f"layer3_{i}.conv2"] for i in range(6)] == [(1, 1)] + [(1, 2)] * 5
    assert [found[f"layer4_{i}.conv2"] for i in range(3)] == [(1, 2), (1, 4), (1, 4)]


@pytest.mark.parametrize("style", ["caffe", "torchvision"])
@pytest.mark.parametrize("variant", ["resnet18", "resnet50"])
def test_dilated_stages_have_a_projection_shortcut(style, variant):
    found = convolutions(style, variant)
    projected = {name.split(".")[0] for name in found if name.endswith("downsample_conv")}
    first = {"layer1_0"} if variant == "resnet50" else set()
    assert projected == {"layer2_0", "layer3_0", "layer4_0"} | first


@pytest.mark.parametrize(
    "variant,parameters",
    [
        ("resnet18", 11_176_512),
        ("resnet34", 21_284_672),
        ("resnet50", 23_508_032),
        ("resnet101", 42_500_160),
    ],
)
def test_parameter_counts_are_torchvision_s_without_fc(variant, parameters):
    model, image = ResNet(variant), jnp.zeros((1, 32, 32, 3))
    tree = jax.eval_shape(lambda k: model.init(k, image, True), jax.random.key(0))
    assert sum(x.size for x in jax.tree.leaves(tree["params"])) == parameters


@pytest.mark.parametrize("kernel,stride,dilation", [(3, 1, 2), (3, 2, 1), (7, 4, 1), (1, 2, 1)])
def test_conv_pads_symmetrically_as_a_loop_over_pixels_does(kernel, stride, dilation):
    rng = np.random.default_rng(kernel + stride)
    x = rng.normal(size=(1, 9, 6, 2)).astype(np.float32)
    layer = conv(3, kernel, stride, dilation, dtype=jnp.float32, name=None)
    y, variables = layer.init_with_output(jax.random.key(0), x)
    weights = np.asarray(variables["params"]["kernel"])
    pad = dilation * (kernel - 1) // 2
    padded = np.pad(x[0], ((pad, pad), (pad, pad), (0, 0)))
    reach = dilation * (kernel - 1) + 1
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            patch = padded[i * stride :, j * stride :][:reach:dilation, :reach:dilation]
            np.testing.assert_allclose(
                y[0, i, j], np.einsum("hwc,hwcd->d", patch, weights), rtol=1e-4, atol=1e-5
            )
    assert y.shape[1:3] == tuple((n + 2 * pad - reach) // stride + 1 for n in (9, 6))


@pytest.mark.parametrize("settings", [{"variant": "resnet7"}, {"style": "keras"}])
def test_unknown_names_list_the_choices(settings):
    with pytest.raises(UserError, match="resnet101|torchvision"):
        shapes((32, 32), **settings)
