"""From surface numbers to a lit picture and its label."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from jax_labor.data.streets import textures
from jax_labor.data.streets.canvas import SUPER


def develop(canvas, air, noise):
    """The finished picture uint8[H, W, 3] and label uint8[H, W] of a painted canvas.

    `air` holds this scene's draws from the style's ranges; `noise` is a numpy Generator.
    """
    labels, colours, materials, glows, grounds, planes = canvas.table()
    front = np.asarray(canvas.ids)
    veiled = front < 0
    seen = np.where(veiled, np.asarray(canvas.behind), front) if veiled.any() else front
    seen = np.maximum(seen, 0)
    label, chosen = _vote(front, seen, labels)
    picture = _shrink(seen, colours)
    place = _Places(canvas.camera, chosen, grounds, planes)
    factor = _relief(place, materials[chosen], canvas.style.texture)
    factor *= _ground_shadow(canvas, place.ground, air["shadow"])
    sky = chosen == 0
    picture *= np.where(sky, np.float32(1), factor)[..., None]
    _add_air(picture, place, sky, canvas, air)
    return _expose(picture, glows[chosen], canvas, air, noise), label


def _vote(front, seen, labels):
    """Majority of each SUPER x SUPER block: its label and one surface number that has it."""
    named = np.where(front < 0, (-1 - front).astype(np.uint8), labels[seen])
    a, b, c, d = (named[i::2, j::2] for i in (0, 1) for j in (0, 1))
    take_b, take_c = (b == c) | (b == d), c == d
    label = np.where(take_b, b, np.where(take_c, c, a))
    a, b, c = seen[::2, ::2], seen[::2, 1::2], seen[1::2, ::2]
    return label, np.where(take_b, b, np.where(take_c, c, a))


def _shrink(seen, colours):
    """Flat colours averaged down to float32[H, W, 3]."""
    packed = np.zeros((len(colours), 4), np.uint8)
    packed[:, :3] = colours
    pixels = packed.view(np.uint32)[:, 0][seen]
    height, width = pixels.shape
    image = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)
    return np.asarray(image.reduce(SUPER))[..., :3].astype(np.float32)


class _Places:
    """For every pixel: depth [m], place s along and t up (or ahead) its surface [m]."""

    def __init__(self, camera, chosen, grounds, planes):
        u, v = camera.unrolled(SUPER)
        self.ground = grounds[chosen]
        a, b, c, d = (column[chosen] for column in planes.T.copy())
        flat = np.maximum(v, 1.0) / (camera.focal * camera.eye)
        inverse = np.clip(np.where(self.ground, flat, a + b * u), 1 / 400, 1)
        self.depth = 1 / inverse
        across = u * (self.depth / camera.focal)
        self.s = np.where(
            self.ground, across - camera.curve * self.depth**2, (c + d * u) * self.depth
        )
        up = camera.eye - v * (self.depth / camera.focal)
        self.t = np.where(self.ground, self.depth, up)
        # how many metres one pixel covers, the longer way
        slant = np.where(self.ground, self.depth / camera.eye, np.float32(1.5))
        self.grain = self.depth * slant * (SUPER / camera.focal)
        self.u, self.v = u, v


def _relief(place, material, strength):
    """Brightness factor [H, W] of texture and stains; fine relief fades where pixels are coarse."""
    mask = textures.SIZE - 1
    rows = (place.t * textures.PER_METRE).astype(np.int32) & mask
    columns = (place.s * textures.PER_METRE).astype(np.int32) & mask
    flat = (material * textures.SIZE + rows) * textures.SIZE + columns
    fine = textures.reliefs().reshape(-1)[flat]
    fine /= 1 + (place.grain * 16) ** 2
    rows = (place.t * 11).astype(np.int32) & mask
    columns = (place.s * 11).astype(np.int32) & mask
    broad = textures.blotches().reshape(-1)[rows * textures.SIZE + columns]
    amount = np.array([0.03, 0.09, 0.1, 0.16, 0.1, 0.28, 0.16, 0.14, 0.14], np.float32)[material]
    # walls are darker at the foot, where dirt and shade gather
    foot = np.where(place.ground, 0, np.exp(-np.abs(place.t) * 1.5)).astype(np.float32)
    return np.maximum(1 + strength * (amount * (fine + 0.8 * broad) - 0.25 * foot), 0.1)


def _ground_shadow(canvas, ground, strength):
    """Brightness factor [H, W]: soft shadows, on the ground only."""
    radius = canvas.shadows.height / 200
    soft = np.asarray(canvas.shadows.filter(ImageFilter.BoxBlur(radius)), np.float32)
    return np.where(ground, 1 - soft * (strength / 255), 1).astype(np.float32)


def _add_air(picture, place, sky, canvas, air):
    """Paint the sky and let the haze thicken with depth, in place."""
    clear = np.exp(place.depth * -air["haze"])
    clear[sky] = 1
    picture *= clear[..., None]
    picture += (1 - clear)[..., None] * np.array(canvas.style.haze_colour, np.float32)
    if not sky.any():
        return
    u, v = (np.broadcast_to(g, sky.shape)[sky] / canvas.camera.focal for g in (place.u, place.v))
    height = np.clip(-v * 1.6, 0, 1)[:, None]
    low, high = (np.array(c, np.float32) for c in (canvas.style.sky_low, canvas.style.sky_high))
    colour = low + (high - low) * np.sqrt(height)
    stretch = 30 / (np.maximum(-v, 0) + 0.12)
    mask, offset = textures.SIZE - 1, air["cloud_offset"]
    rows = (stretch * 3 + offset).astype(np.int32) & mask
    columns = (u * stretch * 2 + offset).astype(np.int32) & mask
    cloud = np.clip(textures.blotches()[rows, columns] * 0.5 + air["clouds"] * 1.2 - 0.5, 0, 1)
    tone = np.clip(0.8 + 0.15 * textures.blotches()[columns, rows], 0.5, 1.05)
    white = np.array((250, 248, 246), np.float32) * tone[:, None]
    colour += (white - colour) * (cloud * (0.35 + 0.65 * air["clouds"]))[:, None]
    colour += (252 - colour) * np.float32(air["bleach"])
    picture[sky] *= colour / 255


def _halos(canvas, shape):
    """Glow of the lamps, float32[H, W, 3], or None."""
    if not canvas.halos:
        return None
    step = 4 * SUPER
    small = Image.new("RGB", (-(-canvas.camera.width // step), -(-canvas.camera.height // step)))
    draw = ImageDraw.Draw(small)
    for u, v, radius, colour in canvas.halos:
        r = min(radius, 0.04 * canvas.camera.height) / step
        colour = tuple(int(c * 0.8) for c in colour)
        draw.ellipse((u / step - r, v / step - r, u / step + r, v / step + r), fill=colour)
    small = small.filter(ImageFilter.GaussianBlur(small.height / 40))
    return np.asarray(small.resize(shape[1::-1], Image.Resampling.BILINEAR), np.float32)


def _expose(picture, glow, canvas, air, noise):
    """What the sensor makes of it: exposure, cast, contrast, vignette, blur, noise."""
    style = canvas.style
    height, width = picture.shape[:2]
    gain = air["gain"] + (1 - air["gain"]) * glow
    if style.vignette:
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)[None]
        gain = gain * (1 - style.vignette * 0.5 * (x * x + y * y))
    picture *= gain.astype(np.float32)[..., None]
    halos = _halos(canvas, picture.shape)
    if halos is not None:
        picture += halos
    grey = picture.mean(axis=2, keepdims=True)
    picture -= grey
    picture *= np.float32(style.saturation)
    picture += grey
    picture *= np.array(air["cast"], np.float32) * np.float32(style.contrast)
    picture += np.float32(110 * (1 - style.contrast))
    radius = air["blur"] * height / 360
    if radius > 0.1:
        soft = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        picture = np.asarray(soft.filter(ImageFilter.GaussianBlur(radius)), np.float32)
    # shot noise grows with light; part of it is common to the three colours
    grain = noise.standard_normal((height, width, 3), dtype=np.float32)
    grain *= np.float32(air["noise"]) * (0.6 + 0.4 * picture / 128)
    return np.clip(picture + grain + 0.5, 0, 255).astype(np.uint8)
