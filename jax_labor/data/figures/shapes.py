"""Regions of the canvas: which pixels a body part covers, and where on the part each one lies."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Region:
    """A rectangle of the canvas that holds a shape and a margin around it.

    Attributes:
      box: slices of rows and columns of the canvas.
      distance: float32[h, w] pixels to the outline, negative inside; exact enough near it.
      across: float32[h, w], or what broadcasts to it, -1 at the left edge of the shape to 1.
      along: position down the shape in body heights, likewise.
      width: half the width of the shape in body heights, likewise.
    """

    box: tuple[slice, slice]
    distance: np.ndarray
    across: np.ndarray
    along: np.ndarray
    width: np.ndarray

    def keep(self, distance: np.ndarray) -> "Region":
        """The intersection with another shape of the same box."""
        self.distance = np.maximum(self.distance, distance)
        return self


class Frame:
    """Places body coordinates on the canvas: x to the right and y up from the ground, in heights.

    Args:
      size: (height, width) of the canvas in pixels.
      scale: pixels per body height.
      foot: (column, row) of the point between the feet.
      margin: pixels around a shape that its region includes.
    """

    def __init__(self, size, scale, foot, margin):
        self.size, self.scale, self.foot, self.margin = size, scale, foot, margin

    def pixels(self, point):
        """(column, row) of a body point."""
        return self.foot[0] + point[0] * self.scale, self.foot[1] - point[1] * self.scale

    def grid(self, left, bottom, right, top):
        """Box around body coordinates, and its columns x [1, w] and rows y [h, 1]; None outside."""
        first_column, last_row = self.pixels((left, bottom))
        last_column, first_row = self.pixels((right, top))
        limits = (
            (first_row, last_row, self.size[0]),
            (first_column, last_column, self.size[1]),
        )
        box = tuple(
            slice(max(int(low - self.margin), 0), min(int(high + self.margin) + 2, end))
            for low, high, end in limits
        )
        if any(part.start >= part.stop for part in box):
            return None
        rows = np.arange(box[0].start, box[0].stop, dtype=np.float32)[:, None] + np.float32(0.5)
        columns = np.arange(box[1].start, box[1].stop, dtype=np.float32)[None] + np.float32(0.5)
        scale = np.float32(self.scale)
        x = (columns - np.float32(self.foot[0])) / scale
        return box, x, (np.float32(self.foot[1]) - rows) / scale


def ellipse(frame, centre, radius_x, radius_y):
    """An upright ellipse; None where it lies outside the canvas."""
    (cx, cy) = centre
    found = frame.grid(cx - radius_x, cy - radius_y, cx + radius_x, cy + radius_y)
    if found is None:
        return None
    box, x, y = found
    across = (x - np.float32(cx)) / np.float32(radius_x)
    up = (y - np.float32(cy)) / np.float32(radius_y)
    distance = np.sqrt(across * across + up * up) - 1
    distance *= np.float32(min(radius_x, radius_y) * frame.scale)
    return Region(box, distance, across, np.float32(cy) - y, np.float32(radius_x))


def panel(frame, left, bottom, right, top, corner=0.0):
    """A rectangle with rounded corners; None where it lies outside the canvas."""
    found = frame.grid(left, bottom, right, top)
    if found is None:
        return None
    box, x, y = found
    cx, cy = np.float32((left + right) / 2), np.float32((bottom + top) / 2)
    half = np.float32((right - left) / 2)
    over_x = np.abs(x - cx) - (half - np.float32(corner))
    over_y = np.abs(y - cy) - np.float32((top - bottom) / 2 - corner)
    outside_x, outside_y = np.maximum(over_x, 0), np.maximum(over_y, 0)
    distance = np.sqrt(outside_x * outside_x + outside_y * outside_y)
    distance += np.minimum(np.maximum(over_x, over_y), 0) - np.float32(corner)
    distance *= np.float32(frame.scale)
    return Region(box, distance, (x - cx) / half, np.float32(top) - y, half)


def limb(frame, points, radii, cut=False):
    """Round cones from joint to joint: points [(x, y)], one radius each, in body heights.

    With `cut` the far end is cut straight, as a sleeve is, and not round.
    """
    columns, rows, reach = [p[0] for p in points], [p[1] for p in points], max(radii)
    found = frame.grid(
        min(columns) - reach, min(rows) - reach, max(columns) + reach, max(rows) + reach
    )
    if found is None:
        return None
    box, x, y = found
    region, done = None, 0.0
    for start, end, r0, r1 in zip(points, points[1:], radii, radii[1:], strict=False):
        length, distance, across, along, width, beyond = _bone(x, y, start, end, r0, r1)
        along = along * np.float32(length) + np.float32(done)
        if region is None:
            region = [distance, across, along, width]
        else:
            nearer = distance < region[0]
            region = [
                np.where(nearer, new, old)
                for new, old in zip((distance, across, along, width), region, strict=True)
            ]
        done += length
    if cut:
        region[0] = np.maximum(region[0], beyond)
    region[0] = region[0] * np.float32(frame.scale)
    return Region(box, *region)


def _bone(x, y, start, end, r0, r1):
    """One cone: its length; distance, across, share of the length, radius, and how far beyond."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = max((dx * dx + dy * dy) ** 0.5, 1e-4)
    dx, dy = np.float32(dx / length), np.float32(dy / length)
    px, py = x - np.float32(start[0]), y - np.float32(start[1])
    ahead = px * dx + py * dy
    beyond = ahead - np.float32(length)
    share = np.clip(ahead / np.float32(length), 0, 1)
    ahead = share * np.float32(length)
    ex, ey = px - ahead * dx, py - ahead * dy
    radius = np.float32(r0) + share * np.float32(r1 - r0)
    across = (px * -dy + py * dx) / radius
    return length, np.sqrt(ex * ex + ey * ey) - radius, across, share, radius, beyond


def profile(frame, levels, sag=0.0):
    """A body of smooth outline: levels [(y, centre x, half width)] from the top downwards.

    `sag` is how much higher, in body heights, the lower edge is at the sides than in the middle.
    """
    top, bottom = levels[0][0], levels[-1][0]
    left = min(c - w for _, c, w in levels)
    right = max(c + w for _, c, w in levels)
    found = frame.grid(left, bottom, right, top)
    if found is None:
        return None
    box, x, y = found
    centre, width = _between(levels, y)
    across = (x - centre) / width
    sides = (np.abs(across) - 1) * width
    edge = np.float32(bottom) + np.float32(sag) * np.minimum(across * across, 1)
    distance = np.maximum(sides, np.maximum(y - np.float32(top), edge - y))
    distance *= np.float32(frame.scale)
    return Region(box, distance, across, np.float32(top) - y, width)


def _between(levels, y):
    """Centre and half width at heights y [h, 1]: smoothstep from level to level."""
    centre, width = np.full_like(y, levels[-1][1]), np.full_like(y, levels[-1][2])
    upwards = levels[::-1]
    for (y0, c0, w0), (y1, c1, w1) in zip(upwards, upwards[1:], strict=False):
        t = np.clip((y - np.float32(y0)) / np.float32(y1 - y0), 0, 1)
        t = t * t * (3 - 2 * t)
        above = y > np.float32(y0)
        centre = np.where(above, np.float32(c0) + t * np.float32(c1 - c0), centre)
        width = np.where(above, np.float32(w0) + t * np.float32(w1 - w0), width)
    return centre, width
