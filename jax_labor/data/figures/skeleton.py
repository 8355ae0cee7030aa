"""Where the joints are: body proportions and joint angles to points in the picture."""

import math
from dataclasses import dataclass

THIGH, SHIN, ANKLE = 0.235, 0.225, 0.035
UPPER_ARM, FOREARM, HAND = 0.155, 0.13, 0.04
HIP, NECK = ANKLE + SHIN + THIGH, 0.82  # heights of an upright body, in its own height


@dataclass(frozen=True)
class Body:
    """Widths as shares of the height: half widths of the trunk, radii of the limbs.

    `build` multiplies radii and the waist.
    """

    shoulder: float
    chest: float
    waist: float
    hip: float
    build: float
    head: float  # multiplies the size of the head


@dataclass(frozen=True)
class Limb:
    """Angles in radians: `swing` forwards, `spread` sideways, `bend` of elbow or knee.

    `inward` turns the plane in which an elbow bends from forwards (0) to the body's middle (1).
    """

    swing: float
    spread: float
    bend: float
    inward: float = 0.0


@dataclass(frozen=True)
class Pose:
    """Angles of the whole body; pairs are (left, right) in the picture of a frontal figure."""

    yaw: float  # turn of the body about the vertical
    lean: float  # of the trunk, sideways
    sway: float  # of the hips, sideways, in body heights
    nod: float  # turn of the head against the body
    arms: tuple[Limb, Limb]
    legs: tuple[Limb, Limb]


@dataclass(frozen=True)
class Joints:
    """Points (x, y, z) in body heights: x right, y up from the ground, z towards the viewer."""

    pelvis: tuple
    neck: tuple
    head: tuple
    shoulders: tuple
    elbows: tuple
    wrists: tuple
    knuckles: tuple
    hips: tuple
    knees: tuple
    ankles: tuple
    toes: tuple


def _add(point, direction, length):
    return tuple(p + length * d for p, d in zip(point, direction, strict=True))


def _hang(side, limb):
    """Unit vector of a thigh or an upper arm: down, turned sideways, then forwards."""
    x, y = side * math.sin(limb.spread), -math.cos(limb.spread)
    return (x, y * math.cos(limb.swing), -y * math.sin(limb.swing))


def _elbow(side, limb, upper):
    """Unit vector of the forearm, bent from `upper` forwards and inwards."""
    way = (-side * math.sin(limb.inward * math.pi / 2), 0.0, math.cos(limb.inward * math.pi / 2))
    dot = sum(a * b for a, b in zip(way, upper, strict=True))
    way = tuple(a - dot * b for a, b in zip(way, upper, strict=True))
    norm = math.sqrt(sum(a * a for a in way)) or 1.0
    c, s = math.cos(limb.bend), math.sin(limb.bend) / norm
    return tuple(c * u + s * w for u, w in zip(upper, way, strict=True))


def _knee(side, limb):
    """Unit vector of the shin: a knee bends backwards only."""
    return _hang(side, Limb(limb.swing - limb.bend, limb.spread, 0.0))


def _arm(shoulder, side, limb):
    upper = _hang(side, limb)
    lower = _elbow(side, limb, upper)
    elbow = _add(shoulder, upper, UPPER_ARM)
    wrist = _add(elbow, lower, FOREARM)
    return elbow, wrist, _add(wrist, lower, HAND)


def _leg(hip, side, limb):
    knee = _add(hip, _hang(side, limb), THIGH)
    ankle = _add(knee, _knee(side, limb), SHIN)
    lift = 0.5 * max(limb.bend - limb.swing - 0.25, 0.0)
    return knee, ankle, _add(ankle, (side * 0.35, -0.45 - lift, 0.85 - 0.5 * lift), 0.055)


def pose_joints(body: Body, pose: Pose) -> Joints:
    """Joints of a body in a pose, standing on the ground, turned by its yaw.

    Coordinates are rounded to a millionth, so that mathematical libraries that differ in the last
    bit give the same picture.
    """
    pelvis = (pose.sway, HIP, 0.0)
    up = (math.sin(pose.lean), math.cos(pose.lean), 0.0)
    neck = _add(pelvis, up, NECK - HIP)
    points = {"pelvis": pelvis, "neck": neck, "head": _add(neck, up, 0.073 * body.head)}
    tilt = 0.5 * pose.sway
    for index, side in enumerate((-1, 1)):
        reach = body.shoulder - 0.024
        shoulder = (neck[0] + side * reach, neck[1] - 0.056 + side * tilt * 0.8, 0.0)
        hip = (pelvis[0] + side * body.hip * 0.5, pelvis[1] - side * tilt * 0.3, 0.0)
        arm = _arm(shoulder, side, pose.arms[index])
        leg = _leg(hip, side, pose.legs[index])
        for name, point in zip(
            ("shoulders", "elbows", "wrists", "knuckles", "hips", "knees", "ankles", "toes"),
            (shoulder, *arm, hip, *leg),
            strict=True,
        ):
            points.setdefault(name, []).append(point)
    return _settle(points, pose.yaw)


def _settle(points, yaw):
    """Drop the lower foot to the ground and turn everything about the vertical."""
    drop = min(a[1] for a in points["ankles"]) - ANKLE
    c, s = math.cos(yaw), math.sin(yaw)

    def place(p):
        turned = (p[0] * c + p[2] * s, p[1] - drop, p[2] * c - p[0] * s)
        return tuple(round(value, 6) for value in turned)

    return Joints(
        **{
            name: tuple(map(place, value)) if isinstance(value, list) else place(value)
            for name, value in points.items()
        }
    )
