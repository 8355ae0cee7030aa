"""Houses: a wall in perspective with its windows, doors, shops, roof and gable."""

import math

import numpy as np

from jax_labor.data.streets import kinds
from jax_labor.data.streets.paint import mix, shade, vary


class House:
    """The looks of one house, drawn at random from the style."""

    def __init__(self, canvas, low=False):
        """`low` for cottages and garages: at most two storeys."""
        rng, style = canvas.rng, canvas.style
        self.wall = vary(rng, rng.choice(style.walls), 0.15)
        self.material = rng.choice(style.wall_materials)
        self.storey = rng.uniform(2.7, 3.4)
        least, most = style.storeys
        self.storeys = rng.randint(least, min(most, 2) if low else most)
        self.shop = not low and rng.random() < 0.5
        self.height = self.storey * self.storeys + (0.9 if self.shop else 0.3)
        self.bay = rng.uniform(2.0, 3.6)
        self.window = (rng.uniform(0.35, 0.6) * self.bay, rng.uniform(0.45, 0.65) * self.storey)
        self.trim = vary(rng, rng.choice(((236, 234, 226), (90, 88, 86), shade(self.wall, 0.7))))
        self.roof = vary(rng, rng.choice(style.roofs), 0.15)
        self.pitch = rng.choice((0.0, rng.uniform(1.5, 3.2))) if not low else rng.uniform(1.6, 3)
        self.depth = rng.uniform(7, 10)
        self.glass = vary(rng, rng.choice(((70, 84, 100), (50, 54, 60), (120, 140, 160))), 0.2)


def draw_house(canvas, house, start, end, normal):
    """Draw a house front from straight-space (x, z) `start` to `end`, and its roof.

    `normal` is the outward (x, z) direction of the front.
    """
    rng, light = canvas.rng, canvas.light.face(*normal)
    front = _Front(canvas, start, end)
    plane = canvas.camera.plane(start, end, rng.uniform(0, 8))
    wall = canvas.surface(kinds.BUILDING, shade(house.wall, light), house.material, plane)
    if house.pitch:
        _draw_roof(canvas, house, front, normal, light)
    front.paint([(0, front.length, -0.3, house.height, wall)])
    front.paint(_details(canvas, house, front.length, plane, light))


def draw_gable(canvas, house, start, end, normal):
    """Draw the bare side wall of a house between two straight-space points."""
    light = canvas.light.face(*normal)
    front = _Front(canvas, start, end)
    plane = canvas.camera.plane(start, end)
    wall = canvas.surface(kinds.BUILDING, shade(house.wall, light), house.material, plane)
    front.paint([(0, front.length, -0.3, house.height, wall)])
    if house.pitch:
        s = np.array([0, front.length / 2, front.length])
        front.polygon(s, np.array([house.height, house.height + house.pitch, house.height]), wall)
    if front.length > 5:
        house_bare = canvas.rng.random() < 0.5
        rects = _windows(canvas, house, front.length, plane, light, 0)
        front.paint(rects[:: 3 if house_bare else 1])


class _Front:
    """An upright rectangle of wall on which things are placed by (s along, t up), in metres."""

    def __init__(self, canvas, start, end):
        self.canvas, self.start, self.end = canvas, start, end
        self.length = math.hypot(end[0] - start[0], end[1] - start[1])
        hill = canvas.camera.hill
        self.grounds = (hill * start[1] ** 2, hill * end[1] ** 2)

    def pixels(self, s, t):
        """Pixels [..., 2] of places on the wall."""
        share = np.asarray(s) / self.length
        x = self.start[0] + share * (self.end[0] - self.start[0])
        z = self.start[1] + share * (self.end[1] - self.start[1])
        ground = self.grounds[0] + share * (self.grounds[1] - self.grounds[0])
        return self.canvas.camera.pinhole(x, np.asarray(t) + ground, z)

    def polygon(self, s, t, surface):
        self.canvas.polygon(self.pixels(s, t), surface)

    def paint(self, rects):
        """Paint (s0, s1, t0, t1, surface) in order; those narrower than half a pixel are left."""
        if not rects:
            return
        corners = np.array([r[:4] for r in rects])
        pixels = self.pixels(corners[:, [0, 1, 1, 0]], corners[:, [2, 2, 3, 3]])
        extent = np.abs(pixels[:, 0] - pixels[:, 2]).min(1)
        for shown, points, rect in zip(extent > 0.5, pixels, rects, strict=True):
            if shown:
                self.canvas.polygon(points, rect[4])


