"""What stands behind a figure: a studio, a street or a park, out of focus."""

from PIL import Image, ImageDraw, ImageFilter

KINDS = ("studio", "street", "park")


def draw_scenery(rng, size, horizon, kind):
    """Background uint8 image [H, W]; `horizon` is the row where the ground meets the rest."""
    height, width = size
    image = Image.new("RGB", (width, height))
    draw = ImageDraw.Draw(image)
    if kind == "studio":
        wall = _tone(rng, rng.uniform(120, 236), 40)
        _gradient(draw, 0, horizon, width, _scaled(wall, 0.92), _scaled(wall, 1.08))
        _gradient(draw, horizon, height, width, _scaled(wall, 0.98), _scaled(wall, 0.82))
        blur = 0.045
    elif kind == "street":
        _street(rng, draw, size, horizon)
        blur = rng.uniform(0.006, 0.018)
    else:
        _park(rng, draw, size, horizon)
        blur = rng.uniform(0.008, 0.022)
    return image.filter(ImageFilter.GaussianBlur(blur * height))


def _street(rng, draw, size, horizon):
    """A wall with windows and a door, a kerb, pavement, now and then a car or a pole."""
    height, width = size
    wall = _tone(rng, rng.uniform(90, 200), 45)
    _gradient(draw, 0, horizon, width, _scaled(wall, 1.05), _scaled(wall, 0.9))
    x = -rng.random() * 0.3 * height
    while x < width:
        wide = rng.uniform(0.14, 0.26) * height
        pane = _tone(rng, rng.uniform(45, 120), 20)
        frame = _scaled(wall, rng.choice((0.7, 1.2)))
        for y in (-0.08, 0.28):
            box = [x, y * height, x + wide, (y + 0.24) * height]
            if rng.random() < 0.75:
                draw.rectangle(box, fill=pane, outline=frame, width=max(int(0.012 * height), 1))
        if rng.random() < 0.2:
            draw.rectangle([x, 0.42 * height, x + wide, horizon], fill=_tone(rng, 80, 50))
        x += wide + rng.uniform(0.06, 0.2) * height
    if rng.random() < 0.3:
        _car(rng, draw, size, horizon)
    floor = _tone(rng, rng.uniform(105, 185), 12)
    _gradient(draw, horizon, height, width, _scaled(floor, 0.92), _scaled(floor, 1.05))
    y, step = horizon, 0.02 * height
    draw.rectangle([0, y, width, y + 0.012 * height], fill=_scaled(floor, 0.7))
    while y < height:  # joints of the slabs, wider apart the nearer
        draw.line([0, y, width, y], fill=_scaled(floor, 0.85), width=max(int(0.005 * height), 1))
        y, step = y + step, step * 1.6


def _car(rng, draw, size, horizon):
    height, width = size
    paint = _tone(rng, rng.uniform(60, 190), 90)
    x, long = rng.uniform(-0.4, 0.9) * width, 0.55 * height
    base = horizon + 0.015 * height
    draw.rectangle([x, base - 0.13 * height, x + long, base - 0.03 * height], fill=paint)
    cabin = [(0.15, 0.13), (0.28, 0.21), (0.68, 0.21), (0.84, 0.13)]
    draw.polygon([(x + u * long, base - v * height) for u, v in cabin], fill=_scaled(paint, 0.5))
    for u in (0.2, 0.8):
        cx, r = x + u * long, 0.045 * height
        draw.ellipse([cx - r, base - 2 * r, cx + r, base], fill=(28, 28, 30))


def _park(rng, draw, size, horizon):
    """Sky, trees, a hedge, and grass or gravel."""
    height, width = size
    sky = rng.choice(((188, 212, 236), (214, 222, 228), (168, 200, 232), (236, 224, 206)))
    _gradient(draw, 0, horizon, width, _scaled(sky, 0.97), _scaled(sky, 1.06))
    for _ in range(rng.randint(2, 6)):
        leaf = _leaf(rng)
        x, y = rng.random() * width, rng.uniform(0.12, 0.5) * height
        draw.rectangle([x - 0.012 * height, y, x + 0.012 * height, horizon], fill=(84, 66, 52))
        for _ in range(7):
            r = rng.uniform(0.06, 0.14) * height
            cx, cy = x + rng.uniform(-0.14, 0.14) * height, y + rng.uniform(-0.12, 0.1) * height
            fill = _scaled(leaf, rng.uniform(0.8, 1.2))
            draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=fill)
    hedge, x = _leaf(rng), 0.0
    while x < width:
        r = rng.uniform(0.05, 0.11) * height
        fill = _scaled(hedge, rng.uniform(0.75, 1.05))
        draw.ellipse([x - r, horizon - r, x + r, horizon + r], fill=fill)
        x += r
    floor = rng.choice((_scaled(_leaf(rng), 1.25), (188, 174, 148), (170, 168, 162)))
    _gradient(draw, horizon, height, width, _scaled(floor, 0.88), _scaled(floor, 1.08))


def _leaf(rng):
    green = rng.uniform(80, 140)
    return (green * rng.uniform(0.5, 1.05), green, green * rng.uniform(0.3, 0.6))


def _tone(rng, value, chroma):
    """A colour near grey `value`, off by up to `chroma`."""
    shift = [rng.uniform(-1, 1) * chroma / 2 for _ in range(3)]
    return _scaled([value + s for s in shift], 1.0)


def _scaled(colour, factor):
    return tuple(min(max(int(c * factor), 0), 255) for c in colour)


def _gradient(draw, top, bottom, width, first, last):
    """Rows from `top` to `bottom` (exclusive) from one colour to the other."""
    top, bottom = int(top), int(bottom)
    for y in range(top, bottom):
        share = (y - top) / max(bottom - top - 1, 1)
        fill = tuple(int(a + share * (b - a)) for a, b in zip(first, last, strict=True))
        draw.line([0, y, width, y], fill=fill)
