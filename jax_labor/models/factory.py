"""From a configuration's `model` section to a network."""

import flax.linen as nn
import jax.numpy as jnp

from jax_labor.errors import UserError, check_choice
from jax_labor.models.heads import ASPPV2, HeadV3, HeadV3Plus
from jax_labor.models.norm import BN_MODES
from jax_labor.models.resnet import STYLES, VARIANTS, ResNet
from jax_labor.models.segmenter import LaborNet
from jax_labor.models.selector import PixelSelector
from jax_labor.models.unet import UNet

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
COPIED = "copied"
OWN_BACKBONE = ("own", COPIED)
CHOICES = {
    "backbone": ("unet", *VARIANTS),
    "style": STYLES,
    "head": ("v2", "v3", "v3plus"),
    "selector": ("none", "shared", *OWN_BACKBONE),
    "bn": BN_MODES,
    "dtype": tuple(DTYPES),
}
DEFAULTS = {
    "backbone": "resnet101",
    "style": "caffe",
    "width": 24,
    "head": "v2",
    "dilations": (),
    "channels": 0,
    "dropout": 0.0,
    "aux": False,
    "selector": "none",
    "selector_gradient": False,
    "bn": "affine_frozen",
    "bn_eps": 1e-5,
    "dtype": "float32",
}
# At the tiny network's sizes (a map of 15x20) the published dilations see mostly padding.
TINY_DILATIONS = (1, 3, 6)


def build_model(cfg, num_classes: int, axis_name: str | None = None) -> LaborNet:
    """The network that `cfg` describes, for `num_classes` classes.

    `cfg` is a mapping, a ConfigDict or an object with attributes; absent keys take DEFAULTS:

    * backbone, style, width: see ResNet; width only matters to resnettiny and unet.
    * head: v2, v3 or v3plus; dilations, channels: its settings, () and 0 for the published ones;
      dropout: of v3 (published 0.5) and v3plus (0.1).
    * aux: an ASPPV2 on layer3; selector: none, a shared backbone, its own one, or one that is made
      equal to the segmenter's now and then (copied: of the same form as own); selector_gradient:
      see LaborNet. The selector's classifiers have the main head's form.
    * bn, bn_eps: one mode for every batch norm, heads included (see BatchNorm); RIPU: frozen, 0.
    * dtype: of the computation; parameters, statistics and the logits' layers are float32.

    `axis_name` is the mapped axis over which batch statistics are shared.

    Raises UserError for an unknown key or value.
    """
    settings = _settings(cfg)
    common = {
        "bn": settings["bn"],
        "bn_eps": settings["bn_eps"],
        "axis_name": axis_name,
        "dtype": DTYPES[settings["dtype"]],
    }
    selector = None
    if settings["selector"] != "none":
        selector = PixelSelector(
            classifier1=_head(settings, num_classes, common),
            classifier2=_head(settings, num_classes, common),
            backbone=_backbone(settings, common) if settings["selector"] in OWN_BACKBONE else None,
        )
    return LaborNet(
        backbone=_backbone(settings, common),
        head=_head(settings, num_classes, common),
        aux=_aspp(settings, num_classes, common, "layer3") if settings["aux"] else None,
        selector=selector,
        selector_gradient=settings["selector_gradient"],
    )


def _settings(cfg) -> dict:
    """`cfg` over DEFAULTS, every name checked."""
    given = dict(cfg) if hasattr(cfg, "keys") else dict(vars(cfg))
    unknown = sorted(set(given) - set(DEFAULTS))
    if unknown:
        raise UserError(
            f"unknown model setting {', '.join(unknown)}: choose from {', '.join(DEFAULTS)}"
        )
    settings = DEFAULTS | given
    for key, choices in CHOICES.items():
        check_choice(f"config.model.{key}", settings[key], choices)
    if settings["channels"] < 0:
        raise UserError(f"config.model.channels is {settings['channels']}: use 0 or more.")
    if settings["width"] < 2:
        raise UserError(f"config.model.width is {settings['width']}: use 2 or more.")
    if not 0 <= settings["dropout"] < 1:
        raise UserError(f"config.model.dropout is {settings['dropout']}: use 0 to below 1.")
    if not all(isinstance(each, int) and each >= 1 for each in settings["dilations"]):
        rule = "use 1 or more, or none"
        raise UserError(f"config.model.dilations are {settings['dilations']}: {rule}.")
    return settings


def _backbone(settings, common) -> nn.Module:
    if settings["backbone"] == "unet":
        return UNet(settings["width"], **common)
    width = settings["width"] if settings["backbone"] == "resnettiny" else 64
    return ResNet(settings["backbone"], settings["style"], width, **common)


def _head(settings, num_classes, common) -> nn.Module:
    if settings["head"] == "v2":
        return _aspp(settings, num_classes, common, "layer4")
    kind = {"v3": HeadV3, "v3plus": HeadV3Plus}[settings["head"]]
    chosen = {"dilations": tuple(settings["dilations"])}
    chosen |= {key: settings[key] for key in ("channels", "dropout")}
    return kind(num_classes, **{k: v for k, v in chosen.items() if v}, **common)


def _aspp(settings, num_classes, common, tap) -> ASPPV2:
    dilations = tuple(settings["dilations"]) if settings["head"] == "v2" else ()
    if not dilations:
        tiny = settings["backbone"] == "resnettiny"
        dilations = TINY_DILATIONS if tiny else ASPPV2.dilations
    return ASPPV2(num_classes, dilations, tap)
