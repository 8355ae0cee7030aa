"""The tables of the known checkpoint layouts: which PyTorch key is which variable of ours.

Facts about the files come from wasidennis/AdaptSegNet, valeoai/ADVENT, BIT-DA/RIPU,
bupt-ai-cz/IAST-ECCV2020 and torchvision.
"""

from collections.abc import Iterable

from jax_labor.errors import UserError, unknown
from jax_labor.models.heads import HeadV3
from jax_labor.models.pretrained.inception_layout import INCEPTION
from jax_labor.models.pretrained.layout import Layout
from jax_labor.models.pretrained.naming import conv, norm
from jax_labor.models.pretrained.pixel_layouts import PIXEL_CLASSIFIER
from jax_labor.models.pretrained.ripu_layouts import RIPU_LAYOUTS
from jax_labor.models.pretrained.segmenter_parts import (
    CAFFE,
    EPS,
    FOUR_BRANCHES,
    HEADS,
    RESNET,
    SELECTOR,
    TORCHVISION,
    TWO_BRANCHES,
    aspp,
    conv_norm,
    under,
)
from jax_labor.models.pretrained.stylegan_layouts import STYLEGAN_LAYOUTS


def _dead(*heads: str) -> dict[str, tuple]:
    """AdaptSegNet's head returns inside its loop: its branches 2 and 3 exist and never act."""
    names = [(f"{head}.conv2d_list.{i}", f"{head}.conv2d_list.0") for head in heads for i in (2, 3)]
    return {"drop": tuple(f"{dead}.*" for dead, _ in names), "zeros": tuple(names)}


_ADAPTSEGNET = Layout(
    name="adaptsegnet",
    about="AdaptSegNet multi-level (GTA5_*.pth, GTA2Cityscapes_multi-*.pth): 2-branch heads",
    modules=(*under("", "backbone/", RESNET), aspp("layer5", "aux"), aspp("layer6", "head")),
    anchors=("conv1", "layer5.conv2d_list.1", "layer6.conv2d_list.1"),
    **_dead("layer5", "layer6"),
    left=SELECTOR,
    model=CAFFE + EPS + TWO_BRANCHES,
)

_ADAPTSEGNET_SINGLE = Layout(
    name="adaptsegnet_single",
    about="AdaptSegNet single-level: layer5 is the main, 2-branch head",
    modules=(*under("", "backbone/", RESNET), aspp("layer5", "head")),
    anchors=("conv1", "layer5.conv2d_list.1"),
    **_dead("layer5"),
    left=("aux/*", *SELECTOR),
    model=CAFFE + EPS + TWO_BRANCHES,
)

_ADVENT = Layout(
    name="advent",
    about="ADVENT (gta2cityscapes_advent.pth, model_*.pth): AdaptSegNet's keys, 4-branch heads",
    modules=_ADAPTSEGNET.modules,
    anchors=("conv1", "layer6.conv2d_list.3"),
    left=SELECTOR,
    model=CAFFE + EPS + FOUR_BRANCHES,
)

_DEEPLAB_RESNET = Layout(
    name="deeplab_resnet_pretrained",
    about="DeepLab_resnet_pretrained_init / _imagenet: first part of every key is 'Scale'",
    modules=under("Scale.", "", (*under("", "backbone/", RESNET), aspp("layer5", "head"))),
    anchors=("Scale.conv1",),
    left=(*HEADS, *SELECTOR),
    replaceable=("head/*",),
    model=CAFFE,
)

_TORCHVISION = Layout(
    name="torchvision",
    about="torchvision resnet18/34/50/101: an ImageNet backbone, its classifier fc dropped",
    modules=under("", "backbone/", RESNET),
    anchors=("conv1",),
    drop=("fc.*",),
    left=(*HEADS, *SELECTOR),
    model=TORCHVISION,
)

_IAST = Layout(
    name="iast",
    about="IAST: backbone.*, decoder.aspp.*; its discriminators and ImageNet fc dropped",
    modules=(*under("backbone.", "backbone/", RESNET), aspp("decoder.aspp", "head")),
    anchors=("backbone.conv1", "decoder.aspp.conv2d_list.3"),
    drop=("backbone.fc.*", "discriminators.*"),
    left=("aux/*", *SELECTOR),
    model=TORCHVISION + EPS + FOUR_BRANCHES,
)

