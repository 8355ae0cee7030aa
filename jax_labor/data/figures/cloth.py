"""What surfaces look like: a colour, a pattern and the folds of the material."""

import functools
from dataclasses import dataclass

import numpy as np

PATTERNS = ("plain", "stripes", "pinstripes", "checks", "dots", "block")
_TILE = 128
_PER_HEIGHT = 160  # texels of the folds in a body height


@dataclass(frozen=True)
class Cloth:
    """A material.

    Attributes:
      colour: (red, green, blue), 0..255.
      second: colour of the pattern.
      pattern: one of PATTERNS.
      period: of the pattern, in body heights.
      folds: strength of the folds; skin has none.
      gloss: strength of the highlight.
    """

    colour: tuple[float, float, float]
    second: tuple[float, float, float] = (0.0, 0.0, 0.0)
    pattern: str = "plain"
    period: float = 0.05
    folds: float = 0.0
    gloss: float = 0.0

    def colours(self, region, light):
        """Lit colours float32[h, w, 3] of a region; `light` is -1 from the left to 1."""
        shade = _lit(region.across, light, self.gloss)
        if self.folds:
            shade = shade * (1 + np.float32(self.folds) * _fold(region))
        colour = np.array(self.colour, np.float32)
        if self.pattern == "plain":
            return np.broadcast_to(shade, region.distance.shape)[..., None] * colour
        chosen = np.broadcast_to(self._is_second(region), region.distance.shape)[..., None]
        base = np.where(chosen, np.array(self.second, np.float32), colour)
        return base * shade[..., None]

    def _is_second(self, region):
        """Where the pattern shows, bool broadcasting to [h, w]."""
        period = np.float32(self.period)
        down = region.along / period
        side = region.across * region.width / period
        if self.pattern == "stripes":
            return down - np.floor(down) < 0.5
        if self.pattern == "pinstripes":
            return side - np.floor(side) < 0.35
        if self.pattern == "checks":
            return ((down - np.floor(down)) < 0.5) ^ ((side - np.floor(side)) < 0.5)
        if self.pattern == "dots":
            row = np.floor(down)
            side = side + np.float32(0.5) * (row - 2 * np.floor(row / 2))
            u, v = side - np.floor(side) - np.float32(0.5), down - row - np.float32(0.5)
            return u * u + v * v < 0.09
        return (down > 2) & (down < 3.5)  # block: one broad band


def _lit(across, light, gloss):
    """Brightness of a round body: the lit side bright, both edges darker."""
    u = np.clip(across, -1, 1)
    shade = np.float32(1.06) + np.float32(0.2 * light) * u - np.float32(0.2) * u * u
    if gloss:
        off = u - np.float32(0.45 * light)
        shade = shade + np.float32(gloss) * np.maximum(1 - 9 * off * off, 0)
    return shade


def _fold(region):
    """Relief of the material, float32[h, w], about -1..1; stretched along the body."""
    mask = _TILE - 1
    rows = np.floor(region.along * np.float32(_PER_HEIGHT * 0.6)).astype(np.int32) & mask
    side = region.across * region.width * np.float32(_PER_HEIGHT * 1.6)
    columns = np.floor(side).astype(np.int32) & mask
    return _tile()[np.broadcast_to(rows, region.distance.shape), columns]


@functools.cache
def _tile():
    """Smooth tileable noise float32[_TILE, _TILE]: bilinear between random knots, two octaves."""
    bits = np.random.PCG64(20210620)
    total = np.zeros((_TILE, _TILE), np.float32)
    for knots, weight in ((8, 0.7), (32, 0.3)):
        raw = (bits.random_raw(knots * knots) >> np.uint64(40)).astype(np.float32)
        values = (raw / np.float32(2**23) - 1).reshape(knots, knots)
        step = _TILE // knots
        share = (np.arange(_TILE, dtype=np.float32) % step) / step
        low = np.arange(_TILE) // step
        high = (low + 1) % knots
        rows = values[low] * (1 - share)[:, None] + values[high] * share[:, None]
        total += np.float32(weight) * (rows[:, low] * (1 - share) + rows[:, high] * share)
    return total
