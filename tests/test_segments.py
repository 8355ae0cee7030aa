import numpy as np
import pytest

from jax_labor.labels.segments import describe, pieces


def flood(asked):
    """8-connected pieces as sets of pixels, by a plain walk."""
    left, found = set(map(tuple, np.argwhere(asked).tolist())), []
    while left:
        start = left.pop()
        piece, edge = {start}, [start]
        while edge:
            row, column = edge.pop()
            near = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            piece |= near
            edge += near
        found.append(piece)
    return found


def as_sets(ids):
    return {frozenset(map(tuple, np.argwhere(ids == i).tolist())) for i in range(1, ids.max() + 1)}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.6, 1.0])
def test_pieces_are_those_of_a_plain_walk(rng, share):
    for _ in range(10):
        asked = rng.random(rng.integers(1, 25, 2)) < share
        ids = pieces(asked)
        assert as_sets(ids) == {frozenset(piece) for piece in flood(asked)}
        sizes = np.bincount(ids.ravel())[1:]
        assert (np.diff(sizes) <= 0).all()


def test_specks_are_left_out_or_join_the_nearest_piece(rng):
    for _ in range(20):
        asked = rng.random((20, 30)) < 0.25
        walked = flood(asked)
        large = [piece for piece in walked if len(piece) >= 5]
        left = pieces(asked, 5, "leave")
        assert as_sets(left) == {frozenset(piece) for piece in large}
        merged = pieces(asked, 5)
        np.testing.assert_array_equal(merged > 0, asked)
        assert merged.max() == len(large) or not large
        for speck in (piece for piece in walked if len(piece) < 5 and large):
            gaps = [gap(speck, piece) for piece in large]
            ids = {int(merged[pixel]) for pixel in speck}
            assert len(ids) == 1
            owner = merged == ids.pop()
            joined = [i for i, piece in enumerate(large) if owner[next(iter(piece))]]
            assert gaps[joined[0]] == min(gaps)


def gap(a, b):
    """Squared distance of the two nearest pixels."""
    return min((r - x) ** 2 + (c - y) ** 2 for r, c in a for x, y in b)


def test_only_specks_stay_as_they_are():
    asked = np.eye(7, dtype=bool)
    asked[3, 3] = False
    np.testing.assert_array_equal(pieces(asked, 10), pieces(asked))
    assert pieces(asked, 10, "leave").max() == 0


def test_a_piece_is_described(rng):
    asked = np.zeros((9, 12), bool)
    asked[1:6, 2:9] = True
    asked[8, 11] = True
    guess = np.where(asked, 4, 255).astype(np.uint8)
    guess[1, 2:9] = 2
    large, small = describe(pieces(asked), guess)
    assert (large["top"], large["left"], large["bottom"], large["right"]) == (1, 2, 6, 9)
    assert (large["size"], large["guess"]) == (35, 4)
    assert large["guess_share"] == 28 / 35
    assert (large["row"], large["column"]) == (3, 4)  # the first of the innermost
    assert (small["item"], small["size"], small["row"], small["column"]) == (2, 1, 8, 11)


def test_a_piece_without_a_guess_says_so():
    (piece,) = describe(pieces(np.ones((3, 3), bool)), np.full((3, 3), 255, np.uint8))
    assert piece["guess"] is None
    assert piece["guess_share"] == 0
