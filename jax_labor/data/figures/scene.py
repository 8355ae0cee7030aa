"""Puts a figure before its background and renders both."""

import random

import numpy as np
from PIL import Image, ImageFilter

from jax_labor.data.figures.canvas import REACH, SUPER, Canvas
from jax_labor.data.figures.figure import Figure
from jax_labor.data.figures.people import draw_body, draw_pose
from jax_labor.data.figures.scenery import KINDS, draw_scenery
from jax_labor.data.figures.shapes import Frame
from jax_labor.data.figures.skeleton import pose_joints
from jax_labor.data.figures.wardrobe import draw_outfit
from jax_labor.errors import UserError

SMALLEST = 16
_TALL, _WIDE = 1.0, 0.62  # room a figure needs, in body heights


def render(seed, size):
    """Render one figure.

    Args:
      seed: a non-negative integer; equal arguments give equal bytes, in any process and order.
      size: (height, width) in pixels, each at least 16; what is drawn does not depend on it.

    Returns:
      The picture uint8[H, W, 3] and its labels uint8[H, W], train ids of class table `figures12`.

    Raises:
      UserError: for a seed or a size that does not exist.
    """
    height, width = size
    if min(height, width) < SMALLEST:
        raise UserError(
            f"figures cannot be rendered at {height}x{width}: use at least {SMALLEST}x{SMALLEST}"
        )
    if seed < 0:
        raise UserError(f"figures seed is {seed}: use a non-negative integer")
    rng = random.Random(f"figures/{int(seed)}")
    light = rng.choice((-1, 1)) * rng.uniform(0.25, 1.0)
    tall, off, foot = rng.uniform(0.8, 0.88), rng.gauss(0, 0.02), rng.uniform(0.045, 0.075)
    scale = min(tall * height / _TALL, tall * width / _WIDE)
    centre = (width * 0.5 + off * scale, height - (height - scale) * 0.5 * foot / 0.06)
    canvas = _draw_figure(rng, size, scale, centre, light)
    pixels, cover, label = canvas.finish()
    kind = rng.choices(KINDS, (0.4, 0.35, 0.25))[0]
    horizon = centre[1] - rng.uniform(0.1, 0.24) * scale
    scenery = draw_scenery(rng, size, horizon, kind)
    back = _with_shadow(rng, scenery, cover, centre, scale, light)
    return _expose(rng, _compose(back, pixels, cover)), label


def _draw_figure(rng, size, scale, centre, light):
    curves = min(max(rng.choice((rng.gauss(0.1, 0.15), rng.gauss(0.85, 0.15))), 0.0), 1.0)
    body, pose = draw_body(rng, curves), draw_pose(rng)
    joints = pose_joints(body, pose)
    foot = tuple(round(SUPER * c, 3) for c in centre)
    frame = Frame(
        (size[0] * SUPER, size[1] * SUPER), scale * SUPER, foot, margin=REACH * scale * SUPER + 1
    )
    canvas = Canvas(frame, light)
    Figure(canvas, body, pose, joints, draw_outfit(rng, curves), rng).draw()
    return canvas


def _with_shadow(rng, scenery, cover, centre, scale, light):
    """The background darkened by the shadow that the figure casts on the ground behind it."""
    x, y = centre[0], centre[1] - 0.01 * scale
    flat, slant = rng.uniform(0.1, 0.22), -light * rng.uniform(0.25, 0.6)
    # output (u, v) looks up the figure at height (y - v) / flat, sheared sideways
    lookup = (1, slant / flat, -slant / flat * y, 0, 1 / flat, y - y / flat)
    cast = cover.transform(cover.size, Image.Transform.AFFINE, lookup, Image.Resampling.BILINEAR)
    cast = cast.filter(ImageFilter.GaussianBlur(0.012 * scale))
    rows, columns = np.mgrid[: cover.height, : cover.width].astype(np.float32) + np.float32(0.5)
    across = (columns - np.float32(x)) / np.float32(0.17 * scale)
    down = (rows - np.float32(y)) / np.float32(0.035 * scale)
    pool = np.maximum(1 - (across * across + down * down), 0)
    strength = np.float32(rng.uniform(0.2, 0.5) / 255)
    shade = (1 - strength * np.asarray(cast, np.float32)) * (1 - np.float32(0.35) * pool)
    return np.asarray(scenery, np.float32) * shade[..., None]


def _compose(back, pixels, cover):
    """The figure, premultiplied by its cover, before the background."""
    free = 1 - np.asarray(cover, np.float32) / 255
    return back * free[..., None] + pixels


def _expose(rng, picture):
    """What the camera makes of it: gain, tint, contrast and a little grain."""
    gain, contrast = rng.uniform(0.9, 1.08), rng.uniform(0.92, 1.06)
    tint = np.array([gain * rng.uniform(0.97, 1.03) for _ in range(3)], np.float32)
    picture = (picture * tint - 128) * np.float32(contrast) + 128
    words = -(-picture.size // 4)
    raw = np.random.PCG64(rng.getrandbits(64)).random_raw(words).view(np.uint16)[: picture.size]
    grain = raw.astype(np.float32) / np.float32(32767.5) - 1
    picture = picture + grain.reshape(picture.shape) * np.float32(rng.uniform(1.0, 4.0))
    return np.clip(picture + np.float32(0.5), 0, 255).astype(np.uint8)
