"""What a figure wears, and the colours of all of it."""

import colorsys
from dataclasses import dataclass

from jax_labor.data.figures.cloth import Cloth

SKINS = (
    (244, 208, 182), (234, 190, 158), (214, 164, 128), (186, 132, 96), (146, 98, 68), (104, 68, 48),
)  # fmt: skip
HAIRS = (
    (32, 26, 26), (58, 40, 30), (96, 62, 38), (142, 96, 52), (206, 168, 104), (156, 72, 40),
    (120, 118, 120), (176, 120, 70), (24, 24, 32),
)  # fmt: skip
LEATHERS = (
    (34, 30, 30), (74, 48, 32), (122, 78, 46), (168, 120, 74), (236, 234, 230), (150, 40, 44),
    (58, 66, 84), (196, 170, 130),
)  # fmt: skip


@dataclass(frozen=True)
class Outfit:
    """Cuts as words, lengths as shares (0 nothing, 1 to wrist or ankle), and materials."""

    skin: Cloth
    hair: Cloth
    hair_cut: str  # short, bob, long, bun, tail, curls
    top: Cloth
    inner: Cloth | None  # shirt under an open jacket or coat
    top_length: float  # below the hip joint, in body heights
    sleeve: float
    loose: float  # how wide the top hangs
    dress: bool
    lower: Cloth
    lower_cut: str  # slim, straight, wide, shorts, skirt
    hem: float  # height of a skirt's or dress's hem above the ground, in body heights
    flare: float
    shoe: Cloth
    boot: float  # share of the shin
    bag: Cloth
    bag_cut: str  # none, hand, cross, backpack
    hat: Cloth
    hat_cut: str  # none, cap, brim, beanie


def draw_outfit(rng, curves: float) -> Outfit:
    """An outfit; `curves` (see `people.draw_body`) makes dresses and long hair more likely."""
    dress = rng.random() < 0.04 + 0.36 * curves
    coat = not dress and rng.random() < 0.25
    skirted = rng.random() < 0.08 + 0.5 * curves
    cuts = ("slim", "straight", "wide", "shorts")
    skin = _vary(rng, rng.choice(SKINS), 0.05)
    lower_cut = "skirt" if skirted else rng.choices(cuts, (0.35, 0.3, 0.12, 0.23))[0]
    return Outfit(
        skin=Cloth(skin),
        hair=Cloth(_hair(rng, skin), folds=0.22, gloss=0.12),
        hair_cut=_hair_cut(rng, curves),
        top=_cloth(rng, 0.42 if not coat else 0.12),
        inner=_cloth(rng, 0.2) if coat else None,
        top_length=rng.uniform(0.06, 0.24) if coat else rng.uniform(-0.005, 0.06),
        sleeve=1.0 if coat else rng.choice((0.0, 0.3, 0.42, 0.62, 1.0, 1.0, 1.0)),
        loose=rng.uniform(1.08, 1.3) if coat else rng.uniform(1.0, 1.18),
        dress=dress,
        lower=_lower(rng, skirted),
        lower_cut=lower_cut,
        hem=rng.choice((rng.uniform(0.27, 0.38), rng.uniform(0.1, 0.27))),
        flare=rng.uniform(1.0, 2.1),
        shoe=Cloth(_vary(rng, rng.choice(LEATHERS), 0.1), gloss=0.2),
        boot=rng.choices((0.0, rng.uniform(0.25, 0.8)), (0.72, 0.28))[0],
        bag=Cloth(_vary(rng, rng.choice((*LEATHERS, _hue(rng))), 0.1), folds=0.06, gloss=0.12),
        bag_cut=rng.choices(("none", "hand", "cross", "backpack"), (0.55, 0.18, 0.17, 0.1))[0],
        hat=_cloth(rng, 0.1),
        hat_cut=rng.choices(("none", "cap", "brim", "beanie"), (0.72, 0.1, 0.1, 0.08))[0],
    )


def _hair(rng, skin):
    """A hair colour that stands out from the skin."""
    colour = _vary(rng, rng.choice(HAIRS), 0.12)
    return colour if sum(skin) - sum(colour) > 130 else _vary(rng, HAIRS[0], 0.12)


def _hair_cut(rng, curves):
    cuts = ("short", "bob", "long", "bun", "tail", "curls")
    broad = (0.8, 0.05, 0.05, 0.02, 0.02, 0.06)
    narrow = (0.12, 0.2, 0.32, 0.12, 0.12, 0.12)
    return rng.choices(cuts, [b + (n - b) * curves for b, n in zip(broad, narrow, strict=True)])[0]


def _lower(rng, skirted):
    if skirted:
        return _cloth(rng, 0.35)
    denims = ((44, 56, 88), (86, 108, 146), (36, 38, 46), (126, 112, 92), (70, 76, 62))
    colour = rng.choice((*denims, _hue(rng), (32, 32, 36), (222, 218, 208)))
    return Cloth(_vary(rng, colour, 0.15), folds=0.14)


def _cloth(rng, patterned):
    """A cloth of any colour, with a pattern at the given probability."""
    colour = _hue(rng)
    second = rng.choice(((246, 244, 238), (30, 30, 36), _hue(rng)))
    if abs(sum(colour) - sum(second)) < 120:
        second = tuple(255 - c for c in colour)
    pattern = "plain"
    if rng.random() < patterned:
        pattern = rng.choice(("stripes", "stripes", "pinstripes", "checks", "dots", "block"))
    return Cloth(colour, second, pattern, rng.uniform(0.035, 0.07), folds=rng.uniform(0.08, 0.18))


def _hue(rng):
    """Clear, muted or neutral colours, as clothes have them."""
    kind = rng.choices(("clear", "muted", "neutral"), (0.35, 0.35, 0.3))[0]
    saturation = {"clear": (0.5, 0.85), "muted": (0.2, 0.5), "neutral": (0.0, 0.08)}[kind]
    value = {"clear": (0.5, 0.95), "muted": (0.3, 0.85), "neutral": (0.12, 0.96)}[kind]
    rgb = colorsys.hsv_to_rgb(rng.random(), rng.uniform(*saturation), rng.uniform(*value))
    return tuple(255 * part for part in rgb)


def _vary(rng, colour, spread):
    factor = 1 + spread * (2 * rng.random() - 1)
    return tuple(min(c * factor * (1 + 0.3 * spread * (2 * rng.random() - 1)), 255) for c in colour)
