"""Pedestrians and cyclists; both vary in build, pose and clothes."""

import math

from jax_labor.data.streets import kinds
from jax_labor.data.streets.furniture import box, disc
from jax_labor.data.streets.ground import cast_shadow, foot_shadow
from jax_labor.data.streets.paint import shade, vary

SKINS = ((226, 184, 154), (196, 146, 112), (140, 96, 70), (96, 66, 50))
HAIRS = ((40, 32, 28), (92, 64, 40), (180, 150, 96), (120, 116, 112))


def limb(start, end, wide, narrow):
    """A tapered quad from one joint to the next."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy) or 1.0
    nx, ny = -dy / length / 2, dx / length / 2
    return [
        (start[0] + nx * wide, start[1] + ny * wide), (start[0] - nx * wide, start[1] - ny * wide),
        (end[0] - nx * narrow, end[1] - ny * narrow), (end[0] + nx * narrow, end[1] + ny * narrow),
    ]  # fmt: skip


class _Dress:
    """Surfaces of one person's clothes, all of one class."""

    def __init__(self, canvas, place, label):
        rng, plane = canvas.rng, canvas.upright(place)

        def cloth(colour, spread=0.2):
            return canvas.surface(label, vary(rng, colour, spread), kinds.PLASTER, plane)

        top = rng.choice(canvas.style.clothes)
        self.top, self.sleeve = cloth(top), cloth(shade(top, 0.8))
        self.legs = cloth(rng.choice(((40, 44, 60), (60, 60, 62), (90, 84, 70), (50, 60, 96))))
        self.skin, self.hair = cloth(rng.choice(SKINS), 0.1), cloth(rng.choice(HAIRS))
        self.shoes, self.bag = cloth((30, 28, 28)), cloth(rng.choice(canvas.style.clothes))


def draw_pedestrian(canvas, place):
    """A person on foot at road point (x, z), 1.2 to 1.95 m tall."""
    rng = canvas.rng
    h = rng.choice((rng.uniform(1.55, 1.95), rng.uniform(1.55, 1.95), rng.uniform(1.2, 1.6)))
    dress = _Dress(canvas, place, kinds.PEDESTRIAN)
    stride, turn = rng.uniform(0.02, 0.2) * h, rng.choice((-1, 1))
    girth = rng.uniform(0.85, 1.25) * h
    foot_shadow(canvas, place, 0.4, 0.3)
    cast_shadow(canvas, place, 0.4, h)
    hip, neck = 0.5 * h, 0.83 * h
    parts = []
    for s, leg in ((-1, dress.legs), (1, dress.legs)):
        foot = (s * max(stride, 0.05 * h), 0.02)
        parts.append((limb((s * 0.045 * h, hip), foot, 0.1 * girth, 0.065 * girth), leg))
        parts.append((box(foot[0] - 0.05, foot[0] + 0.07, 0, 0.07), dress.shoes))
    coat = 0.42 if rng.random() < 0.3 else 0.5
    torso = [
        (-0.085, coat),
        (0.085, coat),
        (0.12, 0.79),
        (0.06, 0.84),
        (-0.06, 0.84),
        (-0.12, 0.79),
    ]
    parts.append(([(x * girth, y * h) for x, y in torso], dress.top))
    for s in (-1, 1):
        hand = (s * (0.13 + rng.uniform(-0.02, 0.05)) * h, 0.47 * h)
        parts.append((limb((s * 0.115 * girth, 0.8 * h), hand, 0.06 * h, 0.045 * h), dress.sleeve))
    if rng.random() < 0.35:
        x = turn * 0.14 * girth
        parts.append((box(x - 0.09, x + 0.09, 0.5 * h, 0.7 * h), dress.bag))
    parts.append((box(-0.03 * h, 0.03 * h, neck - 0.02, neck + 0.05), dress.skin))
    parts.append((disc(0, 0.915 * h, 0.07 * h, 10), dress.skin))
    cap = [(x, y) for x, y in disc(0.008 * h * turn, 0.925 * h, 0.075 * h, 10) if y > 0.91 * h]
    parts.append((cap, dress.hair))
    canvas.parts(place, parts)


