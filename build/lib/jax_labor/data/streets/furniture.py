"""What stands along a street: lamp posts, signals, signs, bollards, fences."""

import math

import numpy as np

from jax_labor.data.streets import kinds
from jax_labor.data.streets.ground import cast_shadow
from jax_labor.data.streets.paint import shade, vary

METALS = ((120, 124, 126), (64, 72, 70), (150, 150, 148), (52, 52, 54), (110, 116, 96))


def disc(x, y, radius, count=12):
    """The points of a circle in metres."""
    turns = [2 * math.pi * i / count for i in range(count)]
    return [(x + radius * math.cos(t), y + radius * math.sin(t)) for t in turns]


def box(x0, x1, y0, y1):
    """The points of a rectangle in metres."""
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _post(canvas, place, height, wide, surface):
    cast_shadow(canvas, place, wide, height)
    return [
        ([(-wide / 2, 0), (wide / 2, 0), (wide * 0.35, height), (-wide * 0.35, height)], surface)
    ]


def _metal(canvas, place):
    tone = vary(canvas.rng, canvas.rng.choice(METALS), 0.2)
    return canvas.surface(kinds.POLE, tone, plane=canvas.upright(place))


def draw_lamp(canvas, place):
    """A street lamp whose arm reaches over the road; in the evening it may be on."""
    rng = canvas.rng
    metal, height, reach = _metal(canvas, place), rng.uniform(5.5, 9), rng.uniform(0.8, 2)
    arm = math.copysign(reach, -place[0])
    on = rng.random() < canvas.style.lamps
    light = (255, 214, 150) if on else (206, 206, 200)
    head = canvas.surface(kinds.POLE, light, plane=canvas.upright(place), glow=float(on))
    parts = _post(canvas, place, height, rng.uniform(0.1, 0.16), metal)
    parts.append(
        ([(0, height), (arm, height + 0.35), (arm, height + 0.23), (0, height - 0.15)], metal)
    )
    parts.append((box(arm - 0.35, arm + 0.35, height + 0.16, height + 0.36), head))
    canvas.parts(place, parts)
    if on and place[1] < 45:
        canvas.halo((place[0] + arm, place[1]), height + 0.2, 1.1, (255, 190, 110))


def draw_signal(canvas, place):
    """A traffic light on its post."""
    rng, plane = canvas.rng, canvas.upright(place)
    height = rng.uniform(2.6, 3.4)
    parts = _post(canvas, place, height + 0.9, rng.uniform(0.1, 0.14), _metal(canvas, place))
    case = canvas.surface(kinds.SIGN, vary(rng, (34, 36, 36)), plane=plane)
    back = canvas.surface(kinds.SIGN, vary(rng, (60, 62, 60)), plane=plane)
    parts += [(box(-0.28, 0.28, height - 0.1, height + 1.1), back)]
    parts += [(box(-0.2, 0.2, height, height + 1), case)]
    shown = rng.randrange(3)
    for i, colour in enumerate(((40, 230, 130), (255, 180, 40), (255, 50, 40))):
        tone = colour if i == shown else shade(colour, 0.25)
        lens = canvas.surface(kinds.SIGN, tone, plane=plane, glow=0.9 * (i == shown))
        parts.append((disc(0, height + 0.2 + 0.3 * i, 0.12, 8), lens))
        if i == shown and canvas.style.lamps:
            canvas.halo(place, height + 0.2 + 0.3 * i, 0.4, shade(colour, 0.6))
    canvas.parts(place, parts)


