"""Cars, vans and buses as bodies with a cabin, drawn from any side."""

import dataclasses
import math

from jax_labor.data.streets import kinds
from jax_labor.data.streets.furniture import disc
from jax_labor.data.streets.ground import foot_shadow
from jax_labor.data.streets.paint import mix, shade, vary


@dataclasses.dataclass(frozen=True)
class Shape:
    """Metres; `cabin` holds the rear foot, rear top, front top and front foot of the cabin as
    fractions of the length, `bonnet` the height of the bonnet as a fraction of the belt."""

    length: float
    width: float
    height: float
    belt: float
    bonnet: float
    cabin: tuple[float, float, float, float]


SHAPES = (
    (4, Shape(3.8, 1.7, 1.48, 0.92, 0.85, (0.02, 0.12, 0.55, 0.76))),
    (3, Shape(4.5, 1.78, 1.42, 0.9, 0.88, (0.14, 0.28, 0.58, 0.76))),
    (2, Shape(4.5, 1.78, 1.5, 0.92, 0.88, (0.01, 0.06, 0.58, 0.77))),
    (1, Shape(4.6, 1.85, 1.8, 1.05, 0.9, (0.01, 0.05, 0.58, 0.78))),
    (1.4, Shape(5.2, 2.0, 2.25, 1.15, 0.95, (0.0, 0.01, 0.72, 0.88))),
    (0.7, Shape(9.5, 2.5, 3.1, 1.25, 1.0, (0.0, 0.0, 0.99, 1.0))),
)


def draw_car(canvas, place, heading):
    """A vehicle with its middle at road point (x, z); heading 0 drives away from the camera.

    `heading` is in radians, positive to the right.
    """
    rng = canvas.rng
    shape = rng.choices([s for _, s in SHAPES], [w for w, _ in SHAPES])[0]
    if shape.length > 6 and place[1] < 14:
        shape = SHAPES[0][1]
    heading += 2 * canvas.camera.curve * place[1]
    car = _Car(canvas, shape, place, heading)
    stretch = abs(math.cos(heading)) * shape.length / 2, abs(math.sin(heading)) * shape.length / 2
    wide = shape.width / 2
    foot_shadow(canvas, place, max(stretch[1], wide) * 1.15, max(stretch[0], wide) * 1.1)
    canvas.parts(place, car.parts(), heading)