def _glass(canvas, house, plane, light):
    """Three sorts of panes: dark, reflecting and, in the evening, lit."""
    rng, style = canvas.rng, canvas.style
    dark = canvas.surface(kinds.BUILDING, shade(house.glass, 0.9 * light), plane=plane)
    bright = canvas.surface(kinds.BUILDING, mix(house.glass, style.sky_low, 0.35), plane=plane)
    warm = rng.choice(((255, 206, 130), (250, 226, 176), (236, 190, 110)))
    lit = canvas.surface(kinds.BUILDING, warm, plane=plane, glow=0.75)
    return lambda: lit if rng.random() < style.lit_windows else rng.choice((dark, dark, bright))


def _windows(canvas, house, length, plane, light, first):
    """Rectangles of the windows from storey `first` up."""
    pane = _glass(canvas, house, plane, light)
    trim = canvas.surface(kinds.BUILDING, shade(house.trim, light), plane=plane)
    count = max(1, int(length / house.bay))
    step, (wide, high) = length / count, house.window
    rects = []
    for storey in range(first, house.storeys):
        foot = storey * house.storey + 0.9 + (0.6 if house.shop else 0)
        for bay in range(count):
            s = (bay + 0.5) * step - wide / 2
            rects.append((s - 0.1, s + wide + 0.1, foot - 0.16, foot + high + 0.1, trim))
            rects.append((s, s + wide, foot, foot + high, pane()))
            rects.append((s, s + wide, foot + high * 0.5, foot + high * 0.5 + 0.07, trim))
    return rects


def _details(canvas, house, length, plane, light):
    """Rectangles on a front: plinth or shop, windows, door, cornice."""
    rng = canvas.rng
    trim = canvas.surface(kinds.BUILDING, shade(house.trim, 0.9 * light), plane=plane)
    door = canvas.surface(
        kinds.BUILDING, vary(rng, rng.choice(canvas.style.paints), 0.3), plane=plane
    )
    rects = _windows(canvas, house, length, plane, light, 1 if house.shop else 0)
    if house.shop:
        rects += _shop(canvas, house, length, plane, light)
    else:
        s = rng.uniform(0.3, max(0.4, length - 1.6))
        rects += [(s - 0.15, s + 1.15, 0, 2.35, trim), (s, s + 1, 0, 2.2, door)]
    rects.append((0, length, house.height - 0.25, house.height, trim))
    return rects


def _shop(canvas, house, length, plane, light):
    """Rectangles of a shop front: its board, panes and door."""
    rng, style = canvas.rng, canvas.style
    board = canvas.surface(
        kinds.BUILDING, shade(vary(rng, rng.choice(style.paints)), light), plane=plane
    )
    frame = canvas.surface(kinds.BUILDING, shade(house.trim, 0.7 * light), plane=plane)
    pane = _glass(canvas, house, plane, light)
    panes = max(1, int(length / rng.uniform(1.8, 3.2)))
    rects = [(0.1, length - 0.1, 0, 2.6, frame), (0.1, length - 0.1, 2.6, 3.3, board)]
    step = length / panes
    rects += [(i * step + 0.2, (i + 1) * step - 0.1, 0.5, 2.45, pane()) for i in range(panes)]
    letters = canvas.surface(kinds.BUILDING, (232, 226, 210), plane=plane)
    s = 0.2 * length
    while s < 0.8 * length:
        wide = rng.uniform(0.15, 0.4)
        rects.append((s, s + wide, 2.78, 3.12, letters))
        s += wide + 0.12
    return rects


def _draw_roof(canvas, house, front, normal, light):
    """A roof leaning back from the eaves, with chimneys."""
    rng, up, back = canvas.rng, house.height + house.pitch, house.depth / 2
    slate = canvas.surface(
        kinds.BUILDING, shade(house.roof, 0.5 + 0.5 * light), plane=(0.03, 0, 0, 0)
    )
    ridge = [(p[0] - normal[0] * back, p[1] - normal[1] * back) for p in (front.start, front.end)]
    behind = _Front(canvas, *ridge)
    eaves = front.pixels(np.array([0, front.length]), np.full(2, house.height))
    top = behind.pixels(np.array([behind.length, 0]), np.full(2, up))
    canvas.polygon(np.concatenate([eaves, top]), slate)
    if rng.random() < 0.6:
        brick = canvas.surface(kinds.BUILDING, shade(house.wall, 0.75), plane=(0.03, 0, 0, 0))
        s = rng.uniform(0.5, max(0.6, front.length - 1.5))
        behind.paint([(s, s + 1, up - 1, up + 0.9, brick)])