def draw_sign(canvas, place):
    """A traffic sign on its post: prohibition, warning, order, plate, or seen from behind."""
    rng, plane = canvas.rng, canvas.upright(place)
    y, r = rng.uniform(2.1, 3.0), rng.uniform(0.32, 0.5)

    def plate(colour):
        return canvas.surface(kinds.SIGN, vary(rng, colour, 0.1), plane=plane)

    parts = _post(canvas, place, y + r * 0.7, rng.uniform(0.06, 0.1), _metal(canvas, place))
    kind = rng.randrange(6)
    if kind == 0:
        parts += [
            (disc(0, y, r), plate((206, 36, 40))),
            (disc(0, y, 0.72 * r), plate((240, 240, 236))),
        ]
        parts += [(box(-0.4 * r, 0.4 * r, y - 0.2 * r, y + 0.2 * r), plate((40, 40, 40)))]
    elif kind == 1:
        outer = [(-r, y - 0.6 * r), (r, y - 0.6 * r), (0, y + r)]
        inner = [(0.66 * px, y + 0.66 * (py - y)) for px, py in outer]
        parts += [(outer, plate((206, 36, 40))), (inner, plate((244, 240, 220)))]
    elif kind == 2:
        parts += [(disc(0, y, r), plate((30, 80, 190)))]
        parts += [
            ([(-0.5 * r, y), (0.5 * r, y + 0.15), (0.5 * r, y - 0.15)], plate((240, 240, 240)))
        ]
    elif kind == 5:
        parts += [(disc(0, y, r), plate((120, 122, 122)))]
    else:
        colour = rng.choice(((20, 100, 60), (30, 80, 180), (240, 236, 220), (230, 200, 60)))
        wide, high = rng.uniform(0.4, 1.2), rng.uniform(0.3, 0.6)
        parts += [(box(-wide, wide, y - high, y + high), plate((236, 236, 230)))]
        parts += [(box(-wide + 0.07, wide - 0.07, y - high + 0.07, y + high - 0.07), plate(colour))]
        ink = plate((240, 240, 236) if sum(colour) < 500 else (30, 30, 30))
        for row in range(2):
            foot = y - 0.6 * high + row * 0.7 * high
            parts.append(
                (box(-0.7 * wide, rng.uniform(0, 0.7) * wide, foot, foot + 0.3 * high), ink)
            )
    canvas.parts(place, parts)


def draw_board(canvas, place, side):
    """A shop's sign that sticks out from the wall towards the road."""
    rng, plane = canvas.rng, canvas.upright(place)
    y, wide, high = rng.uniform(2.8, 4.2), rng.uniform(0.5, 1.0), rng.uniform(0.6, 1.3)
    colour = vary(rng, rng.choice(canvas.style.paints), 0.2)
    lit = 0.5 * (rng.random() < canvas.style.lit_windows)
    plate = canvas.surface(kinds.SIGN, colour, plane=plane, glow=lit)
    ink = canvas.surface(kinds.SIGN, (236, 232, 220), plane=plane, glow=lit)
    x0, x1 = sorted((0, -side * wide))
    parts = [(box(x0, x1, y, y + high), plate)]
    parts += [(box(x0 + 0.12, x1 - 0.12, y + 0.3 * high, y + 0.7 * high), ink)]
    canvas.parts(place, parts)


def draw_bollard(canvas, place):
    """A bollard at the kerb."""
    rng = canvas.rng
    height, wide = rng.uniform(0.8, 1.1), rng.uniform(0.14, 0.24)
    band = canvas.surface(kinds.POLE, (226, 224, 216), plane=canvas.upright(place))
    parts = _post(canvas, place, height, wide, _metal(canvas, place))
    parts.append((box(-wide * 0.4, wide * 0.4, height * 0.75, height * 0.87), band))
    canvas.parts(place, parts)


def draw_fence(canvas, x, near, far, kind, colour):
    """One panel of fence along the road at sideways place x: 'boards', 'wall' or 'rails'."""
    camera, light = canvas.camera, canvas.light.face(-1.0 if x > 0 else 1.0, 0.0)
    height = {"boards": 1.7, "wall": 1.0, "rails": 1.15}[kind]
    start, end = camera.bend(x, near), camera.bend(x, far)
    plane = camera.plane((start[0], near), (end[0], far), near)
    material = {"boards": kinds.BOARDS, "wall": kinds.BRICK, "rails": kinds.PLAIN}[kind]
    surface = canvas.surface(kinds.FENCE, shade(colour, light), material, plane)

    if kind != "rails":
        quad = [(near, 0), (far, 0), (far, height), (near, height)]
        canvas.polygon(_upright(camera, x, quad), surface)
        return
    bars = max(1, int((far - near) / 0.25))
    step = (far - near) / bars
    spans = [(near, far, 0, height), (near, far, 0.12, 0.19), (near, far, height - 0.07, height)]
    spans += [(near + i * step, near + i * step + 0.06, 0, height) for i in range(bars)]
    quads = _upright(camera, x, [(z, y) for a, b, c, d in spans for z, y in box(a, b, c, d)])
    quads = quads.reshape(-1, 4, 2)
    canvas.veil(quads[0], kinds.FENCE)
    for quad in quads[1:]:
        canvas.polygon(quad, surface)


def _upright(camera, x, places):
    """Pixels [N, 2] of (distance, height) places at sideways place x."""
    z, y = np.array(places).T
    return camera.project(x, y, z)
