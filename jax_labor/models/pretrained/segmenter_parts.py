"""Lines and settings that the layouts of segmenters share."""

from collections.abc import Iterable

from jax_labor.models.heads import ASPPV2
from jax_labor.models.pretrained.naming import Module, conv, norm


def under(torch: str, flax: str, modules: Iterable[Module]) -> tuple[Module, ...]:
    """Prepend `torch` and `flax` to the names of all `modules`."""
    return tuple(module.under(torch, flax) for module in modules)


def conv_norm(torch: str, flax: str) -> tuple[Module, ...]:
    """Name a Sequential(convolution, batch norm, ...) against `<flax>_conv`, `<flax>_bn`."""
    return conv(f"{torch}.0", f"{flax}_conv"), norm(f"{torch}.1", f"{flax}_bn")


RESNET = (
    conv("conv1", "conv1"),
    norm("bn1", "bn1"),
    conv("layer{s}.{b}.conv{i}", "layer{s}_{b}/conv{i}"),
    norm("layer{s}.{b}.bn{i}", "layer{s}_{b}/bn{i}"),
    *conv_norm("layer{s}.{b}.downsample", "layer{s}_{b}/downsample"),
)

# The selector's two classifiers must start apart, so no file ever fills them.
SELECTOR = ("selector/classifier*",)
HEADS = ("head/*", "aux/*")

# Settings. A bare backbone fixes only its dialect: RIPU starts torchvision's at epsilon 0.
CAFFE = (("style", "caffe"), ("normalize", "caffe"))
TORCHVISION = (("style", "torchvision"), ("normalize", "imagenet"))
EPS = (("bn_eps", 1e-5),)
TWO_BRANCHES = (("head", "v2"), ("dilations", (6, 12)))
FOUR_BRANCHES = (("head", "v2"), ("dilations", ASPPV2.dilations))


def aspp(torch: str, flax: str) -> Module:
    """Name the DeepLab-V2 head: a list of dilated convolutions."""
    return conv(f"{torch}.conv2d_list.{{i}}", f"{flax}/branch{{i}}")
