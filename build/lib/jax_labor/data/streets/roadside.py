"""What stands and moves in a street: furniture, trees, fences, people, cars, cyclists."""

import math

from jax_labor.data.streets.furniture import (
    draw_board,
    draw_bollard,
    draw_fence,
    draw_lamp,
    draw_sign,
    draw_signal,
)
from jax_labor.data.streets.paint import vary
from jax_labor.data.streets.people import draw_cyclist, draw_pedestrian
from jax_labor.data.streets.plants import draw_hedge, draw_tree
from jax_labor.data.streets.vehicles import draw_car


def _free(plan, side, z):
    """Whether no side road or crossing road is at distance z."""
    inside = any(s == side and near - 1 < z < far + 1 for s, near, far in plan.side_roads)
    return not inside and z < plan.end - plan.cross - 1


def roadside(canvas, plan, side):
    """Lamps, signs, trees, fences and people on one pavement."""
    rng, style = canvas.rng, canvas.style
    kerb = plan.left if side < 0 else plan.right
    path = plan.paths[int(side > 0)]
    things = []

    def put(draw, x, z, *more):
        if _free(plan, side, z):
            things.append((z, draw, canvas, (side * x, z), *more))

    z, step = rng.uniform(5, 16), rng.uniform(14, 26)
    while z < 70:
        put(draw_lamp, kerb + 0.45, z)
        z += step
    for _ in range(rng.randrange(0, 4)):
        put(draw_sign, kerb + rng.uniform(0.4, 0.8), rng.uniform(5, 40))
    if plan.cross or plan.side_roads or rng.random() < 0.3:
        put(draw_signal, kerb + 0.4, rng.uniform(7, 30))
    if rng.random() < 0.2:
        z = rng.uniform(4, 10)
        for i in range(6):
            put(draw_bollard, kerb + 0.3, z + 1.8 * i)
    if plan.place in ("street", "junction"):
        for _ in range(rng.randrange(0, 4)):
            put(draw_board, plan.line(side), rng.uniform(8, 45), side)
    wooded = plan.place == "avenue" or rng.random() < style.trees * 0.5
    z = rng.uniform(4, 12)
    while wooded and z < 70:
        put(draw_tree, kerb + rng.uniform(0.7, 1.1), z, rng.uniform(0.7, 1.15))
        z += rng.uniform(6, 14)
    for _ in range(int(rng.uniform(*style.people) / 2 + rng.random())):
        z = 5 + 40 * rng.random() ** 1.6
        put(draw_pedestrian, kerb + rng.uniform(0.4, path - 0.2), z)
    return things + _borders(canvas, plan, side, kerb, path)


def _borders(canvas, plan, side, kerb, path):
    """Fences and hedges: along gardens, and guard rails at the kerb."""
    rng, things = canvas.rng, []
    x = None
    if plan.setbacks[int(side > 0)] > 0.8 and rng.random() < 0.75:
        x, reach = side * (kerb + path + 0.05), (2.0, 60.0)
    elif rng.random() < 0.25:
        x, reach = side * (kerb + 0.25), (rng.uniform(3, 8), rng.uniform(12, 28))
    if x is None:
        return things
    garden = reach[1] == 60.0
    kind = rng.choice(("boards", "wall", "rails", "hedge")) if garden else "rails"
    palette = {
        "boards": ((120, 90, 64), (140, 120, 96), (90, 84, 78)), "wall": canvas.style.walls,
        "rails": ((40, 42, 44), (126, 130, 132), (52, 72, 60)), "hedge": canvas.style.leaves,
    }  # fmt: skip
    colour = vary(rng, rng.choice(palette[kind]))
    z = reach[0]
    while z < reach[1]:
        if _free(plan, side, z) and _free(plan, side, z + 4) and rng.random() < 0.9:
            if kind == "hedge":
                things.append((z + 4, draw_hedge, canvas, x, z, z + 4, rng.uniform(1.0, 1.3)))
            else:
                things.append((z + 4, draw_fence, canvas, x, z, z + 4, kind, colour))
        z += 4
    return things


def traffic(canvas, plan):
    """Moving and parked cars, cyclists, people who cross."""
    things = _moving_cars(canvas, plan) + _parked_cars(canvas, plan) + _riders(canvas, plan)
    end = plan.end - plan.cross
    return [thing for thing in things if thing[0] < end - 2] + _crossing_cars(canvas, plan)


def _car(canvas, x, z, heading):
    return z, draw_car, canvas, (x, z), heading


def _moving_cars(canvas, plan):
    """Cars ahead on the own lane and cars that come."""
    rng, things = canvas.rng, []
    ahead, coming = rng.uniform(8, 26), rng.uniform(8, 24)
    inner = plan.middle + 1.2
    outer = max(inner + 0.1, plan.right - 3.2 * plan.parking[1] - 1)
    for _ in range(round(rng.uniform(*canvas.style.traffic))):
        if rng.random() < 0.5:
            things.append(_car(canvas, rng.gauss(0, 0.25), ahead, rng.gauss(0, 0.02)))
            ahead += rng.uniform(8, 22)
        else:
            heading = math.pi + rng.gauss(0, 0.03)
            things.append(_car(canvas, rng.uniform(inner, outer), coming, heading))
            coming += rng.uniform(8, 25)
    return things


def _parked_cars(canvas, plan):
    """Rows of cars along the kerbs, facing either way."""
    rng, things = canvas.rng, []
    for (side, kerb, _), parked in zip(plan.pavements(), plan.parking, strict=True):
        z = rng.uniform(7, 15)
        while parked and z < 75:
            if rng.random() < 0.75 and _free(plan, side, z - 2.5) and _free(plan, side, z + 2.5):
                heading = rng.choice((0, 0, math.pi)) + rng.gauss(0, 0.02)
                things.append(_car(canvas, side * (kerb - 1.05), z, heading))
            z += rng.uniform(5.4, 7.5)
    return things


def _crossing_cars(canvas, plan):
    """Cars seen from the side: on the road that crosses and in the mouths of side roads."""
    rng, things = canvas.rng, []
    if plan.cross and rng.random() < 0.6:
        z = plan.end - plan.cross * rng.choice((0.3, 0.7))
        things.append(_car(canvas, rng.uniform(-9, 9), z, rng.choice((-0.5, 0.5)) * math.pi))
    for side, near, far in plan.side_roads:
        if rng.random() < 0.4:
            x = side * ((plan.left if side < 0 else plan.right) + rng.uniform(3, 9))
            things.append(_car(canvas, x, (near + far) / 2 + side, -side * math.pi / 2))
    return things


def _riders(canvas, plan):
    """Cyclists along the kerb or across, and now and then somebody who crosses on foot."""
    rng, things = canvas.rng, []
    for _ in range(round(rng.uniform(*canvas.style.cyclists))):
        z = 6 + 26 * rng.random() ** 1.5
        across = rng.random() < 0.25
        lane = 0.5 - plan.left + 1.9 * plan.parking[0]
        x = rng.uniform(-plan.left, plan.right) if across else lane
        things.append((z, draw_cyclist, canvas, (x, z), across))
    if rng.random() < 0.3:
        x, z = rng.uniform(-plan.left, plan.right), rng.uniform(9, 30)
        things.append((z, draw_pedestrian, canvas, (x, z)))
    return things
