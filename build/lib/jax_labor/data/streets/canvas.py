"""The picture while it is drawn: one buffer of surface numbers from which all else follows.

Every polygon is painted once, as the number of its surface; colour, class, depth and texture are
looked up from that number afterwards. So image and label cannot drift apart.
"""

import math

import numpy as np
from PIL import Image, ImageDraw

from jax_labor.data.streets import kinds, textures

SUPER = 2
# how much the sky escapes the dimming of what it lights
SKY_GLOW = 0.85


class Canvas:
    """Buffers at SUPER times the size of the wanted picture."""

    def __init__(self, camera, style, light, rng):
        """`camera` works in the pixels of this canvas; `rng` is a random.Random for looks."""
        self.camera, self.style, self.light, self.rng = camera, style, light, rng
        size = (camera.width, camera.height)
        self.ids = Image.new("I", size, 0)
        self.behind = Image.new("I", size, 0)
        self.shadows = Image.new("L", (size[0] // SUPER, size[1] // SUPER), 0)
        self.halos = []
        self._draw = ImageDraw.Draw(self.ids)
        self._shade = ImageDraw.Draw(self.shadows)
        self.rows = [(kinds.SKY, (255, 255, 255), kinds.PLAIN, SKY_GLOW, False, (0.0, 0, 0, 0))]

    def surface(self, label, colour, material=kinds.PLAIN, plane=None, glow=0.0):
        """A new surface and its number; without a plane it lies on the ground.

        `glow` of 1 shines by itself, whatever the light and the exposure.
        """
        self.rows.append((label, colour, material, glow, plane is None, plane or (0, 0, 0, 0)))
        return len(self.rows) - 1

    def polygon(self, points, surface):
        """Paint pixels [N, 2] (array or nested list) with a surface."""
        flat = np.asarray(points).reshape(-1).tolist()
        self._draw.polygon(flat, fill=surface)

    def veil(self, points, label, twigs=None):
        """Label a region without hiding what lies behind it (railings, bare crowns, wheels).

        `twigs`, if given, is (surface, metres per pixel): that surface fills a fine random part.
        """
        points = np.asarray(points)
        low, high = np.floor(points.min(0)), np.ceil(points.max(0)) + 1
        limit = (self.camera.width, self.camera.height)
        box = [int(min(max(w, 0), m)) for w, m in zip((*low, *high), limit * 2, strict=True)]
        if box[0] >= box[2] or box[1] >= box[3]:
            return
        front, back = np.asarray(self.ids.crop(box)), np.asarray(self.behind.crop(box))
        seen = np.where(front < 0, back, front).astype(np.int32)
        if twigs:
            surface, grain = twigs
            texel = [
                (np.arange(low, high) * (grain * textures.PER_METRE)).astype(np.intp)
                % textures.SIZE
                for low, high in zip(box[:2], box[2:], strict=True)
            ]
            dense = textures.reliefs()[kinds.LEAVES][np.ix_(texel[1], texel[0])] > 0.5
            seen = np.where(dense, np.int32(surface), seen)
        self.behind.paste(Image.fromarray(seen), box[:2])
        self.polygon(points, -1 - label)

    def parts(self, place, parts, heading=0.0):
        """Paint the polygons of an object that stands at road point `place` = (x, z).

        parts: list of (points, surface), points (ahead, across, up) in metres from its foot, or
        (across, up) for something flat that faces the camera; surface None means a veil, which
        then reads (points, None, label[, twigs]).
        """
        side, ground = self.camera.bend(*place)
        points = [p if len(p) == 3 else (0.0, *p) for part in parts for p in part[0]]
        ahead, across, up = np.array(points).T
        cos, sin = math.cos(heading), math.sin(heading)
        x, z = side + across * cos + ahead * sin, place[1] + ahead * cos - across * sin
        pixels = self.camera.pinhole(x, up + ground, z).reshape(-1).tolist()
        start = 0
        for part in parts:
            stop = start + 2 * len(part[0])
            if part[1] is None:
                self.veil(np.reshape(pixels[start:stop], (-1, 2)), *part[2:])
            else:
                self._draw.polygon(pixels[start:stop], fill=part[1])
            start = stop

    def upright(self, place):
        """The plane of something flat at road point (x, z) that faces the camera."""
        side, _ = self.camera.bend(*place)
        return self.camera.plane((side - 1, place[1]), (side + 1, place[1]))

    def shadow(self, points, strength=1.0):
        """Darken the ground under pixels [N, 2]; overlapping shadows do not add up."""
        flat = (np.asarray(points) / SUPER).reshape(-1).tolist()
        self._shade.polygon(flat, fill=int(255 * strength))

    def halo(self, place, height, radius, colour):
        """A glow around a light at road point (x, z) and `height`; `radius` in metres."""
        u, v = self.camera.project(place[0], height, place[1]).tolist()
        self.halos.append((u, v, radius * self.camera.scale(place[1]), colour))

    def table(self):
        """Columns of the surfaces: labels, colours [N, 3], materials, glows, grounds, planes."""
        labels, colours, materials, glows, grounds, planes = zip(*self.rows, strict=True)
        return (
            np.array(labels, np.uint8),
            np.clip(np.array(colours), 0, 255).astype(np.uint8),
            np.array(materials, np.intp),
            np.array(glows, np.float32),
            np.array(grounds, bool),
            np.array(planes, np.float32),
        )
