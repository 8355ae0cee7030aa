"""Draws a dressed figure, the far parts before the near ones."""

import math

from jax_labor.data.figures import parts
from jax_labor.data.figures.carried import draw_bag, draw_pack, draw_straps
from jax_labor.data.figures.head import draw_head, draw_locks, draw_long_hair
from jax_labor.data.figures.shapes import limb
from jax_labor.data.figures.trunk import draw_trunk

# depth of the trunk as a share of its width
DEPTH = 0.62
# length over which an arm grows out of the trunk
SHOULDER = 0.09
# cut: share of the leg, and half widths at hip, knee and end
TROUSERS = {
    "slim": (0.965, 0.056, 0.038, 0.025),
    "straight": (0.965, 0.056, 0.045, 0.036),
    "wide": (0.965, 0.056, 0.056, 0.056),
    "shorts": (0.425, 0.058, 0.056, 0.0),
}


class Figure:
    """A body in a pose and an outfit, on a canvas."""

    def __init__(self, canvas, body, pose, joints, outfit, rng):
        """`rng` decides details that belong to no other place."""
        self.canvas, self.frame = canvas, canvas.frame
        self.body, self.pose, self.joints, self.outfit, self.rng = body, pose, joints, outfit, rng
        self.facing = math.sin(pose.yaw)

    def draw(self):
        """Paint everything."""
        joints = self.joints
        near = 1 if joints.shoulders[1][2] > joints.shoulders[0][2] else 0
        behind = [i for i in (1 - near, near) if self._is_behind(i)]
        draw_long_hair(self)
        draw_pack(self)
        for index in behind:
            self._draw_arm(index)
        for index in sorted((0, 1), key=lambda i: joints.knees[i][2] + joints.ankles[i][2]):
            self._draw_leg(index)
        draw_trunk(self)
        draw_straps(self)
        draw_head(self)
        draw_locks(self)
        for index in (i for i in (1 - near, near) if i not in behind):
            self._draw_arm(index)

    def turned(self, width):
        """Half width of the trunk as seen, from the half width of a frontal one."""
        c, s = math.cos(self.pose.yaw), math.sin(self.pose.yaw)
        return width * math.sqrt(c * c + (DEPTH * s) ** 2)

    def spine(self, share):
        """(x, y) on the line from pelvis (0) to neck (1)."""
        low, high = self.joints.pelvis, self.joints.neck
        return tuple(low[k] + share * (high[k] - low[k]) for k in range(2))

    def _is_behind(self, index):
        shoulder, elbow, wrist = (
            points[index][2]
            for points in (self.joints.shoulders, self.joints.elbows, self.joints.wrists)
        )
        return shoulder + 1.5 * elbow + 1.5 * wrist < -0.12

    def _draw_leg(self, index):
        joints, outfit = self.joints, self.outfit
        chain = [flat(points[index]) for points in (joints.hips, joints.knees, joints.ankles)]
        cut = "skirt" if outfit.dress else outfit.lower_cut
        if cut in ("skirt", "shorts"):
            self._draw_bare_leg(chain)
        # trousers that are tight are tucked into boots, others hang over them
        over = cut in ("straight", "wide")
        if over:
            self._draw_shoe(index, chain)
        if cut in TROUSERS:
            self._draw_trouser(chain, *TROUSERS[cut])
        if not over:
            self._draw_shoe(index, chain)

    def _draw_bare_leg(self, chain):
        hip, knee, ankle = chain
        radii = [r * self._girth() for r in (0.052, 0.036, 0.034)]
        shape = limb(self.frame, [hip, knee, between(knee, ankle, 0.35), ankle], [*radii, 0.021])
        self.canvas.paint(shape, parts.LEG, self.outfit.skin)

    def _draw_trouser(self, chain, length, thigh, knee, end):
        """One leg of the trousers: share of the leg from the hip, and half widths."""
        girth = self._girth()
        points = [chain[0], between(chain[0], chain[1], min(2 * length, 1.0))]
        widths = [thigh * girth, knee * girth]
        if length > 0.5:
            points.append(between(chain[1], chain[2], 2 * length - 1))
            widths.append(end)
        shape = limb(self.frame, points, widths, cut=True)
        self.canvas.paint(shape, parts.TROUSERS, self.outfit.lower)

    def _girth(self):
        return 0.35 + 0.65 * self.body.build

    def _draw_shoe(self, index, chain):
        outfit, ankle, toe = self.outfit, chain[2], flat(self.joints.toes[index])
        if outfit.boot:
            shaft = [ankle, between(ankle, chain[1], outfit.boot)]
            shape = limb(self.frame, shaft, [0.027, 0.034], cut=True)
            self.canvas.paint(shape, parts.SHOE, outfit.shoe)
        heel = (ankle[0] - 0.1 * (toe[0] - ankle[0]), ankle[1] - 0.008)
        self.canvas.paint(limb(self.frame, [heel, toe], [0.026, 0.02]), parts.SHOE, outfit.shoe)

    def _draw_arm(self, index):
        joints, outfit, girth = self.joints, self.outfit, 0.4 + 0.6 * self.body.build
        chain = [
            flat(points[index])
            for points in (joints.shoulders, joints.elbows, joints.wrists, joints.knuckles)
        ]
        if outfit.bag_cut == "hand" and index == self.carrying():
            draw_bag(self, chain[3])
        radii = [0.031 * girth, 0.027 * girth, 0.02, 0.022]
        self.canvas.paint(limb(self.frame, chain, radii), parts.ARM, outfit.skin, joined=SHOULDER)
        part = parts.DRESS if outfit.dress else parts.TOP
        self._draw_sleeve(chain, [1.25 * r for r in radii[:3]], part)

    def _draw_sleeve(self, chain, radii, part):
        length, points, widths = self.outfit.sleeve, chain[:1], radii[:1]
        if not length:  # a strap over the shoulder
            return
        for i, share in ((0, length * 2), (1, length * 2 - 1)):
            if share > 0:
                share = min(share, 0.97)
                points.append(between(chain[i], chain[i + 1], share))
                widths.append(max(radii[i] + share * (radii[i + 1] - radii[i]), 0.026))
        sleeve = limb(self.frame, points, widths, cut=True)
        self.canvas.paint(sleeve, part, self.outfit.top, joined=SHOULDER)

    def carrying(self):
        """Which hand holds the bag: the lower one."""
        knuckles = self.joints.knuckles
        return 0 if knuckles[0][1] < knuckles[1][1] else 1


def flat(point):
    """(x, y) of a point."""
    return point[0], point[1]


def between(start, end, share):
    """The point at `share` of the way."""
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])
