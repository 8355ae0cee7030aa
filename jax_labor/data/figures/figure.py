"""Draws a dressed figure, the far parts before the near ones."""

import math

from jax_labor.data.figures import parts
from jax_labor.data.figures.canvas import CONTACT
from jax_labor.data.figures.carried import draw_bag, draw_pack, draw_straps
from jax_labor.data.figures.head import draw_head, draw_locks, draw_long_hair
from jax_labor.data.figures.shapes import ellipse, limb, profile

# depth of the trunk as a share of its width
DEPTH = 0.62
# how far a lower edge of clothes is curved
SAG = 0.014
# length over which an arm grows out of the trunk
SHOULDER = 0.09


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
        self._draw_trunk()
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
        joints, outfit, girth = self.joints, self.outfit, 0.35 + 0.65 * self.body.build
        chain = [flat(points[index]) for points in (joints.hips, joints.knees, joints.ankles)]
        radii = [0.052 * girth, 0.036 * girth, 0.021]
        bare = outfit.dress or outfit.lower_cut in ("shorts", "skirt")
        if bare:
            calf = between(chain[1], chain[2], 0.35)
            shape = limb(
                self.frame, [*chain[:2], calf, chain[2]], [*radii[:2], 0.034 * girth, radii[2]]
            )
            self.canvas.paint(shape, parts.LEG, outfit.skin)
        cut = "skirt" if outfit.dress else outfit.lower_cut
        boot_first = cut in ("straight", "wide")
        if boot_first:
            self._draw_shoe(index, chain)
        if cut == "shorts":
            end = between(chain[0], chain[1], 0.85)
            shape = limb(self.frame, [chain[0], end], [0.058 * girth, 0.056 * girth], cut=True)
            self.canvas.paint(shape, parts.TROUSERS, outfit.lower)
        elif cut != "skirt":
            ends = {"slim": (0.038, 0.025), "straight": (0.045, 0.036), "wide": (0.056, 0.056)}[cut]
            chain_down = [*chain[:2], between(chain[1], chain[2], 0.93)]
            widths = [0.056 * girth, ends[0] * girth, ends[1]]
            shape = limb(self.frame, chain_down, widths, cut=True)
            self.canvas.paint(shape, parts.TROUSERS, outfit.lower)
        if not boot_first:
            self._draw_shoe(index, chain)

    def _draw_shoe(self, index, chain):
        outfit, ankle, toe = self.outfit, chain[2], flat(self.joints.toes[index])
        if outfit.boot:
            shape = limb(
                self.frame, [ankle, between(ankle, chain[1], outfit.boot)], [0.027, 0.034], cut=True
            )
            self.canvas.paint(shape, parts.SHOE, outfit.shoe)
        heel = (ankle[0] - 0.1 * (toe[0] - ankle[0]), ankle[1] - 0.008)
        self.canvas.paint(limb(self.frame, [heel, toe], [0.026, 0.02]), parts.SHOE, outfit.shoe)

    def _draw_trunk(self):
        outfit = self.outfit
        if not outfit.dress:
            part = parts.SKIRT if outfit.lower_cut == "skirt" else parts.TROUSERS
            levels = self._hips()
            if part == parts.SKIRT:
                levels = levels[:-1] + self._skirt()
            # a skirt hangs over the legs, trousers go on into them
            contact = CONTACT if part == parts.SKIRT else 0
            self.canvas.paint(profile(self.frame, levels, SAG), part, outfit.lower, contact)
        self._draw_neck()
        part = parts.DRESS if outfit.dress else parts.TOP
        levels = self._chest(1.0 if outfit.dress else outfit.loose)
        levels += self._skirt() if outfit.dress else self._tail()
        self.canvas.paint(profile(self.frame, levels, SAG), part, outfit.top)
        if outfit.inner:
            self._draw_opening(levels)
        self._draw_neckline()

    def _hips(self):
        body, (x, y) = self.body, self.spine(0.0)
        waist_x, waist_y = self.spine(0.3)
        return [
            (waist_y, waist_x, self.turned(body.waist)),
            (y + 0.01, x, self.turned(body.hip)),
            (y - 0.045, x, self.turned(body.hip) * 0.93),
        ]

    def _chest(self, loose):
        body = self.body
        rows = (
            (1.02, 0.03), (0.96, 0.052), (0.85, body.shoulder), (0.68, body.chest * loose),
            (0.32, body.waist * loose * (loose if loose > 1.1 else 1)),
        )  # fmt: skip
        return [(self.spine(s)[1], self.spine(s)[0], self.turned(w)) for s, w in rows]

    def _tail(self):
        """Lower end of a top that hangs over the hips."""
        (x, y), hip = self.spine(0.0), self.turned(self.body.hip * self.outfit.loose) * 1.03
        end = y - self.outfit.top_length
        if self.outfit.top_length < 0.03:
            return [(y + 0.04, x, hip * 0.96), (end + 0.02, x, hip * 0.98)]
        spread = self._legs_at(end)
        return [(y + 0.01, x, hip), (end, *self._cover(spread, x, hip * 1.05))]

    def _skirt(self):
        """Levels of a skirt from the hips to its hem, wide enough for the knees."""
        (x, y), hip = self.spine(0.0), self.turned(self.body.hip) * 1.05
        hem = self.outfit.hem
        centre, width = self._cover(self._legs_at(hem), x, hip * self.outfit.flare)
        middle = ((x + centre) / 2, (hip + width) / 2 + 0.1 * (width - hip))
        return [(y + 0.01, x, hip), ((y + hem) / 2, *middle), (hem, centre, width)]

    def _legs_at(self, height):
        """Leftmost and rightmost x of both legs at a height."""
        xs = []
        for hip, knee, ankle in zip(
            self.joints.hips, self.joints.knees, self.joints.ankles, strict=True
        ):
            high, low = (hip, knee) if height > knee[1] else (knee, ankle)
            share = (high[1] - height) / max(high[1] - low[1], 1e-3)
            xs.append(high[0] + min(max(share, 0), 1) * (low[0] - high[0]))
        return min(xs) - 0.045, max(xs) + 0.045

    def _cover(self, spread, x, width):
        """Centre and half width that hold both `spread` and the width around x."""
        centre = (x + (spread[0] + spread[1]) / 2) / 2
        return centre, max(width, centre - spread[0], spread[1] - centre)

    def _draw_neck(self):
        (x, y), head = flat(self.joints.neck), flat(self.joints.head)
        shape = limb(self.frame, [(x, y - 0.03), head], [0.031, 0.027])
        self.canvas.paint(shape, parts.FACE, self.outfit.skin)

    def _draw_neckline(self):
        """A round patch of skin below the neck."""
        x, y = flat(self.joints.neck)
        deep = 0.028 if self.outfit.inner or self.outfit.sleeve > 0.9 else 0.045
        x += 0.02 * self.facing
        shape = ellipse(self.frame, (x, y + 0.012), self.turned(0.036), deep)
        self.canvas.paint(shape, parts.FACE, self.outfit.skin, contact=0)

    def _draw_opening(self, levels):
        """The shirt between the open halves of a jacket."""
        shift = 0.5 * self.facing
        strip = [(y, c + shift * w, (0.02 + 0.28 * w) * 0.8) for y, c, w in levels[1:]]
        last = max(strip[-1][0], self.spine(0.0)[1] - 0.03)
        strip = [row for row in strip[:-1] if row[0] > last] + [(last, *strip[-1][1:])]
        self.canvas.paint(profile(self.frame, strip), parts.TOP, self.outfit.inner, contact=0)

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