def draw_cyclist(canvas, place, sideways):
    """A rider on a bicycle, both of one class; seen from behind unless `sideways`."""
    dress = _Dress(canvas, place, kinds.BICYCLIST)
    plane = canvas.upright(place)
    frame = canvas.surface(
        kinds.BICYCLIST, vary(canvas.rng, canvas.rng.choice(canvas.style.paints)), plane=plane
    )
    tyre = canvas.surface(kinds.BICYCLIST, (26, 26, 28), plane=plane)
    foot_shadow(canvas, place, 0.8 if sideways else 0.3, 0.3 if sideways else 0.8)
    parts = _side(canvas.rng, dress, frame, tyre) if sideways else _rear(canvas, dress, frame, tyre)
    canvas.parts(place, parts)


def _head(rng, dress, x, y):
    parts = [(disc(x, y, 0.115, 10), dress.skin)]
    lid = dress.bag if rng.random() < 0.5 else dress.hair
    parts.append(([(u, v) for u, v in disc(x, y + 0.02, 0.135, 10) if v > y], lid))
    return parts


def _rear(canvas, dress, frame, tyre):
    rng = canvas.rng
    lean = rng.uniform(-0.08, 0.08)
    parts = [(box(-0.035, 0.035, 0, 0.68), tyre), (box(-0.02, 0.02, 0.6, 0.95), frame)]
    parts.append((box(-0.28, 0.28, 0.98, 1.03), frame))
    for s, lift in ((-1, 0.15), (1, 0.4)):
        knee = (s * 0.17, 0.62 + 0.5 * (lift - 0.15))
        parts.append((limb((s * 0.09, 0.98), knee, 0.17, 0.13), dress.legs))
        parts.append((limb(knee, (s * 0.12, lift), 0.12, 0.08), dress.legs))
        parts.append((box(s * 0.12 - 0.05, s * 0.12 + 0.05, lift - 0.06, lift + 0.04), dress.shoes))
    torso = [(-0.16, 0.9), (0.16, 0.9), (0.22 + lean, 1.42), (0.1 + lean, 1.52)]
    torso += [(-0.1 + lean, 1.52), (-0.22 + lean, 1.42)]
    for s in (-1, 1):
        parts.append((limb((s * 0.2 + lean, 1.42), (s * 0.28, 1.02), 0.11, 0.08), dress.sleeve))
    parts.append((torso, dress.top))
    if rng.random() < 0.4:
        parts.append((box(-0.14 + lean, 0.14 + lean, 1.05, 1.42), dress.bag))
    return parts + _head(rng, dress, lean, 1.64)


def _side(rng, dress, frame, tyre):
    way = rng.choice((-1, 1))
    parts = []
    for x in (-0.52, 0.52):
        rim, inner = disc(x, 0.34, 0.34, 14), disc(x, 0.34, 0.29, 14)
        parts.append((rim, None, kinds.BICYCLIST))
        parts.append(([*rim, rim[0], inner[0], *inner[::-1]], tyre))
    seat, crank, fork = (-0.2 * way, 0.92), (-0.05 * way, 0.3), (0.38 * way, 0.92)
    rear, front = (-0.52 * way, 0.34), (0.52 * way, 0.34)
    for p, q in (
        (seat, crank),
        (crank, rear),
        (rear, seat),
        (crank, fork),
        (seat, fork),
        (fork, front),
    ):
        parts.append((limb(p, q, 0.045, 0.045), frame))
    for knee, toe in (((0.16, 0.72), (0.02, 0.18)), ((0.2, 0.86), (-0.05, 0.42))):
        knee, toe = (knee[0] * way, knee[1]), (toe[0] * way, toe[1])
        parts.append((limb((-0.18 * way, 0.98), knee, 0.19, 0.14), dress.legs))
        parts.append((limb(knee, toe, 0.13, 0.09), dress.legs))
        parts.append((box(toe[0] - 0.08, toe[0] + 0.08, toe[1] - 0.05, toe[1] + 0.03), dress.shoes))
    parts.append((limb((-0.2 * way, 0.92), (0.1 * way, 1.45), 0.3, 0.34), dress.top))
    parts.append((limb((0.1 * way, 1.4), (0.4 * way, 1.02), 0.12, 0.08), dress.sleeve))
    return parts + _head(rng, dress, 0.18 * way, 1.62)
