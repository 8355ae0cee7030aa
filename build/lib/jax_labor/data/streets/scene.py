"""Puts a street together and renders it."""

import random

import numpy as np

from jax_labor.data.streets import kinds
from jax_labor.data.streets.blocks import houses, street_end
from jax_labor.data.streets.camera import Camera
from jax_labor.data.streets.canvas import SUPER, Canvas
from jax_labor.data.streets.ground import FAR, draw_ground
from jax_labor.data.streets.paint import Sun, mix, vary
from jax_labor.data.streets.plan import make_plan
from jax_labor.data.streets.roadside import roadside, traffic
from jax_labor.data.streets.shading import develop
from jax_labor.data.streets.styles import get_style
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
        things += houses(canvas, plan, side)
        things += roadside(canvas, plan, side)
    things += traffic(canvas, plan)
    if plan.cross:
        things += street_end(canvas, plan)
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


def _draw_hood(canvas):
    """The bonnet of the own car and what the windscreen mirrors: not labelled."""
    camera, rng = canvas.camera, canvas.rng
    w, h, rise = camera.width, camera.height, rng.uniform(0.02, 0.06)
    tone = mix(rng.choice(canvas.style.paints), (20, 20, 22), 0.5)
    surface = canvas.surface(kinds.VOID, tone, plane=(1.0, 0, 0, 0))
    arc = [(w * i / 12, h * (1 - rise * (1 - ((i - 6) / 7) ** 2))) for i in range(13)]
    canvas.polygon([(0, h + 2), *arc, (w, h + 2)], surface)
