"""Who stands there and how: random bodies and poses within what joints can do."""

from jax_labor.data.figures.skeleton import Body, Limb, Pose


def draw_body(rng, curves: float) -> Body:
    """A body; `curves` from 0 (broad shoulders) to 1 (narrow waist, broad hips)."""
    build = min(max(rng.gauss(1.0, 0.13), 0.78), 1.4)
    return Body(
        shoulder=(0.122 - 0.02 * curves) * (0.75 + 0.25 * build),
        chest=(0.098 - 0.014 * curves) * (0.5 + 0.5 * build),
        waist=(0.082 - 0.018 * curves) * build,
        hip=(0.084 + 0.012 * curves) * (0.45 + 0.55 * build),
        build=build,
        head=rng.uniform(1.12, 1.28),
    )


def draw_pose(rng) -> Pose:
    """Standing at ease, weight on one leg, or walking; seen from the front to three quarters."""
    yaw = rng.choice((rng.gauss(0, 0.12), rng.uniform(-0.95, 0.95)))
    kind = rng.choices(("ease", "weight", "walk"), (0.35, 0.3, 0.35))[0]
    sway, legs = 0.0, None
    if kind == "ease":
        legs = tuple(Limb(rng.gauss(0, 0.03), rng.uniform(0.02, 0.14), 0.03) for _ in range(2))
    elif kind == "weight":
        side = rng.choice((0, 1))
        sway = (0.022 if side else -0.022) * rng.uniform(0.5, 1.2)
        firm = Limb(0.0, rng.uniform(-0.03, 0.03), 0.02)
        loose = Limb(rng.uniform(0.1, 0.35), rng.uniform(0.06, 0.2), rng.uniform(0.2, 0.5))
        legs = (loose, firm) if side else (firm, loose)
    if kind == "walk":
        return _walk(rng, yaw)
    return Pose(
        yaw=yaw,
        lean=rng.gauss(0, 0.025) - 1.2 * sway,
        sway=sway,
        nod=_nod(rng),
        arms=tuple(_arm(rng) for _ in range(2)),
        legs=legs,
    )


def _nod(rng):
    return min(max(rng.gauss(0, 0.25), -0.6), 0.6)


def _walk(rng, yaw):
    stride, first = rng.uniform(0.18, 0.42), rng.choice((-1, 1))
    legs, arms = [], []
    for side in (-1, 1):
        ahead = side * first
        behind_bend = rng.uniform(0.15, 0.55) if ahead < 0 else rng.uniform(0.02, 0.15)
        legs.append(Limb(ahead * stride, rng.uniform(0.0, 0.06), behind_bend))
        swing = -ahead * stride * rng.uniform(0.7, 1.2)
        free = Limb(swing, rng.uniform(0.1, 0.22), rng.uniform(0.15, 0.6), 0.1)
        arms.append(free if rng.random() < 0.8 else _arm(rng))
    return Pose(yaw, rng.gauss(0, 0.02), 0.0, _nod(rng), tuple(arms), tuple(legs))


def _arm(rng):
    kind = rng.choices(("hang", "hip", "fold", "pocket", "raise"), (0.5, 0.16, 0.14, 0.14, 0.06))[0]
    if kind == "hang":
        return Limb(rng.gauss(0, 0.08), rng.uniform(0.1, 0.3), rng.uniform(0.05, 0.5), 0.15)
    if kind == "hip":
        return Limb(-0.15, rng.uniform(0.65, 0.9), rng.uniform(1.5, 1.75), 0.9)
    if kind == "fold":
        return Limb(rng.uniform(0, 0.3), rng.uniform(0.15, 0.35), rng.uniform(1.3, 2.1), 0.55)
    if kind == "pocket":
        return Limb(-0.2, rng.uniform(0.3, 0.42), rng.uniform(0.5, 0.75), 0.75)
    return Limb(0.2, rng.uniform(1.9, 2.5), rng.uniform(0.2, 1.0), 0.0)
