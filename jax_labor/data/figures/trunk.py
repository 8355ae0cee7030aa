"""What covers the trunk: its outline follows the body and hangs over the legs."""

from jax_labor.data.figures import parts
from jax_labor.data.figures.canvas import CONTACT
from jax_labor.data.figures.shapes import ellipse, limb, profile

# how far a lower edge of clothes is curved
SAG = 0.014


def draw_trunk(figure):
    """Trousers' upper part or skirt, neck, top or dress, jacket."""
    outfit = figure.outfit
    if not outfit.dress:
        part = parts.SKIRT if outfit.lower_cut == "skirt" else parts.TROUSERS
        levels = _hips(figure)
        if part == parts.SKIRT:
            levels = levels[:1] + _skirt(figure)
        # a skirt hangs over the legs, trousers go on into them
        contact = CONTACT if part == parts.SKIRT else 0
        figure.canvas.paint(profile(figure.frame, levels, SAG), part, outfit.lower, contact)
    _draw_neck(figure)
    part = parts.DRESS if outfit.dress else parts.TOP
    levels = _chest(figure, 1.0 if outfit.dress else outfit.loose)
    levels += _skirt(figure) if outfit.dress else _tail(figure)
    figure.canvas.paint(profile(figure.frame, levels, SAG), part, outfit.top)
    if outfit.inner:
        _draw_opening(figure, levels)
    _draw_neckline(figure)


def _hips(figure):
    body, (x, y) = figure.body, figure.spine(0.0)
    waist_x, waist_y = figure.spine(0.3)
    return [
        (waist_y, waist_x, figure.turned(body.waist)),
        (y + 0.01, x, figure.turned(body.hip)),
        (y - 0.045, x, figure.turned(body.hip) * 0.93),
    ]


def _chest(figure, loose):
    body = figure.body
    rows = (
        (1.02, 0.03), (0.96, 0.052), (0.85, body.shoulder), (0.68, body.chest * loose),
        (0.32, body.waist * loose * (loose if loose > 1.1 else 1)),
    )  # fmt: skip
    return [(figure.spine(s)[1], figure.spine(s)[0], figure.turned(w)) for s, w in rows]


def _tail(figure):
    """Lower end of a top that hangs over the hips."""
    (x, y), hip = figure.spine(0.0), figure.turned(figure.body.hip * figure.outfit.loose) * 1.03
    end = y - figure.outfit.top_length
    if figure.outfit.top_length < 0.03:
        return [(y + 0.04, x, hip * 0.96), (end + 0.02, x, hip * 0.98)]
    spread = _legs_at(figure, end)
    return [(y + 0.01, x, hip), (end, *_cover(spread, x, hip * 1.05))]


def _skirt(figure):
    """Levels of a skirt from the hips to its hem, wide enough for the knees."""
    (x, y), hip = figure.spine(0.0), figure.turned(figure.body.hip) * 1.05
    hem = figure.outfit.hem
    centre, width = _cover(_legs_at(figure, hem), x, hip * figure.outfit.flare)
    middle = ((x + centre) / 2, (hip + width) / 2 + 0.1 * (width - hip))
    return [(y + 0.01, x, hip), ((y + hem) / 2, *middle), (hem, centre, width)]


def _legs_at(figure, height):
    """Leftmost and rightmost x of both legs at a height."""
    xs = []
    for hip, knee, ankle in zip(
        figure.joints.hips, figure.joints.knees, figure.joints.ankles, strict=True
    ):
        high, low = (hip, knee) if height > knee[1] else (knee, ankle)
        share = (high[1] - height) / max(high[1] - low[1], 1e-3)
        xs.append(high[0] + min(max(share, 0), 1) * (low[0] - high[0]))
    return min(xs) - 0.045, max(xs) + 0.045


def _cover(spread, x, width):
    """Centre and half width that hold both `spread` and the width around x."""
    centre = (x + (spread[0] + spread[1]) / 2) / 2
    return centre, max(width, centre - spread[0], spread[1] - centre)


def _draw_neck(figure):
    (x, y), head = figure.joints.neck[:2], figure.joints.head[:2]
    shape = limb(figure.frame, [(x, y - 0.03), head], [0.031, 0.027])
    figure.canvas.paint(shape, parts.FACE, figure.outfit.skin)


def _draw_neckline(figure):
    """A round patch of skin below the neck."""
    x, y = figure.joints.neck[:2]
    deep = 0.028 if figure.outfit.inner or figure.outfit.sleeve > 0.9 else 0.045
    x += 0.02 * figure.facing
    shape = ellipse(figure.frame, (x, y + 0.012), figure.turned(0.036), deep)
    figure.canvas.paint(shape, parts.FACE, figure.outfit.skin, contact=0)


def _draw_opening(figure, levels):
    """The shirt between the open halves of a jacket."""
    shift = 0.5 * figure.facing
    strip = [(y, c + shift * w, (0.02 + 0.28 * w) * 0.8) for y, c, w in levels[1:]]
    last = max(strip[-1][0], figure.spine(0.0)[1] - 0.03)
    strip = [row for row in strip[:-1] if row[0] > last] + [(last, *strip[-1][1:])]
    figure.canvas.paint(profile(figure.frame, strip), parts.TOP, figure.outfit.inner, contact=0)
