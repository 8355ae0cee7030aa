"""Bags: in the hand, across the body, on the back."""

from jax_labor.data.figures import parts
from jax_labor.data.figures.shapes import limb, panel

STRAP = 0.009


def draw_bag(figure, hand):
    """A bag that hangs from the hand; drawn before it."""
    x, y = hand
    wide, high = figure.rng.uniform(0.045, 0.075), figure.rng.uniform(0.08, 0.13)
    top, bag = y - 0.055, figure.outfit.bag
    for side in (-1, 1):
        handle = limb(figure.frame, [(x, y), (x + side * wide * 0.7, top)], [STRAP, STRAP])
        figure.canvas.paint(handle, parts.BAG, bag)
    body = panel(figure.frame, x - wide, max(top - high, 0.02), x + wide, top, 0.012)
    figure.canvas.paint(body, parts.BAG, bag)


def draw_pack(figure):
    """A backpack, where it shows beside the trunk; drawn before it."""
    if figure.outfit.bag_cut != "backpack":
        return
    (x, y), (_, low) = figure.spine(0.92), figure.spine(0.2)
    x -= figure.facing * 0.09
    half = figure.turned(figure.body.shoulder) * 0.92
    body = panel(figure.frame, x - half, low, x + half, y, 0.035)
    figure.canvas.paint(body, parts.BAG, figure.outfit.bag)


def draw_straps(figure):
    """What shows of a bag on the front of the trunk, and the bag at the hip."""
    cut, bag = figure.outfit.bag_cut, figure.outfit.bag
    if cut == "backpack":
        for side in (-1, 1):
            reach = side * figure.turned(figure.body.shoulder) * 0.62
            shift = 0.03 * figure.facing
            ends = [
                (figure.spine(s)[0] + reach * r + shift, figure.spine(s)[1])
                for s, r in ((0.94, 1.0), (0.72, 1.05), (0.52, 1.25))
            ]
            figure.canvas.paint(limb(figure.frame, ends, [0.014] * 3), parts.BAG, bag)
    if cut != "cross":
        return
    side = 1 if figure.facing <= 0 else -1
    (x, y), (hip_x, hip_y) = figure.spine(0.95), figure.spine(0.0)
    start = (x - side * figure.turned(figure.body.shoulder) * 0.55, y)
    end = (hip_x + side * figure.turned(figure.body.hip) * 1.1, hip_y + 0.01)
    figure.canvas.paint(limb(figure.frame, [start, end], [STRAP, STRAP]), parts.BAG, bag)
    wide, high = 0.05, 0.075
    body = panel(figure.frame, end[0] - wide, end[1] - high, end[0] + wide, end[1] + 0.01, 0.012)
    figure.canvas.paint(body, parts.BAG, bag)