class _Car:
    """Collects the polygons of one vehicle in painter's order."""

    def __init__(self, canvas, shape, place, heading):
        self.canvas, self.shape = canvas, shape
        rng, style = canvas.rng, canvas.style
        self.paint = vary(rng, rng.choice(style.paints), 0.12)
        self.plane = canvas.upright(place)
        cos, sin = math.cos(heading), math.sin(heading)
        x, _ = canvas.camera.bend(*place)
        # where the camera is, seen from the vehicle
        self.eye = (-place[1] * cos - x * sin, place[1] * sin - x * cos)
        self.light = {
            "ahead": canvas.light.face(sin, cos), "behind": canvas.light.face(-sin, -cos),
            "right": canvas.light.face(cos, -sin), "left": canvas.light.face(-cos, sin),
        }  # fmt: skip
        self.on = rng.random() < style.lamps

    def _face(self, colour, light=1.0, glow=0.0):
        return self.canvas.surface(kinds.CAR, shade(colour, light), plane=self.plane, glow=glow)

    def parts(self):
        """All visible polygons, far ones first."""
        half, wide = self.shape.length / 2, self.shape.width / 2
        sides = [s for s in (-1, 1) if self.eye[1] * s > wide]
        ends = [e for e in (-1, 1) if self.eye[0] * e > half]
        parts = self._underside(half, wide)
        for side in sides:
            parts += self._side(side)
        parts += self._deck()
        for end in ends:
            parts += self._end(end)
        parts += self._roof()
        for side in sides:
            parts += self._cabin_side(side)
        for end in ends:
            parts += self._screen(end)
        return parts

    def _underside(self, half, wide):
        dark = self._face((22, 22, 24))
        parts = []
        for a in (-0.97 * half, 0.97 * half):
            spans = [(-0.96, 0.96, 0.17, 0.4), (-0.96, -0.74, 0, 0.4), (0.74, 0.96, 0, 0.4)]
            for y0, y1, h0, h1 in spans:
                y0, y1 = y0 * wide, y1 * wide
                parts.append(([(a, y0, h0), (a, y1, h0), (a, y1, h1), (a, y0, h1)], dark))
        for side in (-0.97, 0.97):
            y = side * wide
            parts.append(
                ([(-half, y, 0.17), (half, y, 0.17), (half, y, 0.4), (-half, y, 0.4)], dark)
            )
        return parts

    def _along(self, fraction):
        return (fraction - 0.5) * self.shape.length

    def _side(self, side):
        shape, y = self.shape, side * self.shape.width / 2
        light = self.light["right" if side > 0 else "left"]
        c0, _, _, c3 = (self._along(c) for c in shape.cabin)
        half, nose = shape.length / 2, shape.belt * shape.bonnet
        body = [(-half, 0.3), (-half * 1.0, shape.belt * 0.93), (c0, shape.belt), (c3, shape.belt),
                (half * 0.97, nose * 0.93), (half, nose * 0.7), (half, 0.3)]  # fmt: skip
        low = [(-half, 0.28), (half, 0.28), (half, 0.45), (-half, 0.45)]
        parts = [
            ([(a, y, h) for a, h in body], self._face(self.paint, 0.88 * light)),
            ([(a, y, h) for a, h in low], self._face(self.paint, 0.55 * light)),
        ]
        tyre, hub = self._face((24, 24, 26)), self._face((140, 142, 146))
        radius = 0.31 if shape.length < 6 else 0.48
        for axle in (0.19, 0.81):
            for r, tone in ((radius, tyre), (0.55 * radius, hub)):
                wheel = [(a, y * 1.01, h) for a, h in disc(self._along(axle), radius, r, 10)]
                parts.append((wheel, tone))
        return parts

    def _deck(self):
        """Boot lid and bonnet, seen from above."""
        shape, wide = self.shape, self.shape.width / 2
        if self.canvas.camera.eye < shape.belt:
            return []
        c0, _, _, c3 = (self._along(c) for c in shape.cabin)
        half, nose = shape.length / 2, shape.belt * shape.bonnet * 0.93
        lid = self._face(mix(self.paint, self.canvas.style.sky_low, 0.25))
        quads = (((-half, shape.belt * 0.93), (c0, shape.belt)), ((c3, shape.belt), (half, nose)))
        return [
            ([(a, -wide, h), (a, wide, h), (b, wide, k), (b, -wide, k)], lid)
            for (a, h), (b, k) in quads
        ]

    def _end(self, end):
        """The rear (-1) or the front (1): panel, bumper, plate, lamps."""
        shape, wide = self.shape, self.shape.width / 2
        top = shape.belt * (0.93 if end < 0 else 0.93 * shape.bonnet)
        light, a = self.light["behind" if end < 0 else "ahead"], end * shape.length / 2

        def quad(y0, y1, h0, h1, colour, glow=0.0):
            tone = self._face(colour, 1.0 if glow else light, glow)
            return [(a, y0, h0), (a, y1, h0), (a, y1, h1), (a, y0, h1)], tone

        panel = [(-wide, 0.3), (wide, 0.3), (wide, top * 0.9), (wide * 0.94, top),
                 (-wide * 0.94, top), (-wide, top * 0.9)]  # fmt: skip
        parts = [([(a, y, h) for y, h in panel], self._face(self.paint, light))]
        parts.append(quad(-wide, wide, 0.25, 0.5, shade(self.paint, 0.6)))
        plate = (224, 196, 70) if end < 0 else (236, 236, 230)
        parts.append(quad(-0.26, 0.26, 0.5, 0.62, plate))
        lamp = ((236, 30, 24) if self.on else (160, 24, 24)) if end < 0 else (240, 238, 220)
        for s in (-1, 1):
            y = sorted((s * wide * 0.97, s * wide * 0.68))
            parts.append(quad(*y, top * 0.66, top * 0.92, lamp, 0.85 * self.on))
        if end > 0:
            parts.append(quad(-0.5 * wide, 0.5 * wide, top * 0.68, top * 0.84, (40, 40, 44)))
        return parts

    def _tops(self):
        shape = self.shape
        return [self._along(c) for c in shape.cabin], 0.48 * shape.width, 0.41 * shape.width

    def _roof(self):
        shape = self.shape
        (_, c1, c2, _), _, narrow = self._tops()
        if self.canvas.camera.eye < shape.height:
            return []
        tone = self._face(mix(self.paint, self.canvas.style.sky_low, 0.3))
        h = shape.height
        return [([(c1, -narrow, h), (c1, narrow, h), (c2, narrow, h), (c2, -narrow, h)], tone)]

    def _cabin_side(self, side):
        shape = self.shape
        (c0, c1, c2, c3), wide, narrow = self._tops()
        light = self.light["right" if side > 0 else "left"]
        low, high = shape.belt, shape.height

        def at(a, share):
            return (a, side * (wide + (narrow - wide) * share), low + (high - low) * share)

        frame = [at(c0, 0), at(c3, 0), at(c2, 1), at(c1, 1)]
        parts = [(frame, self._face(self.paint, 0.95 * light))]
        glass = self._face(mix((34, 38, 44), self.canvas.style.sky_low, 0.15))

        def lean(share, first, last):
            return first + (last - first) * share

        panes = ((0.06, 0.48), (0.53, 0.95))
        if shape.length > 6:
            panes = tuple((i / 6 + 0.02, (i + 1) / 6 - 0.01) for i in range(6))
        elif shape.height > 2.1:
            panes = ((0.68, 0.95),)
        for p, q in panes:
            pane = [at(lean(p, c0, c3), 0.1), at(lean(q, c0, c3), 0.1)]
            pane += [at(lean(q, c1, c2), 0.85), at(lean(p, c1, c2), 0.85)]
            parts.append((pane, glass))
        return parts

    def _screen(self, end):
        """The rear or the front window in its frame."""
        shape = self.shape
        (c0, c1, c2, c3), wide, narrow = self._tops()
        foot, top = (c0, c1) if end < 0 else (c3, c2)
        low, high = shape.belt * (0.93 if shape.cabin[0] < 0.1 and end < 0 else 1.0), shape.height
        light = self.light["behind" if end < 0 else "ahead"]
        frame = [(foot, -wide, low), (foot, wide, low), (top, narrow, high), (top, -narrow, high)]
        parts = [(frame, self._face(self.paint, 1.02 * light))]
        colour = mix((36, 40, 46), self.canvas.style.sky_low, 0.3 if end > 0 else 0.2)

        def inner(share):
            y = (wide + (narrow - wide) * share) * 0.88
            return foot + (top - foot) * share, y, low + (high - low) * share

        (a, y, h), (b, w, k) = inner(0.12), inner(0.86)
        parts.append(([(a, -y, h), (a, y, h), (b, w, k), (b, -w, k)], self._face(colour)))
        return parts
