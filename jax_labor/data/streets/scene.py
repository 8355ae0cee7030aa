"""Puts a street together and renders it."""

import random

import numpy as np

from jax_labor.data.streets import kinds
from jax_labor.data.streets.buildings import House, draw_gable, draw_house
from jax_labor.data.streets.camera import Camera
from jax_labor.data.streets.canvas import SUPER, Canvas
from jax_labor.data.streets.furniture import (
    draw_board,
    draw_bollard,
    draw_fence,
    draw_lamp,
    draw_sign,
    draw_signal,
)  # fmt: skip
from jax_labor.data.streets.ground import FAR, draw_ground, house_shadow
from jax_labor.data.streets.paint import Sun, mix, vary
from jax_labor.data.streets.people import draw_cyclist, draw_pedestrian
from jax_labor.data.streets.plan import make_plan
from jax_labor.data.streets.plants import draw_hedge, draw_tree
from jax_labor.data.streets.shading import develop
from jax_labor.data.streets.styles import get_style
from jax_labor.data.streets.vehicles import draw_car
from jax_labor.errors import UserError


def render(seed, style, size):
    """Render one street scene.

    Args:
      seed: a non-negative integer; equal arguments give equal bytes, in any process and order.
      style: one of STYLES.
      size: (height, width) in pixels, each at least 16; the layout does not depend on it.

    Returns:
      The picture uint8[H, W, 3] and its labels uint8[H, W], train ids of camvid11, 255 = ignore.

    Raises:
      UserError: for a style, a seed or a size that does not exist.
    """
    look = get_style(style)
    height, width = size
    if min(height, width) < 16:
        raise UserError(f"streets cannot be rendered at {height}x{width}: use at least 16x16")
    if seed < 0:
        raise UserError(f"streets seed is {seed}: use a non-negative integer")
    rng = random.Random(f"streets/{style}/{int(seed)}")
    camera = _make_camera(rng, look, height * SUPER, width * SUPER)
    sun = Sun(rng.uniform(-2.2, 2.2), rng.uniform(*look.sun))
    air = _make_air(rng, look)
    canvas = Canvas(camera, look, sun, rng)
    _compose(canvas, make_plan(rng, look))
    noise = np.random.Generator(np.random.PCG64(rng.getrandbits(64)))
    return develop(canvas, air, noise)


def _make_camera(rng, style, height, width):
    return Camera(
        width,
        height,
        focal=rng.uniform(*style.focal) * height,
        horizon=rng.uniform(*style.horizon) * height,
        centre=width / 2 + rng.gauss(0, 0.07) * height,
        eye=rng.uniform(*style.camera_height),
        curve=rng.choice((0, 1)) * rng.gauss(0, 0.0015),
        hill=rng.choice((0, 1)) * rng.gauss(0, 0.0003),
        roll=rng.gauss(0, 0.012),
    )


def _make_air(rng, style):
    ranges = ("clouds", "bleach", "haze", "shadow", "gain", "noise", "blur")
    air = {name: rng.uniform(*getattr(style, name)) for name in ranges}
    return air | {"cast": rng.choice(style.casts), "cloud_offset": rng.uniform(0, 500)}


def _compose(canvas, plan):
    """Draw everything, the far before the near."""
    _draw_distance(canvas)
    draw_ground(canvas, plan)
    things = []
    for side in (-1, 1):
        things += _houses(canvas, plan, side)
        things += _roadside(canvas, plan, side)
    things += _traffic(canvas, plan)
    if plan.cross:
        things += _street_end(canvas, plan)
    for thing in sorted(things, key=lambda t: -t[0]):
        thing[1](*thing[2:])
    if canvas.rng.random() < canvas.style.hood:
        _draw_hood(canvas)


def _draw_distance(canvas):
    """A hazy skyline of roofs and trees that closes the view."""
    rng, camera, style = canvas.rng, canvas.camera, canvas.style
    x = -150.0
    while x < 150:
        wide = rng.uniform(5, 18)
        wood = rng.random() < 0.5
        colour = rng.choice(style.leaves if wood else style.walls)
        label = kinds.TREE if wood else kinds.BUILDING
        material = kinds.LEAVES if wood else kinds.PLAIN
        surface = canvas.surface(
            label, vary(rng, colour), material, (1 / FAR, 0, 0, 1 / camera.focal)
        )
        top = rng.uniform(4, 12)
        tops = [(x + wide * i / 6, top + rng.uniform(-1, 1) * wood) for i in range(7)]
        points = [(x, -6), *tops, (x + wide, -6)]
        across, up = np.array(points).T
        canvas.polygon(camera.project(across, up, FAR), surface)
        x += wide * 0.9