_ADAPTSEGNET_D = Layout(
    name="adaptsegnet_discriminator",
    about="AdaptSegNet *_D1.pth, *_D2.pth: conv1 to conv4, classifier",
    modules=(conv("conv{i}", "conv{i}"), conv("classifier", "classifier")),
    anchors=("conv1", "conv4", "classifier"),
)

_ADVENT_D = Layout(
    name="advent_discriminator",
    about="ADVENT *_D_aux.pth, *_D_main.pth: a Sequential, keys 0, 2, 4, 6, 8",
    modules=(
        conv("0", "conv1"),
        conv("2", "conv2"),
        conv("4", "conv3"),
        conv("6", "conv4"),
        conv("8", "classifier"),
    ),
    anchors=("0", "2", "4", "6", "8"),
)

_DEEPLABV3 = Layout(
    name="deeplabv3",
    about="torchvision deeplabv3_resnet50/101; aux_classifier dropped, classes may differ",
    modules=(
        *under("backbone.", "backbone/", RESNET),
        *under(
            "classifier.",
            "head/",
            (
                # Ahead of the numbered lines: the pooled branch counts its modules from 1.
                conv("0.convs.4.1", "aspp_conv4"),
                norm("0.convs.4.2", "aspp_bn4"),
                conv("0.convs.{i}.0", "aspp_conv{i}"),
                norm("0.convs.{i}.1", "aspp_bn{i}"),
                *conv_norm("0.project", "project"),
                conv("1", "conv"),
                norm("2", "bn"),
                conv("4", "classifier"),
            ),
        ),
    ),
    anchors=("backbone.conv1", "classifier.0.convs.0.0", "classifier.4"),
    drop=("aux_classifier.*",),
    left=("head/classifier/*", "aux/*", *SELECTOR),
    replaceable=("head/classifier/*",),
    model=TORCHVISION + EPS + (("head", "v3"), ("dilations", HeadV3.dilations)),
)

LAYOUTS = {
    layout.name: layout
    for layout in (
        _TORCHVISION,
        _DEEPLABV3,
        _DEEPLAB_RESNET,
        _ADAPTSEGNET,
        _ADAPTSEGNET_SINGLE,
        _ADVENT,
        *RIPU_LAYOUTS,
        _IAST,
        _ADAPTSEGNET_D,
        _ADVENT_D,
        PIXEL_CLASSIFIER,
        INCEPTION,
        *STYLEGAN_LAYOUTS,
    )
}


def get_layout(name: str) -> Layout:
    """Give the layout called `name`; UserError with the known names and close matches."""
    if name in LAYOUTS:
        return LAYOUTS[name]
    raise unknown("weight layout", name, LAYOUTS)


def detect_layout(keys: Iterable[str]) -> str:
    """Guess the layout of a state dict from its keys alone.

    Raises:
      UserError: no layout reads all of `keys`, or several do (AdaptSegNet's and ADVENT's keys are
        the same, and only their names tell how many branches act).
    """
    keys = tuple(keys)
    unread = {name: _unread(keys, layout) for name, layout in LAYOUTS.items()}
    fitting = [n for n, rest in unread.items() if not rest and LAYOUTS[n].anchored(keys)]
    if len(fitting) == 1:
        return fitting[0]
    table = "\n".join(f"  {name}: {LAYOUTS[name].about}" for name in fitting or LAYOUTS)
    if fitting:
        raise UserError(
            f"the keys fit several layouts; put the name of the right one before the file, as in "
            f"{fitting[0]}:FILE.\n{table}"
        )
    nearest = min(unread, key=lambda name: len(unread[name]))
    first = ", ".join(unread[nearest][:5] or keys[:5])
    raise UserError(
        f"the {len(keys)} keys fit no known layout; nearest is {nearest}, which does not know "
        f"{first}.\nKnown layouts:\n{table}"
    )


def _unread(keys: tuple[str, ...], layout: Layout) -> list[str]:
    return [key for key in keys if not layout.reads(key)]
