"""Everything flat: roads, markings, pavements, kerbs, verges."""

import numpy as np

from jax_labor.data.streets import kinds
from jax_labor.data.streets.paint import shade, vary

FAR = 140.0
START = 1.2


def strip(camera, left, right, near, far, steps=14):
    """Pixels [2 * steps, 2] of the ground between two sides, road metres; finer where nearer."""
    z = 1 / np.linspace(1 / max(near, START), 1 / far, steps)
    x = np.repeat((float(left), float(right)), steps)
    return camera.project(x, 0.0, np.concatenate([z, z[::-1]]))


def lay(canvas, surface, left, right, near=START, far=FAR, steps=14):
    """Paint a strip of ground."""
    if far > max(near, START):
        canvas.polygon(strip(canvas.camera, left, right, near, far, steps), surface)


def draw_ground(canvas, plan):
    """Paint road, pavements and verges as the plan has them, then what is painted on the road."""
    rng, style = canvas.rng, canvas.style
    road = canvas.surface(kinds.ROAD, plan.asphalt, kinds.ASPHALT)
    paving = canvas.surface(kinds.PAVEMENT, plan.paving, kinds.SLABS)
    kerb = canvas.surface(kinds.PAVEMENT, vary(rng, shade(plan.paving, 1.15)))
    edge = canvas.surface(kinds.PAVEMENT, shade(plan.paving, 0.6))
    grass = canvas.surface(kinds.TREE, vary(rng, style.leaves[0], 0.2), kinds.GRASS)
    for side, open_ground in zip((-1, 1), plan.grassy, strict=True):
        lay(canvas, grass if open_ground else paving, side * 1.0, side * 150)
    for side, inner, width in plan.pavements():
        lay(canvas, paving, side * inner, side * (inner + width), far=plan.end)
        lay(canvas, kerb, side * inner, side * (inner + 0.22), far=plan.end)
        lay(canvas, edge, side * (inner - 0.07), side * inner, far=min(40, plan.end))
    lay(canvas, road, -plan.left + 0.05, plan.right - 0.05, far=plan.end)
    for side, near, far in plan.side_roads:
        inner = plan.left if side < 0 else plan.right
        lay(canvas, kerb, side * (inner - 0.1), side * 90, near - 0.2, far + 0.4, 6)
        lay(canvas, road, side * (inner - 0.1), side * 90, near, far, 6)
    if plan.cross:
        lay(canvas, kerb, -150, 150, plan.end - plan.cross - 0.2, plan.end + 0.5, 6)
        lay(canvas, road, -150, 150, plan.end - plan.cross, plan.end, 6)
    _draw_wear(canvas, plan)
    _draw_markings(canvas, plan)


def _draw_wear(canvas, plan):
    """Patches, covers and darker gutters: still road, but not of one colour."""
    rng = canvas.rng
    for _ in range(rng.randrange(1, 5)):
        x, z = rng.uniform(-plan.left, plan.right - 1.5), rng.uniform(2, 30)
        patch = canvas.surface(kinds.ROAD, vary(rng, plan.asphalt, 0.25), kinds.ASPHALT)
        lay(
            canvas,
            patch,
            x,
            min(x + rng.uniform(0.5, 2.5), plan.right - 0.1),
            z,
            z + rng.uniform(0.5, 9),
            5,
        )
    for side, inner, width in plan.pavements():
        if rng.random() < 0.5:
            z = rng.uniform(3, 20)
            patch = canvas.surface(kinds.PAVEMENT, vary(rng, plan.paving, 0.25), kinds.ASPHALT)
            lay(
                canvas,
                patch,
                side * (inner + 0.3),
                side * (inner + width),
                z,
                z + rng.uniform(2, 12),
                5,
            )


def _draw_markings(canvas, plan):
    """Centre line, edge lines, a crossing, an arrow."""
    rng = canvas.rng
    white = canvas.surface(kinds.ROAD, vary(rng, shade((226, 226, 220), plan.fresh)), kinds.ASPHALT)
    yellow = canvas.surface(kinds.ROAD, shade((214, 180, 80), plan.fresh), kinds.ASPHALT)
    end = plan.end - plan.cross
    centre, phase = plan.middle, rng.uniform(0, 4)
    dash, gap = rng.choice(((2, 4), (4, 2), (3, 3)))
    while phase < min(end, 60):
        lay(canvas, white, centre - 0.07, centre + 0.07, phase, phase + dash, 3)
        phase += dash + gap
    if rng.random() < 0.45:
        for side, x in ((-1, plan.left), (1, plan.right)):
            for offset in (0.35, 0.6)[: rng.randrange(1, 3)]:
                lay(
                    canvas,
                    yellow,
                    side * (x - offset),
                    side * (x - offset - 0.09),
                    1.2,
                    min(end, 60),
                    8,
                )
    if rng.random() < 0.3:
        _draw_crossing(canvas, plan, white, rng.uniform(5, 16))
    elif rng.random() < 0.35:
        _draw_arrow(canvas, white, rng.uniform(4.5, 9))
    if plan.cross:
        lay(canvas, white, -plan.left + 0.2, centre, end - 1.2, end - 0.8, 3)


def _draw_crossing(canvas, plan, white, z):
    x = -plan.left + 0.4
    while x < plan.right - 0.5:
        lay(canvas, white, x, x + 0.5, z, z + 2.4, 3)
        x += 1.0


def _draw_arrow(canvas, white, z):
    lay(canvas, white, -0.1, 0.1, z, z + 2.2, 3)
    tip = np.array([(-0.35, z + 2), (0.35, z + 2), (0, z + 3.6)])
    canvas.polygon(canvas.camera.project(tip[:, 0], np.zeros(3), tip[:, 1]), white)


def foot_shadow(canvas, place, wide, deep, strength=1.0):
    """The dark under an object: a flat ellipse around road point (x, z)."""
    turn = np.linspace(0, 2 * np.pi, 13)[:-1]
    x, z = place[0] + wide * np.cos(turn), place[1] + deep * np.sin(turn)
    canvas.shadow(canvas.camera.project(x, np.zeros(12), z), strength)


def cast_shadow(canvas, place, wide, height):
    """The long shadow of an upright thing, away from the sun."""
    sun = canvas.light
    reach = -0.9 * height
    x = np.array([-wide, wide, wide, -wide]) / 2 + place[0] + np.array([0, 0, 1, 1]) * sun.x * reach
    z = place[1] + np.array([0, 0, 1, 1]) * sun.z * reach
    canvas.shadow(canvas.camera.project(x, np.zeros(4), np.maximum(z, START)), 0.8)


def house_shadow(canvas, side, line, near, far, height):
    """The shadow of a house front at distance `line` beside the road, when the sun is behind it."""
    reach = 0.6 * height * canvas.light.x * side
    if reach > 0.5:
        x = side * np.array([line, line, line - reach, line - reach])
        z = np.array([near, far, far, near])
        canvas.shadow(canvas.camera.project(x, 0.0, np.maximum(z, START)), 0.8)