def _houses(canvas, plan, side):
    """Houses, gaps and side roads along one side, as (distance, function, arguments)."""
    rng = canvas.rng
    line = plan.line(side)
    roads = [(near, far) for s, near, far in plan.side_roads if s == side]
    open_side = plan.place == "square" and rng.random() < 0.6
    gap = {"street": 0.05, "suburb": 0.25, "avenue": 0.2, "square": 0.3, "junction": 0.15}[
        plan.place
    ]
    stop = plan.end - plan.cross - (4 if plan.cross else 0)
    things, z = [], rng.uniform(-6, 0)
    while z < min(stop, 95):
        wide = rng.uniform(6, 15)
        road = next(((n, f) for n, f in roads if n - 2 < z + wide and z < f + 2), None)
        if road and z < road[0] - 4:
            wide, road = road[0] - 2 - z, None
        elif road:
            z = road[1] + 2
            continue
        wide = min(wide, stop - z + 2)
        if rng.random() < (0.85 if open_side else gap):
            things += [
                (z + wide, draw_tree, canvas, (side * (line + rng.uniform(1, 9)), max(z, 2) + d))
                for d in (rng.uniform(0, wide), rng.uniform(0, wide))
                if rng.random() < 0.75
            ]
        elif z + wide > 2:
            back = rng.uniform(0, 1.5) * (plan.place != "street")
            things.append(
                (z + wide, _draw_block, canvas, plan, side, line + back, max(z, 0.8), z + wide)
            )
        z += wide + (rng.uniform(0.5, 4) if plan.place == "suburb" else 0)
    return things


def _draw_block(canvas, plan, side, line, near, far):
    """One house along the road, with the side wall that looks towards the camera."""
    camera = canvas.camera
    house = House(canvas, low=plan.place == "suburb")
    start, end = ((camera.bend(side * line, z)[0], z) for z in (near, far))
    deep = (start[0] + side * house.depth, near)
    house_shadow(canvas, side, line, near, far, house.height)
    if near > 1:
        draw_gable(canvas, house, start, deep, (0.0, -1.0))
    draw_house(canvas, house, start, end, (-side, 0.0))


def _street_end(canvas, plan):
    """The houses across a T-junction, facing the camera."""
    rng, things, x = canvas.rng, [], -60.0
    z = plan.end + rng.uniform(2, 4)
    while x < 60:
        wide = rng.uniform(7, 14)
        if rng.random() < 0.85:
            side, _ = canvas.camera.bend(x, z)
            ends = (side, z), (side + wide, z)
            things.append((z, draw_house, canvas, House(canvas), *ends, (0.0, -1.0)))
        else:
            things.append((z, draw_tree, canvas, (x + wide / 2, z + 1)))
        x += wide
    return things


def _free(plan, side, z):
    """Whether no side road or crossing road is at distance z."""
    inside = any(s == side and near - 1 < z < far + 1 for s, near, far in plan.side_roads)
    return not inside and z < plan.end - plan.cross - 1


def _roadside(canvas, plan, side):
    """Lamps, signs, trees, fences and people on one pavement."""
    rng, style = canvas.rng, canvas.style
    kerb = plan.left if side < 0 else plan.right
    path = plan.paths[int(side > 0)]
    things = []

    def put(draw, x, z, *more):
        if _free(plan, side, z):
            things.append((z, draw, canvas, (side * x, z), *more))

    z, step = rng.uniform(5, 16), rng.uniform(14, 26)
    while z < 70:
        put(draw_lamp, kerb + 0.45, z)
        z += step
    for _ in range(rng.randrange(0, 4)):
        put(draw_sign, kerb + rng.uniform(0.4, 0.8), rng.uniform(5, 40))
    if plan.cross or plan.side_roads or rng.random() < 0.3:
        put(draw_signal, kerb + 0.4, rng.uniform(7, 30))
    if rng.random() < 0.2:
        z = rng.uniform(4, 10)
        for i in range(6):
            put(draw_bollard, kerb + 0.3, z + 1.8 * i)
    if plan.place in ("street", "junction"):
        for _ in range(rng.randrange(0, 4)):
            put(draw_board, plan.line(side), rng.uniform(8, 45), side)
    wooded = plan.place == "avenue" or rng.random() < style.trees * 0.5
    z = rng.uniform(4, 12)
    while wooded and z < 70:
        put(draw_tree, kerb + rng.uniform(0.7, 1.1), z, rng.uniform(0.7, 1.15))
        z += rng.uniform(6, 14)
    for _ in range(int(rng.uniform(*style.people) / 2 + rng.random())):
        z = 5 + 40 * rng.random() ** 1.6
        put(draw_pedestrian, kerb + rng.uniform(0.4, path - 0.2), z)
    return things + _borders(canvas, plan, side, kerb, path)


