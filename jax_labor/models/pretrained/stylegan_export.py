"""Which of our StyleGAN2 networks the code of others can be: what it has fixed is refused."""

from collections.abc import Mapping
from typing import Any

from jax_labor.errors import UserError
from jax_labor.models.pretrained.stylegan_layouts import GENERATOR, ROSINALITY
from jax_labor.models.stylegan2 import build_generator

# rosinality's channels: 512 up to 32x32, then 16384 m / size with his channel_multiplier m; ours
# never grow with the size, so m is 1 or 2.
_WIDEST, _REST = 512, 16384


def check_export(settings: Mapping[str, Any], layout: str) -> None:
    """Refuse to write a StyleGAN2 in a layout whose code can't load it or computes other numbers.

    Args:
      settings: of the network, as `settings_of` gives them; empty where it is none.
      layout: where to.

    Raises:
      UserError: naming the setting.
    """
    base = tuple(settings.get("base", (4, 4)))
    if base != (4, 4):
        raise UserError(
            f"the network's base is {base}, and the code that reads layout {layout} begins at 4x4 "
            "pixels. Use the network here: its run's work directory or .npz is read as it is."
        )
    wrong = _beyond_rosinality(settings) if layout == ROSINALITY else ""
    if wrong:
        raise UserError(f"the generator's {wrong}. Export it in layout {GENERATOR}.")


def _beyond_rosinality(settings: Mapping[str, Any]) -> str:
    """Name the setting that his code does not have; empty where it has them all."""
    if settings.get("conv_clamp") is not None:
        return f"layers are clamped (conv_clamp {settings['conv_clamp']}), and {ROSINALITY}'s not"
    if "z_dim" not in settings:
        return ""  # no generator, for which the layout has no place
    # A run's settings are of both its networks.
    network = build_generator({n: value for n, value in settings.items() if n != "mbstd_group"})
    if network.z_dim != network.w_dim:
        return f"z_dim is {network.z_dim} and w_dim {network.w_dim}: {ROSINALITY} has one"
    pyramid = network.pyramid
    widths = {block: pyramid.channels(block) for block in pyramid.blocks}
    if any(all(_width(block, m) == width for block, width in widths.items()) for m in (1, 2)):
        return ""
    return (
        f"channel_base is {pyramid.channel_base} and channel_max {pyramid.channel_max}, and "
        f"{ROSINALITY}'s code has only {_REST} or {2 * _REST} and {_WIDEST}"
    )


def _width(block: int, multiplier: int) -> int:
    return _WIDEST if block <= 32 else _REST * multiplier // block
