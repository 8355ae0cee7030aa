"""A dash-cam pinhole over a road that may bend, climb and lean."""

import math

import numpy as np

NEAR = 0.7


class Camera:
    """Maps road coordinates to pixels.

    Road coordinates are metres: x to the right of the camera, y above the road, z ahead along it.
    The road bends sideways by `curve * z**2` and rises by `hill * z**2`.
    """

    def __init__(self, width, height, *, focal, horizon, centre, eye, curve, hill, roll):
        """A camera for an image of width x height pixels.

        `focal` in pixels; `horizon` and `centre` the row and column of the vanishing point; `eye`
        the height of the camera in metres; `roll` in radians.
        """
        self.width, self.height = width, height
        self.focal, self.horizon, self.centre = focal, horizon, centre
        self.eye, self.curve, self.hill = eye, curve, hill
        self.cos, self.sin = math.cos(roll), math.sin(roll)

    def bend(self, x, z):
        """Where road point (x, z) lies: its sideways place and its height, both in metres."""
        return x + self.curve * z * z, self.hill * z * z

    def pinhole(self, x, y, z):
        """Pixels [..., 2] of straight-space points; the nearest distance is NEAR."""
        z = np.maximum(z, NEAR)
        across, down = self.focal * x / z, self.focal * (self.eye - y) / z
        pixels = np.empty((*np.broadcast(across, down).shape, 2))
        pixels[..., 0] = self.centre + self.cos * across - self.sin * down
        pixels[..., 1] = self.horizon + self.sin * across + self.cos * down
        return pixels

    def project(self, x, y, z):
        """Pixels [..., 2] of points in road coordinates."""
        side, ground = self.bend(x, z)
        return self.pinhole(side, y + ground, z)

    def scale(self, z):
        """Pixels per metre at distance z."""
        return self.focal / max(z, NEAR)

    def plane(self, start, end, offset=0.0):
        """Four numbers by which shading finds depth and place on an upright plane.

        `start` and `end` are the straight-space (x, z) of two points on it. With U the unrolled
        pixel column counted from the vanishing point, 1/z = a + b U and s/z = c + d U, where s is
        the way from `start` in metres plus `offset`.
        """
        (x0, z0), (x1, z1) = start, end
        length = math.hypot(x1 - x0, z1 - z0)
        z0, z1 = max(z0, NEAR), max(z1, NEAR)
        u0, u1 = self.focal * x0 / z0, self.focal * x1 / z1
        span = u1 - u0 if abs(u1 - u0) > 1e-3 else 1e-3
        b = (1 / z1 - 1 / z0) / span
        d = ((offset + length) / z1 - offset / z0) / span
        return 1 / z0 - b * u0, b, offset / z0 - d * u0, d

    def unrolled(self, step):
        """Grids U, V [H, W] of every `step`-th pixel from the vanishing point, roll undone."""
        rows = np.arange(step / 2, self.height, step, dtype=np.float32)[:, None] - self.horizon
        columns = np.arange(step / 2, self.width, step, dtype=np.float32)[None] - self.centre
        rows, columns = rows.astype(np.float32), columns.astype(np.float32)
        cos, sin = np.float32(self.cos), np.float32(self.sin)
        return cos * columns + sin * rows, cos * rows - sin * columns