def _borders(canvas, plan, side, kerb, path):
    """Fences and hedges: along gardens, and guard rails at the kerb."""
    rng, things = canvas.rng, []
    x = None
    if plan.setbacks[int(side > 0)] > 0.8 and rng.random() < 0.75:
        x, reach = side * (kerb + path + 0.05), (2.0, 60.0)
    elif rng.random() < 0.25:
        x, reach = side * (kerb + 0.25), (rng.uniform(3, 8), rng.uniform(12, 28))
    if x is None:
        return things
    garden = reach[1] == 60.0
    kind = rng.choice(("boards", "wall", "rails", "hedge")) if garden else "rails"
    palette = {
        "boards": ((120, 90, 64), (140, 120, 96), (90, 84, 78)), "wall": canvas.style.walls,
        "rails": ((40, 42, 44), (126, 130, 132), (52, 72, 60)), "hedge": canvas.style.leaves,
    }  # fmt: skip
    colour = vary(rng, rng.choice(palette[kind]))
    z = reach[0]
    while z < reach[1]:
        if _free(plan, side, z) and _free(plan, side, z + 4) and rng.random() < 0.9:
            if kind == "hedge":
                things.append((z + 4, draw_hedge, canvas, x, z, z + 4, rng.uniform(1.0, 1.3)))
            else:
                things.append((z + 4, draw_fence, canvas, x, z, z + 4, kind, colour))
        z += 4
    return things


def _traffic(canvas, plan):
    """Moving and parked cars, cyclists, people who cross."""
    rng, style, things = canvas.rng, canvas.style, []
    end = plan.end - plan.cross

    def put(draw, x, z, *more):
        if z < end - 2:
            things.append((z, draw, canvas, (x, z), *more))

    ahead, coming = rng.uniform(8, 26), rng.uniform(8, 24)
    for _ in range(round(rng.uniform(*style.traffic))):
        if rng.random() < 0.5:
            put(draw_car, rng.gauss(0, 0.25), ahead, rng.gauss(0, 0.02))
            ahead += rng.uniform(8, 22)
        else:
            lane = rng.uniform(
                plan.middle + 1.2, max(plan.middle + 1.3, plan.right - 3.2 * plan.parking[1] - 1)
            )
            put(draw_car, lane, coming, 3.1416 + rng.gauss(0, 0.03))
            coming += rng.uniform(8, 25)
    for (side, kerb, _), parked in zip(plan.pavements(), plan.parking, strict=True):
        z = rng.uniform(7, 15)
        while parked and z < 75:
            if rng.random() < 0.75 and _free(plan, side, z - 2.5) and _free(plan, side, z + 2.5):
                put(
                    draw_car,
                    side * (kerb - 1.05),
                    z,
                    rng.choice((0, 0, 3.1416)) + rng.gauss(0, 0.02),
                )
            z += rng.uniform(5.4, 7.5)
    if plan.cross and rng.random() < 0.6:
        z = end + plan.cross * rng.choice((0.3, 0.7))
        things.append((z, draw_car, canvas, (rng.uniform(-9, 9), z), rng.choice((-1, 1)) * 1.5708))
    for side, near, far in plan.side_roads:
        if rng.random() < 0.4:
            x = side * ((plan.left if side < 0 else plan.right) + rng.uniform(3, 9))
            put(draw_car, x, (near + far) / 2 + side, -side * 1.5708)
    for _ in range(round(rng.uniform(*style.cyclists))):
        z = 6 + 26 * rng.random() ** 1.5
        across = rng.random() < 0.25
        lane = 0.5 - plan.left + 1.9 * plan.parking[0]
        put(draw_cyclist, rng.uniform(-plan.left, plan.right) if across else lane, z, across)
    if rng.random() < 0.3:
        put(draw_pedestrian, rng.uniform(-plan.left, plan.right), rng.uniform(9, 30))
    return things


def _draw_hood(canvas):
    """The bonnet of the own car and what the windscreen mirrors: not labelled."""
    camera, rng = canvas.camera, canvas.rng
    w, h, rise = camera.width, camera.height, rng.uniform(0.02, 0.06)
    tone = mix(rng.choice(canvas.style.paints), (20, 20, 22), 0.5)
    surface = canvas.surface(kinds.VOID, tone, plane=(1.0, 0, 0, 0))
    arc = [(w * i / 12, h * (1 - rise * (1 - ((i - 6) / 7) ** 2))) for i in range(13)]
    canvas.polygon([(0, h + 2), *arc, (w, h + 2)], surface)
