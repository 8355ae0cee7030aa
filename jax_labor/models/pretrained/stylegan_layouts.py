"""The checkpoint layouts of StyleGAN2: NVlabs/stylegan2-ada-pytorch, rosinality/stylegan2-pytorch.

The second has the weights of the first under other names and with axes of length one.
"""

import numpy as np

from jax_labor.models.pretrained.layout import Constant, Layout
from jax_labor.models.pretrained.naming import CONV, DENSE, Leaf, Module

_TAPS = np.array([1, 3, 3, 1], np.float32)
FILTER = np.outer(_TAPS, _TAPS) / 64
NOISE = (
    Leaf("noise_strength", "params", "noise_strength"),
    Leaf("noise_const", "stats", "noise_const"),
)
W_AVG = "w_avg"
# Sizes 8, 16, ... 1024 that rosinality's numbered layers stand for.
_SIZES = tuple(2**i for i in range(3, 11))
_MOST_DENSE = 16


def _same(name: str, leaves: tuple[Leaf, ...]) -> Module:
    return Module(name, name.replace(".", "/"), leaves)


_MAPPING = (_same("mapping.fc{i}", DENSE), _same("mapping.embed", DENSE))


def _filters(*beside: str) -> tuple[Constant, ...]:
    """Name the low-pass filter that official modules keep a copy of, beside their weights."""
    return tuple(Constant(f"{m}.resample_filter", f"{m}.weight", FILTER) for m in beside)


_GENERATOR = Layout(
    name="stylegan2",
    about="stylegan2-ada-pytorch generator (G, G_ema): synthesis.b4.conv1, mapping.fc0",
    modules=(
        *_MAPPING,
        Module("mapping", "", (Leaf("w_avg", "stats", W_AVG),)),
        _same("synthesis.b{s}", (Leaf("const", "params", "const", "chw->hwc"),)),
        _same("synthesis.b{s}.conv{i}", CONV + NOISE),
        _same("synthesis.b{s}.conv{i}.affine", DENSE),
        _same("synthesis.b{s}.torgb", CONV),
        _same("synthesis.b{s}.torgb.affine", DENSE),
    ),
    anchors=("synthesis.b4.conv1", "mapping.fc0"),
    constants=(
        *_filters("synthesis.b{s}.conv{i}"),
        Constant("synthesis.b{s}.resample_filter", "synthesis.b{s}.conv1.weight", FILTER),
    ),
)

_DISCRIMINATOR = Layout(
    name="stylegan2_discriminator",
    about="stylegan2-ada-pytorch discriminator (D): b4.conv, b4.fc, b4.out",
    modules=(
        *_MAPPING,
        *(_same(f"b{{s}}.{name}", CONV) for name in ("conv{i}", "fromrgb", "skip")),
        _same("b4.conv", CONV),
        _same("b4.fc", DENSE),
        _same("b4.out", DENSE),
    ),
    anchors=("b4.conv", "b4.fc", "b4.out"),
    constants=(
        *_filters("b{s}.conv{i}", "b{s}.fromrgb", "b{s}.skip", "b4.conv"),
        Constant("b{s}.resample_filter", "b{s}.conv0.weight", FILTER),
    ),
)


def _modulated(torch: str, flax: str) -> tuple[Module, ...]:
    return (
        Module(f"{torch}.conv", flax, (Leaf("weight", "params", "kernel", "1oihw->hwio"),)),
        Module(f"{torch}.conv.modulation", f"{flax}/affine", DENSE),
    )


def _styled(torch: str, flax: str, index: int) -> tuple[Module, ...]:
    """Name rosinality's StyledConv, the `index`-th of the network, whose noise is a buffer."""
    return (
        *_modulated(torch, flax),
        Module(f"{torch}.noise", flax, (Leaf("weight", "params", "noise_strength", "1->"),)),
        Module(f"{torch}.activate", flax, (Leaf("bias", "params", "bias"),)),
        Module("noises", flax, (Leaf(f"noise_{index}", "stats", "noise_const", "11hw->hw"),)),
    )


def _to_rgb(torch: str, flax: str) -> tuple[Module, ...]:
    return (
        *_modulated(torch, flax),
        Module(torch, flax, (Leaf("bias", "params", "bias", "1c11->c"),)),
    )


def _numbered() -> tuple[Module, ...]:
    """Name rosinality's lists: two convolutions and one to_rgb per size."""
    lines = []
    for j, size in enumerate(_SIZES):
        block = f"synthesis/b{size}"
        for i in (0, 1):
            lines += _styled(f"convs.{2 * j + i}", f"{block}/conv{i}", 2 * j + i + 1)
        lines += _to_rgb(f"to_rgbs.{j}", f"{block}/torgb")
    lines += [Module(f"style.{i + 1}", f"mapping/fc{i}", DENSE) for i in range(_MOST_DENSE)]
    return tuple(lines)


def _upsamplers() -> tuple[Constant, ...]:
    """Name the filters of rosinality's upsampling layers, which include its gain of 4."""
    blurs = (f"g_ema.convs.{2 * j}.conv" for j in range(len(_SIZES)))
    return (
        *(Constant(f"{m}.blur.kernel", f"{m}.weight", FILTER * 4) for m in blurs),
        Constant("g_ema.to_rgbs.{i}.upsample.kernel", "g_ema.to_rgbs.{i}.bias", FILTER * 4),
    )


_ROSINALITY = Layout(
    name="rosinality",
    about="rosinality stylegan2-pytorch {g_ema, latent_avg}: convs, to_rgbs, style, noises",
    modules=(
        *(
            module.under("g_ema.", "")
            for module in (
                Module("input", "synthesis/b4", (Leaf("input", "params", "const", "1chw->hwc"),)),
                *_styled("conv1", "synthesis/b4/conv1", 0),
                *_to_rgb("to_rgb1", "synthesis/b4/torgb"),
                *_numbered(),
            )
        ),
        Module("", "", (Leaf("latent_avg", "stats", W_AVG),)),
    ),
    anchors=("g_ema.input", "g_ema.conv1.conv", "g_ema.style.1"),
    # Published files predate the buffers of noise, self-trained ones have no mean.
    left=(W_AVG, "synthesis/*/noise_const"),
    constants=_upsamplers(),
    wrapped=("g_ema",),
)

STYLEGAN_LAYOUTS = (_GENERATOR, _DISCRIMINATOR, _ROSINALITY)
GENERATOR, DISCRIMINATOR, ROSINALITY = (layout.name for layout in STYLEGAN_LAYOUTS)
