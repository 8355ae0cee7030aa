"""The connected pieces of a mask: each is one question to a person."""

import numpy as np
from scipy import ndimage

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError

# Pixels that touch at a corner belong together: a disagreement along a slanted border is one piece.
_NEIGHBOURS = np.ones((3, 3), bool)

MERGE, LEAVE = "merge", "leave"


def check_specks(smallest: int, specks: str) -> None:
    """Raises a UserError for settings that `pieces` cannot follow."""
    if smallest < 0 or specks not in (MERGE, LEAVE):
        raise UserError(
            f"config.rounds: smallest={smallest} must be 0 or more pixels, and specks={specks!r}"
            f" {MERGE} or {LEAVE}"
        )


def pieces(asked: np.ndarray, smallest: int = 0, specks: str = MERGE) -> np.ndarray:
    """Numbers the 8-connected pieces of a mask.

    Args:
        asked: bool[H, W].
        smallest: a piece of fewer pixels is a speck.
        specks: "merge" joins a speck to the piece nearest to it (Euclidean, from its nearest
            pixel); "leave" drops it. When every piece is a speck, merging leaves them as they are.

    Returns:
        int32[H, W]: 0 outside, then 1..n by decreasing size, equal ones from the top left.
    """
    ids, count = ndimage.label(asked, _NEIGHBOURS)
    sizes = np.bincount(ids.ravel(), minlength=count + 1)
    sizes[0] = 0
    large = sizes >= smallest
    large[0] = False
    if specks == LEAVE:
        ids = np.where(large[ids], ids, 0)
    elif large.any() and not large[1:].all():
        ids = _merge(ids, large)
    sizes = np.bincount(ids.ravel(), minlength=count + 1)
    sizes[0] = 0
    order = np.argsort(-sizes, kind="stable")
    number = np.zeros(count + 1, np.int32)
    kept = order[sizes[order] > 0]
    number[kept] = np.arange(1, len(kept) + 1)
    return number[ids]


def _merge(ids: np.ndarray, large: np.ndarray) -> np.ndarray:
    """Gives each speck, whole, to the large piece that its nearest pixel is nearest to."""
    home = large[ids]
    distance, nearest = ndimage.distance_transform_edt(~home, return_indices=True)
    specks = np.flatnonzero(~large)[1:]
    closest = ndimage.minimum_position(distance, ids, specks)
    owner = np.arange(len(large))
    for speck, (row, column) in zip(specks, closest, strict=True):
        owner[speck] = ids[nearest[0, row, column], nearest[1, row, column]]
    return owner[ids]


def describe(ids: np.ndarray, guess: np.ndarray) -> list[dict]:
    """What a page needs to know of each piece.

    Args:
        ids: int32[H, W] of `pieces`.
        guess: uint8[H, W], the model's class at every asked pixel; 255 is no guess.

    Returns:
        For pieces 1..n {item, size, top, left, bottom, right, row, column, guess, guess_share}:
        `bottom` and `right` exclusive, (row, column) a pixel as far inside as any, `guess` the
        commonest class (ties to the lowest) and its share; guess None when there is none.
    """
    found = []
    for item, (rows, columns) in enumerate(ndimage.find_objects(ids), start=1):
        piece = ids[rows, columns] == item
        inside = np.argmax(ndimage.distance_transform_cdt(np.pad(piece, 1))[1:-1, 1:-1])
        row, column = np.unravel_index(inside, piece.shape)
        guesses = guess[rows, columns][piece]
        votes = np.bincount(guesses[guesses != IGNORE], minlength=1)
        best = int(votes.argmax()) if votes.any() else None
        found.append(
            {
                "item": item,
                "size": int(piece.sum()),
                "top": rows.start,
                "left": columns.start,
                "bottom": rows.stop,
                "right": columns.stop,
                "row": rows.start + int(row),
                "column": columns.start + int(column),
                "guess": best,
                "guess_share": float(votes.max() / piece.sum()),
            }
        )
    return found
