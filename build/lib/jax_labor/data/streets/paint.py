"""Small helpers on RGB colours, and the directional light."""

import math


def shade(colour, factor):
    """The colour times a factor."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def mix(first, second, share):
    """`share` of the second colour in the first."""
    return tuple(a + (b - a) * share for a, b in zip(first, second, strict=True))


def vary(rng, colour, spread=0.12):
    """The colour, a little brighter or darker and a little off in hue."""
    factor = 1 + spread * (2 * rng.random() - 1)
    return tuple(c * factor * (1 + 0.3 * spread * (2 * rng.random() - 1)) for c in colour)


class Sun:
    """A soft sun: upright faces towards it are bright, those away from it dim."""

    def __init__(self, azimuth, strength):
        """`azimuth` in radians, 0 behind the camera, positive to the right; strength in 0..1."""
        self.x, self.z, self.strength = math.sin(azimuth), -math.cos(azimuth), strength

    def face(self, x, z):
        """Brightness of an upright face with the unit normal (x, z)."""
        return 1 + self.strength * (self.x * x + self.z * z - 0.25)
