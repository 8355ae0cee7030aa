"""Trees in leaf and bare, conifers, hedges."""

import math

import numpy as np

from jax_labor.data.streets import kinds
from jax_labor.data.streets.ground import foot_shadow
from jax_labor.data.streets.paint import mix, shade, vary


def _ragged(rng, x, y, wide, high, count, rough):
    """The points of a blob with an uneven outline."""
    points = []
    for i in range(count):
        turn, reach = 2 * math.pi * i / count, 1 + rough * (2 * rng.random() - 1)
        points.append((x + wide * reach * math.cos(turn), y + high * reach * math.sin(turn)))
    return points


def draw_tree(canvas, place, size=1.0):
    """A tree at road point (x, z); `size` scales the usual 6 to 11 metres."""
    rng, style = canvas.rng, canvas.style
    height = size * rng.uniform(6, 11)
    plane = canvas.upright(place)
    bark = vary(rng, rng.choice(((92, 74, 56), (78, 72, 66), (104, 96, 84))), 0.2)
    trunk = canvas.surface(kinds.TREE, bark, kinds.BOARDS, plane)
    foot_shadow(canvas, place, 0.25 * height, 0.25 * height, 0.7)
    kind = rng.random()
    if kind < style.bare:
        _draw_bare(canvas, place, height, trunk)
    elif kind < style.bare + 0.15:
        _draw_conifer(canvas, place, height, trunk, plane)
    else:
        _draw_leafy(canvas, place, height, trunk, plane)


def _trunk(rng, height, top, surface):
    wide, lean = 0.028 * height * rng.uniform(0.6, 1.2), rng.uniform(-0.25, 0.25)
    points = [(-wide / 2, 0), (wide / 2, 0), (lean + wide * 0.35, top), (lean - wide * 0.35, top)]
    return points, surface


def _draw_leafy(canvas, place, height, trunk, plane):
    """A crown of overlapping blobs, darker below and lighter towards the sun."""
    rng = canvas.rng
    leaf = vary(rng, rng.choice(canvas.style.leaves), 0.25)
    tones = [
        canvas.surface(kinds.TREE, shade(leaf, k), kinds.LEAVES, plane) for k in (0.6, 0.85, 1.15)
    ]
    wide, middle = height * rng.uniform(0.24, 0.36), height * 0.64
    parts = [_trunk(rng, height, middle, trunk)]
    parts.append((_ragged(rng, 0, middle, wide, height * 0.33, 22, 0.14), tones[0]))
    for tone in (0, 1, 1, 1, 2, 2):
        x, y = rng.uniform(-0.6, 0.6) * wide, rng.uniform(-0.5, 0.6) + 0.35 * (tone - 0.7)
        r = rng.uniform(0.35, 0.55)
        x += 0.25 * wide * canvas.light.x * (tone == 2)
        blob = _ragged(rng, x, middle + y * 0.3 * height, r * wide, r * 0.3 * height, 13, 0.2)
        parts.append((blob, tones[tone]))
    canvas.parts(place, parts)


def _draw_conifer(canvas, place, height, trunk, plane):
    rng = canvas.rng
    needle = vary(rng, mix(rng.choice(canvas.style.leaves), (20, 50, 40), 0.6), 0.2)
    parts = [_trunk(rng, height, height * 0.3, trunk)]
    for tier in range(4):
        foot, wide = height * (0.12 + 0.2 * tier), height * (0.2 - 0.042 * tier)
        tone = canvas.surface(kinds.TREE, shade(needle, 0.75 + 0.12 * tier), kinds.LEAVES, plane)
        skirt = [(wide * (i / 4 - 1), foot + rng.uniform(-0.2, 0.2)) for i in range(9)]
        parts.append(([*skirt, (0, foot + height * 0.36)], tone))
    canvas.parts(place, parts)


def _draw_bare(canvas, place, height, trunk):
    """Branches; the whole crown is labelled, and the sky shows through it."""
    rng = canvas.rng
    hull = _ragged(rng, 0, height * 0.66, height * 0.27, height * 0.3, 18, 0.1)
    plane, bark = canvas.upright(place), vary(rng, (84, 74, 64), 0.2)
    twig = canvas.surface(kinds.TREE, bark, kinds.PLAIN, plane)
    brush = canvas.surface(kinds.TREE, shade(bark, 1.15), kinds.PLAIN, plane)
    parts = [(hull, None, kinds.TREE, (brush, 1 / canvas.camera.scale(place[1])))]
    parts.append(_trunk(rng, height, height * 0.4, trunk))
    depth = 4 - sum(place[1] > reach for reach in (18, 40))
    _grow(rng, parts, twig, 0.0, height * 0.3, math.pi / 2, height * 0.25, height * 0.022, depth)
    canvas.parts(place, parts)


def _grow(rng, parts, surface, x, y, angle, length, wide, depth):
    """Add a branch and, from its end, thinner ones."""
    tip = (x + length * math.cos(angle), y + length * math.sin(angle))
    across = (-math.sin(angle) * wide / 2, math.cos(angle) * wide / 2)
    parts.append(
        (
            [
                (x + across[0], y + across[1]),
                (x - across[0], y - across[1]),
                (tip[0] - across[0] * 0.6, tip[1] - across[1] * 0.6),
                (tip[0] + across[0] * 0.6, tip[1] + across[1] * 0.6),
            ],
            surface,
        )
    )
    if depth > 0:
        for turn in (-0.55, 0.05, 0.6):
            bent = angle + turn + 0.4 * (rng.random() - 0.5)
            scale = 0.62 + 0.2 * rng.random()
            _grow(
                rng,
                parts,
                surface,
                *tip,
                bent,
                length * scale,
                wide * 0.6,
                depth - 1 - (turn == 0.05),
            )


def draw_hedge(canvas, x, near, far, height):
    """A clipped hedge along the road at sideways place x."""
    rng, camera = canvas.rng, canvas.camera
    start, end = camera.bend(x, near), camera.bend(x, far)
    plane = camera.plane((start[0], near), (end[0], far))
    leaf = vary(rng, rng.choice(canvas.style.leaves), 0.2)
    light = canvas.light.face(-1.0 if x > 0 else 1.0, 0.0)
    side = canvas.surface(kinds.TREE, shade(leaf, 0.8 * light), kinds.LEAVES, plane)
    corners = [(x, 0, near), (x, 0, far), (x, height, far), (x, height, near)]
    canvas.polygon(camera.project(*np.array(corners).T), side)
