"""The layout of one street: widths, what stands where, side roads, the end of the view."""

import dataclasses

from jax_labor.data.streets.ground import FAR
from jax_labor.data.streets.paint import vary


@dataclasses.dataclass
class Plan:
    """A street in metres; the camera drives at x = 0 on the left-hand lane."""

    place: str
    left: float
    right: float
    middle: float
    paths: tuple[float, float]
    setbacks: tuple[float, float]
    grassy: tuple[bool, bool]
    asphalt: tuple
    paving: tuple
    fresh: float
    end: float
    cross: float
    parking: tuple[bool, bool]
    side_roads: list

    def pavements(self):
        """(side, kerb, width) of both pavements, the kerb as a distance from the camera."""
        return (-1, self.left, self.paths[0]), (1, self.right, self.paths[1])

    def line(self, side):
        """Distance of the house line from the camera."""
        i = int(side > 0)
        return (self.left, self.right)[i] + self.paths[i] + self.setbacks[i]


def make_plan(rng, style):
    """Draw a layout at random."""
    names, weights = zip(*style.places, strict=True)
    place = rng.choices(names, weights)[0]
    lane = rng.uniform(*style.lane)
    parking = tuple(rng.random() < style.parked for _ in range(2))
    left = lane / 2 + 0.1 + 2.0 * parking[0] + rng.choice((0, 0, 0.8))
    lanes = rng.choice((1, 1, 1, 1, 2))
    right = lane / 2 + lane * lanes + 2.0 * parking[1] + rng.choice((0, 0, 0.6))
    deep = {"street": 0.0, "suburb": 3.0, "avenue": 2.0, "square": 1.0, "junction": 0.5}[place]
    setbacks = tuple(deep * rng.uniform(0.6, 1.6) for _ in range(2))
    end = rng.uniform(24, 55) if place == "junction" else FAR
    grassy = [place in ("suburb", "avenue") and rng.random() < 0.7 for _ in range(2)]
    if place == "square":
        grassy[rng.randrange(2)] = rng.random() < 0.7
    plan = Plan(
        place, left, right, lane / 2, tuple(rng.uniform(1.5, 3.3) for _ in range(2)), setbacks,
        tuple(grassy), vary(rng, rng.choice(style.asphalt), 0.12),
        vary(rng, rng.choice(style.paving), 0.12), rng.uniform(0.6, 1.0), end,
        rng.uniform(6, 9) if place == "junction" else 0.0, parking, [],
    )  # fmt: skip
    for side in (-1, 1):
        if rng.random() < 0.45:
            near = rng.uniform(10, 45)
            if near + 9 < end - plan.cross - 6:
                plan.side_roads.append((side, near, near + rng.uniform(6, 8.5)))
    return plan
