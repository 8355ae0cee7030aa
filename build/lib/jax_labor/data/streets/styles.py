"""What separates the two domains: all numbers that make a scene look and be laid out as it does."""

import dataclasses

from jax_labor.errors import UserError

Range = tuple[float, float]
Colour = tuple[float, float, float]
Palette = tuple[Colour, ...]


@dataclasses.dataclass(frozen=True)
class Style:
    """A domain of street scenes.

    Colours are RGB in 0..255 under full daylight, lengths metres, `horizon` a fraction of the image
    height from the top, `focal` a multiple of the image height, `haze` an extinction per metre,
    `bleach` how far the sky is overexposed (0..1), `noise` a standard deviation in grey levels,
    `blur` a radius in pixels at 360 rows.
    """

    name: str
    # matter
    walls: Palette
    wall_materials: tuple[int, ...]
    roofs: Palette
    paints: Palette
    clothes: Palette
    leaves: Palette
    asphalt: Palette
    paving: Palette
    texture: float
    # air and light
    sky_high: Colour
    sky_low: Colour
    clouds: Range
    bleach: Range
    haze: Range
    haze_colour: Colour
    sun: Range
    shadow: Range
    lamps: float
    lit_windows: float
    # sensor
    gain: Range
    contrast: float
    saturation: float
    casts: Palette
    vignette: float
    noise: Range
    blur: Range
    # layout
    camera_height: Range
    horizon: Range
    focal: Range
    lane: Range
    storeys: tuple[int, int]
    places: tuple[tuple[str, float], ...]
    traffic: Range
    parked: float
    people: Range
    cyclists: Range
    trees: float
    bare: float
    hood: float


SOURCE = Style(
    name="source",
    walls=(
        (214, 190, 150), (226, 214, 192), (196, 110, 84), (176, 84, 66), (232, 222, 160),
        (170, 186, 200), (206, 150, 110), (190, 190, 186), (150, 170, 140), (238, 232, 224),
    ),
    wall_materials=(3, 4, 4, 4, 7),
    roofs=((150, 74, 58), (96, 92, 100), (124, 84, 66), (80, 90, 110)),
    paints=(
        (200, 36, 36), (36, 84, 180), (236, 236, 236), (240, 190, 40), (48, 150, 84), (40, 40, 44),
        (150, 156, 164), (230, 120, 40), (90, 180, 210),
    ),
    clothes=(
        (200, 50, 50), (50, 80, 170), (240, 240, 240), (40, 40, 50), (230, 190, 60), (60, 140, 90),
        (150, 90, 160), (120, 90, 60),
    ),
    leaves=((84, 140, 52), (64, 118, 48), (116, 160, 60), (150, 150, 60)),
    asphalt=((98, 98, 104), (110, 108, 108), (88, 90, 98)),
    paving=((176, 168, 156), (160, 158, 158), (190, 172, 150)),
    texture=0.45,
    sky_high=(86, 150, 226),
    sky_low=(196, 222, 244),
    clouds=(0.0, 0.8),
    bleach=(0.0, 0.8),
    haze=(0.0012, 0.003),
    haze_colour=(206, 224, 240),
    sun=(0.3, 0.5),
    shadow=(0.3, 0.5),
    lamps=0.0,
    lit_windows=0.0,
    gain=(0.85, 1.15),
    contrast=1.05,
    saturation=1.05,
    casts=((1.0, 1.0, 0.98), (1.04, 1.0, 0.94), (0.96, 1.0, 1.04)),
    vignette=0.0,
    noise=(0.5, 3.0),
    blur=(0.0, 0.4),
    camera_height=(1.25, 1.6),
    horizon=(0.45, 0.55),
    focal=(1.05, 1.3),
    lane=(3.0, 3.7),
    storeys=(2, 5),
    places=(("street", 3), ("suburb", 2), ("avenue", 2), ("square", 1.5), ("junction", 1.5)),
    traffic=(1, 4),
    parked=0.35,
    people=(2, 8),
    cyclists=(0, 2),
    trees=0.5,
    bare=0.1,
    hood=0.0,
)  # fmt: skip

TARGET = Style(
    name="target",
    walls=(
        (124, 84, 66), (104, 70, 58), (150, 132, 104), (132, 126, 118), (96, 92, 90),
        (160, 148, 128), (92, 76, 66), (178, 172, 164), (112, 104, 92), (84, 88, 94),
    ),
    wall_materials=(3, 3, 7, 7, 4),
    roofs=((74, 66, 66), (60, 60, 66), (92, 70, 60), (70, 74, 78)),
    paints=(
        (150, 152, 156), (60, 62, 68), (34, 36, 40), (196, 196, 196), (40, 52, 84), (110, 30, 32),
        (120, 124, 120), (60, 84, 70), (84, 88, 96),
    ),
    clothes=(
        (40, 40, 46), (56, 56, 70), (84, 72, 60), (30, 34, 44), (110, 104, 100), (120, 40, 40),
        (60, 70, 60), (150, 150, 150),
    ),
    leaves=((70, 82, 48), (58, 66, 44), (96, 84, 50), (84, 92, 64)),
    asphalt=((92, 92, 92), (74, 76, 80), (106, 102, 96), (120, 112, 104)),
    paving=((110, 106, 100), (96, 94, 92), (126, 116, 104), (104, 100, 104)),
    texture=1.0,
    sky_high=(166, 174, 184),
    sky_low=(224, 220, 210),
    clouds=(0.5, 1.0),
    bleach=(0.0, 0.4),
    haze=(0.005, 0.012),
    haze_colour=(184, 186, 184),
    sun=(0.05, 0.2),
    shadow=(0.25, 0.6),
    lamps=0.75,
    lit_windows=0.22,
    gain=(0.62, 1.0),
    contrast=0.88,
    saturation=0.75,
    casts=((0.92, 1.0, 1.1), (1.11, 1.0, 0.84), (0.95, 1.04, 1.0), (1.04, 0.98, 1.03)),
    vignette=0.45,
    noise=(4.0, 8.0),
    blur=(0.5, 1.2),
    camera_height=(1.5, 2.3),
    horizon=(0.39, 0.51),
    focal=(0.95, 1.2),
    lane=(2.7, 3.3),
    storeys=(2, 5),
    places=(("street", 4), ("suburb", 1.5), ("avenue", 2), ("square", 1.5), ("junction", 1.5)),
    traffic=(1, 6),
    parked=0.45,
    people=(3, 10),
    cyclists=(0, 3),
    trees=0.6,
    bare=0.55,
    hood=0.5,
)  # fmt: skip

_BY_NAME = {style.name: style for style in (SOURCE, TARGET)}
STYLES = tuple(_BY_NAME)


def get_style(name: str) -> Style:
    """The style called `name`; UserError when there is none."""
    if name not in _BY_NAME:
        raise UserError(f"streets has no style {name!r}: choose one of {', '.join(STYLES)}")
    return _BY_NAME[name]
