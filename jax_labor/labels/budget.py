"""How many pixels a round may ask about one image."""

import math

from jax_labor.errors import UserError


def check_budget(share: float, points: int) -> None:
    """Refuses a budget that is not exactly one of a share in (0, 1] and a number of points.

    Raises:
        UserError: neither or both are set, or the share is outside (0, 1].
    """
    if points < 0 or (points == 0) == (share == 0):
        raise UserError(
            f"config.rounds: set either share (in (0, 1]) or points (1 or more) and leave the other"
            f" 0; they are {share} and {points}."
        )
    if points == 0 and not 0 < share <= 1:
        raise UserError(
            f"config.rounds.share is {share}: the labelled share of an image must lie in (0, 1],"
            " for instance 0.022."
        )


def check_budget_of(shape: tuple[int, int], share: float, points: int) -> None:
    """Refuses a budget that asks nothing about an image of `shape` (H, W), or more than it has.

    Raises:
        UserError: naming the setting.
    """
    height, width = shape
    if points > height * width:
        raise UserError(
            f"config.rounds.points is {points}, but images have {height}x{width} ="
            f" {height * width} pixels: use fewer."
        )
    if not points and share_of(height * width, share) < 1:
        raise UserError(
            f"config.rounds.share is {share}: of {height}x{width} pixels that is not one. Use"
            f" {1 / (height * width):.2g} or more."
        )


def share_of(pixels: int, share: float) -> int:
    """Whole pixels in a share of `pixels`: 60,480 in 0.35 of 172,800, though the product of the
    binary numbers is a little less."""
    return math.floor(share * pixels + 1e-6)


def round_budget(
    pixels: int, share: float, points: int, round_number: int, rounds: int, asked: int
) -> int:
    """Pixels that round `round_number` (from 0) of `rounds` may ask about one image.

    The whole budget is spread evenly; what an earlier round left unasked is added to the later
    ones, so that no image ever exceeds the total.

    Args:
        pixels: pixels of the image.
        share: whole budget as a share of the image, 0 if `points` is given.
        points: whole budget in pixels, 0 if `share` is given.
        round_number: this round.
        rounds: number of rounds.
        asked: pixels asked in earlier rounds.
    """
    total = points if points else share_of(pixels, share)
    return max(total * (round_number + 1) // rounds - asked, 0)
