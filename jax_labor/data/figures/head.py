"""Head, face, hair and hat."""

import math

import numpy as np

from jax_labor.data.figures import parts
from jax_labor.data.figures.cloth import Cloth
from jax_labor.data.figures.shapes import ellipse, limb, panel

RADIUS_X, RADIUS_Y = 0.046, 0.062


class _Head:
    """Centre and radii of the head, and the way it looks (-1 left to 1 right)."""

    def __init__(self, figure):
        self.x, self.y = figure.joints.head[:2]
        size = figure.body.head
        self.rx, self.ry = RADIUS_X * size, RADIUS_Y * size
        self.look = math.sin(figure.pose.yaw + figure.pose.nod)
        self.face_x = self.x + 0.2 * self.rx * self.look
        self.crown = self.y + 0.12 * self.ry


def draw_long_hair(figure):
    """Hair that falls behind the neck and the shoulders; drawn before the trunk."""
    head, cut = _Head(figure), figure.outfit.hair_cut
    ends = {"bob": 1.25, "long": 2.5, "tail": 2.2}
    if cut not in ends:
        return
    wide = {"bob": 1.12, "long": 1.2, "tail": 0.35}[cut]
    x = head.x - head.look * (0.25 if cut != "tail" else 1.1) * head.rx
    end = (x, head.y - ends[cut] * head.ry)
    shape = limb(figure.frame, [(x, head.y), end], [wide * head.rx, wide * head.rx * 0.85])
    figure.canvas.paint(shape, parts.HAIR, figure.outfit.hair)


def draw_head(figure):
    """Skull with hair, face, features, fringe and hat."""
    head, canvas, outfit = _Head(figure), figure.canvas, figure.outfit
    swell = {"curls": 1.42, "bob": 1.2, "long": 1.14}.get(outfit.hair_cut, 1.08)
    back = head.x - 0.16 * head.rx * head.look
    if outfit.hair_cut == "bun":
        bun = (back - 0.5 * head.look * head.rx, head.y + 1.15 * head.ry)
        canvas.paint(
            ellipse(figure.frame, bun, 0.5 * head.rx, 0.42 * head.ry), parts.HAIR, outfit.hair
        )
    hair = ellipse(figure.frame, (back, head.crown), head.rx * swell, head.ry * (swell + 1) / 2)
    canvas.paint(hair, parts.HAIR, outfit.hair)
    face = ellipse(
        figure.frame, (head.face_x, head.y - 0.1 * head.ry), head.rx * 0.87, head.ry * 0.93
    )
    if face is not None:
        canvas.paint(face, parts.FACE, outfit.skin, contact=0.15)
        _draw_features(figure, head)
        _draw_fringe(figure, head)
    _draw_hat(figure, head)


def draw_locks(figure):
    """Long hair that falls over the front of the shoulders."""
    if figure.outfit.hair_cut != "long":
        return
    head = _Head(figure)
    for side in (-1, 1):
        top = (head.x + side * 0.95 * head.rx, head.y + 0.1 * head.ry)
        end = (head.x + side * 1.15 * head.rx, head.y - 2.1 * head.ry)
        shape = limb(figure.frame, [top, end], [0.3 * head.rx, 0.24 * head.rx])
        figure.canvas.paint(shape, parts.HAIR, figure.outfit.hair)


def _draw_features(figure, head):
    """Eyes, brows, nose and mouth: part of the face, darker than the skin."""
    skin = figure.outfit.skin.colour
    dark = Cloth(tuple(0.3 * c for c in skin))
    lip = Cloth((0.72 * skin[0], 0.5 * skin[1], 0.5 * skin[2]))
    shift = head.face_x + 0.3 * head.rx * head.look
    narrow = 1 - 0.3 * abs(head.look)
    for side in (-1, 1):
        x = shift + side * 0.36 * head.rx * narrow
        for up, width, height in ((-0.02, 0.13, 0.065), (0.14, 0.19, 0.035)):
            shape = ellipse(
                figure.frame, (x, head.y + up * head.ry), width * head.rx, height * head.ry
            )
            figure.canvas.paint(shape, parts.FACE, dark, contact=0)
    nose = ellipse(figure.frame, (shift, head.y - 0.25 * head.ry), 0.09 * head.rx, 0.06 * head.ry)
    figure.canvas.paint(nose, parts.FACE, Cloth(tuple(0.8 * c for c in skin)), contact=0)
    mouth = ellipse(figure.frame, (shift, head.y - 0.55 * head.ry), 0.25 * head.rx, 0.07 * head.ry)
    figure.canvas.paint(mouth, parts.FACE, lip, contact=0)


def _draw_fringe(figure, head):
    """The hairline: the upper part of the face is hair, lower on one side."""
    face = ellipse(figure.frame, (head.face_x, head.y - 0.1 * head.ry), head.rx * 0.95, head.ry)
    line = 0.34 if figure.outfit.hair_cut in ("short", "bun", "tail") else 0.26
    up = np.float32(head.y + line * head.ry) + face.along - np.float32(head.y - 0.1 * head.ry)
    slope = np.float32(0.16 * head.ry) * face.across
    face.keep((up + slope) * np.float32(figure.frame.scale))
    figure.canvas.paint(face, parts.HAIR, figure.outfit.hair, contact=0.2)


def _draw_hat(figure, head):
    cut, hat, frame = figure.outfit.hat_cut, figure.outfit.hat, figure.frame
    if cut == "none":
        return
    rx, ry = head.rx * 1.14, head.ry
    dome = ellipse(frame, (head.x, head.y + 0.35 * ry), rx, 0.95 * ry)
    # only the part above the brim
    brim = head.y + (0.36 if cut == "brim" else 0.3) * ry
    below = np.float32(brim - (head.y + 0.35 * ry)) + dome.along
    dome.keep(below * np.float32(frame.scale))
    figure.canvas.paint(dome, parts.HAT, hat)
    if cut == "brim":
        shape = ellipse(frame, (head.x, brim), 1.75 * rx, 0.2 * ry)
        figure.canvas.paint(shape, parts.HAT, hat)
    elif cut == "cap":
        shape = ellipse(frame, (head.x + 0.75 * rx * head.look, brim), 0.95 * rx, 0.15 * ry)
        figure.canvas.paint(shape, parts.HAT, hat)
    else:
        shape = panel(frame, head.x - rx, brim - 0.02, head.x + rx, brim + 0.012, 0.008)
        figure.canvas.paint(shape, parts.HAT, hat)
