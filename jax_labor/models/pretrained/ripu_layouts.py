"""The layouts of BIT-DA/RIPU, whose keys tell which batch norm the weights were trained with.

As published (FREEZE_BN) it is a frozen one of its own, without an epsilon and without counts of
batches. Else it is PyTorch's, which has an epsilon and counts the batches it saw.
"""

import dataclasses

import numpy as np

from jax_labor.models.heads import HeadV3Plus
from jax_labor.models.pretrained.layout import Constant, Layout
from jax_labor.models.pretrained.naming import NORM, Module, conv, norm
from jax_labor.models.pretrained.segmenter_parts import (
    EPS,
    FOUR_BRANCHES,
    RESNET,
    SELECTOR,
    TORCHVISION,
    aspp,
    conv_norm,
    under,
)

_FROZEN = (("bn_eps", 0.0),)
_COUNT = "num_batches_tracked"

_RIPU = Layout(
    name="ripu",
    about="RIPU DeepLab-V2 {feature_extractor, classifier}: epsilon 0; with counters *_batchnorm",
    modules=(
        *under("feature_extractor.backbone.", "backbone/", RESNET),
        aspp("classifier", "head"),
    ),
    anchors=("feature_extractor.backbone.conv1", "classifier.conv2d_list.3"),
    left=("aux/*", *SELECTOR),
    counters=False,
    wrapped=("feature_extractor", "classifier"),
    model=TORCHVISION + _FROZEN + FOUR_BRANCHES,
)


def _separable(torch: str, flax: str) -> tuple[Module, ...]:
    """Name a depthwise-separable convolution, numbered by the place {i}."""
    return tuple(
        line(f"{torch}.{part}_{suffix}", f"{flax}_{part}_{suffix}{{i}}")
        for part in ("depthwise", "pointwise")
        for line, suffix in ((conv, "conv"), (norm, "bn"))
    )


_RIPU_V3PLUS = Layout(
    name="ripu_v3plus",
    about="RIPU DeepLab-V3+ {feature_extractor, classifier}: epsilon 0; with counters *_batchnorm",
    modules=(
        *under("feature_extractor.backbone.", "backbone/", RESNET),
        *under(
            "classifier.",
            "head/",
            (
                conv("parallel_branches.0.0", "aspp_conv0"),
                norm("parallel_branches.0.1", "aspp_bn0"),
                *_separable("parallel_branches.{i}", "aspp"),
                conv("global_branch.1", "pool_conv"),
                norm("global_branch.2", "pool_bn"),
                *conv_norm("bottleneck", "project"),
                *conv_norm("shortcut", "shortcut"),
                *_separable("decoder.{i}", "decoder"),
                conv("decoder.3", "classifier"),
            ),
        ),
    ),
    anchors=("feature_extractor.backbone.conv1", "classifier.parallel_branches.0.0"),
    left=("aux/*", *SELECTOR),
    counters=False,
    wrapped=("feature_extractor", "classifier"),
    model=TORCHVISION + _FROZEN + (("head", "v3plus"), ("dilations", HeadV3Plus.dilations)),
)


def _batchnorm(frozen: Layout) -> Layout:
    """Give the layout of the same network with PyTorch's batch norm."""
    norms = [module.torch for module in frozen.modules if module.leaves == NORM]
    return dataclasses.replace(
        frozen,
        name=f"{frozen.name}_batchnorm",
        about=frozen.about.partition(":")[0] + " with FREEZE_BN False: has num_batches_tracked",
        anchors=(*frozen.anchors, f"feature_extractor.backbone.bn1.{_COUNT}"),
        counters=True,
        # Written as 0, so that the file is read as this layout again.
        constants=tuple(Constant(f"{n}.{_COUNT}", f"{n}.running_mean", np.array(0)) for n in norms),
        model=tuple((dict(frozen.model) | dict(EPS)).items()),
    )


RIPU_LAYOUTS = (_RIPU, _RIPU_V3PLUS, _batchnorm(_RIPU), _batchnorm(_RIPU_V3PLUS))
