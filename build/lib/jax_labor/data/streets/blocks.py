"""The houses of a street: rows along both sides, gaps, corners, the far side of a junction."""

from jax_labor.data.streets.buildings import House, draw_gable, draw_house
from jax_labor.data.streets.ground import house_shadow
from jax_labor.data.streets.plants import draw_tree


def houses(canvas, plan, side):
    """Houses, gaps and side roads along one side, as (distance, function, arguments)."""
    rng = canvas.rng
    line = plan.line(side)
    roads = [(near, far) for s, near, far in plan.side_roads if s == side]
    open_side = plan.place == "square" and rng.random() < 0.6
    gap = {"street": 0.05, "suburb": 0.25, "avenue": 0.2, "square": 0.3, "junction": 0.15}[
        plan.place
    ]
    stop = plan.end - plan.cross - (4 if plan.cross else 0)
    things, z = [], rng.uniform(-6, 0)
    while z < min(stop, 95):
        wide = rng.uniform(6, 15)
        road = next(((n, f) for n, f in roads if n - 2 < z + wide and z < f + 2), None)
        if road and z < road[0] - 4:
            wide, road = road[0] - 2 - z, None
        elif road:
            z = road[1] + 2
            continue
        wide = min(wide, stop - z + 2)
        if rng.random() < (0.85 if open_side else gap):
            things += [
                (z + wide, draw_tree, canvas, (side * (line + rng.uniform(1, 9)), max(z, 2) + d))
                for d in (rng.uniform(0, wide), rng.uniform(0, wide))
                if rng.random() < 0.75
            ]
        elif z + wide > 2:
            back = rng.uniform(0, 1.5) * (plan.place != "street")
            things.append(
                (z + wide, _draw_block, canvas, plan, side, line + back, max(z, 0.8), z + wide)
            )
        z += wide + (rng.uniform(0.5, 4) if plan.place == "suburb" else 0)
    return things


def _draw_block(canvas, plan, side, line, near, far):
    """One house along the road, with the side wall that looks towards the camera."""
    camera = canvas.camera
    house = House(canvas, low=plan.place == "suburb")
    start, end = ((camera.bend(side * line, z)[0], z) for z in (near, far))
    deep = (start[0] + side * house.depth, near)
    house_shadow(canvas, side, line, near, far, house.height)
    if near > 1:
        draw_gable(canvas, house, start, deep, (0.0, -1.0))
    draw_house(canvas, house, start, end, (-side, 0.0))


def street_end(canvas, plan):
    """The houses across a T-junction, facing the camera."""
    rng, things, x = canvas.rng, [], -60.0
    z = plan.end + rng.uniform(2, 4)
    while x < 60:
        wide = rng.uniform(7, 14)
        if rng.random() < 0.85:
            side, _ = canvas.camera.bend(x, z)
            ends = (side, z), (side + wide, z)
            things.append((z, draw_house, canvas, House(canvas), *ends, (0.0, -1.0)))
        else:
            things.append((z, draw_tree, canvas, (x + wide / 2, z + 1)))
        x += wide
    return things
