"""The connected pieces of a mask: each is one question to a person."""

import numpy as np
import scipy

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
    ids, count = scipy.ndimage.label(asked, _NEIGHBOURS)
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
    distance, nearest = scipy.ndimage.distance_transform_edt(~home, return_indices=True)
    specks = np.flatnonzero(~large)[1:]
    closest = scipy.ndimage.minimum_position(distance, ids, specks)
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
    count = int(ids.max(initial=0))
    pixels = np.flatnonzero(ids)
    owner = ids.ravel()[pixels]
    inmost = _inmost(ids, pixels, owner, count)
    rows, columns = np.unravel_index(inmost, ids.shape)
    sizes = np.bincount(owner, minlength=count + 1)[1:]
    best, most = _votes(guess.ravel()[pixels], owner, count)
    return [
        {
            "item": item,
            "size": int(sizes[item - 1]),
            "top": box[0].start,
            "left": box[1].start,
            "bottom": box[0].stop,
            "right": box[1].stop,
            "row": int(rows[item - 1]),
            "column": int(columns[item - 1]),
            "guess": int(best[item - 1]) if most[item - 1] else None,
            "guess_share": float(most[item - 1] / sizes[item - 1]),
        }
        for item, box in enumerate(scipy.ndimage.find_objects(ids), start=1)
    ]


def _inmost(ids, pixels, owner, count: int) -> np.ndarray:
    """Flat index of a pixel of each piece that is furthest from its outside (chessboard)."""
    same = scipy.ndimage.minimum_filter(ids, 3, mode="constant") == ids
    same &= scipy.ndimage.maximum_filter(ids, 3, mode="constant") == ids
    # Pixels all of whose neighbours are of their own piece; depth 0 is the piece's border.
    inner = np.pad(same & (ids > 0), 1)
    depth = scipy.ndimage.distance_transform_cdt(inner)[1:-1, 1:-1].ravel()[pixels]
    order = np.lexsort((pixels, -depth, owner))
    return pixels[order[np.searchsorted(owner[order], np.arange(1, count + 1))]]


def _votes(guesses, owner, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The commonest guess of each piece, ties to the lowest class, and its pixels."""
    votes = np.zeros((count + 1, 256), np.int32)
    known = guesses != IGNORE
    np.add.at(votes, (owner[known], guesses[known]), 1)
    return votes[1:].argmax(1), votes[1:].max(1)
