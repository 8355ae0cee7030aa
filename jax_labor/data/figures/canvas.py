"""The picture of the figure while it is drawn, at SUPER times the wanted size."""

import numpy as np
from PIL import Image

from jax_labor.data.figures import parts

SUPER = 3
# contact shadow: its reach in body heights, and how dark it is at the outline
REACH = 0.018
CONTACT = 0.32


class Canvas:
    """Colour and part of every pixel; what is painted later hides what was painted before."""

    def __init__(self, frame, light):
        """`frame` places shapes on the canvas; `light` is -1 (from the left) to 1."""
        self.frame, self.light = frame, light
        self.colour = np.zeros((*frame.size, 3), np.float32)
        self.part = np.full(frame.size, parts.BACKGROUND, np.uint8)

    def paint(self, region, part, cloth, contact=CONTACT, joined=0.0):
        """Paint a region with a cloth, and darken what it lies on around it.

        Args:
          region: a shape; None is nothing.
          part: train id.
          cloth: its material.
          contact: how dark the rim around it is.
          joined: length from its start, in body heights, over which it grows out of what it lies
            on, without a rim.
        """
        if region is None:
            return
        colour, part_map = self.colour[region.box], self.part[region.box]
        inside = region.distance < 0
        if contact:
            near = 1 - region.distance / np.float32(REACH * self.frame.scale)
            near = np.where(inside, 0, np.maximum(near, 0))
            if joined:
                near = near * np.clip(region.along / np.float32(joined), 0, 1)
            colour *= (1 - np.float32(contact) * near * near)[..., None]
        np.copyto(colour, cloth.colours(region, self.light), where=inside[..., None])
        part_map[inside] = part

    def finish(self):
        """The figure alone, box filtered: uint8[H, W, 3] on black, cover uint8[H, W], label."""
        pixels = np.clip(self.colour + np.float32(0.5), 0, 255).astype(np.uint8)
        cover = np.where(self.part == parts.BACKGROUND, np.uint8(0), np.uint8(255))
        pixels[cover == 0] = 0
        small = Image.fromarray(pixels).reduce(SUPER)
        middle = SUPER // 2
        label = self.part[middle::SUPER, middle::SUPER].copy()
        return np.asarray(small), Image.fromarray(cover).reduce(SUPER), label
