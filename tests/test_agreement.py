import math

import numpy as np
import pytest

from jax_labor.labels.agreement import agreement, combine


def slow_agreement(a, b, num_classes):
    """By the definition, pixel by pixel, in floating point."""
    pairs = [(x, y) for x, y in zip(a.flat, b.flat, strict=True) if x != 255 and y != 255]
    if not pairs:
        return 0, None, None
    n = len(pairs)
    observed = sum(x == y for x, y in pairs) / n
    chance = sum(
        sum(x == c for x, _ in pairs) / n * (sum(y == c for _, y in pairs) / n)
        for c in range(num_classes)
    )
    degenerate = len({value for pair in pairs for value in pair}) == 1
    return n, observed, None if degenerate else (observed - chance) / (1 - chance)


def close(got, wanted):
    return got is wanted if wanted is None else math.isclose(got, wanted, abs_tol=1e-9)


@pytest.mark.parametrize("labelled", [1.0, 0.6, 0.1])
@pytest.mark.parametrize("num_classes", [1, 2, 19, 254])
def test_equals_the_definition(labelled, num_classes, rng):
    for _ in range(10):
        shape = tuple(rng.integers(1, 12, 2))
        a = rng.integers(0, num_classes, shape).astype(np.uint8)
        b = np.where(rng.random(shape) < 0.7, a, rng.integers(0, num_classes, shape))
        a, b = (np.where(rng.random(shape) < labelled, m, 255).astype(np.uint8) for m in (a, b))
        got = agreement(a, b, num_classes)
        pixels, agree, kappa = slow_agreement(a, b, num_classes)
        assert got["pixels"] == pixels
        assert close(got["agree"], agree)
        assert close(got["kappa"], kappa)
        assert agreement(b, a, num_classes) == got


def test_the_textbook_case():
    # 50 grants read twice: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: kappa is 0.4.
    a = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])[None]
    b = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])[None]
    assert agreement(a, b, 2) == {"pixels": 50, "agree": 0.7, "kappa": pytest.approx(0.4)}


@pytest.mark.parametrize(
    ("a", "b", "wanted"),
    [
        ([255, 255], [0, 1], (0, None, None)),  # nothing in common
        ([0, 255], [255, 0], (0, None, None)),
        ([], [], (0, None, None)),
        ([2, 2, 2], [2, 2, 255], (2, 1.0, None)),  # chance agrees as well
        ([0, 0], [1, 1], (2, 0.0, 0.0)),  # one class each, another one
        ([0, 1], [1, 0], (2, 0.0, -1.0)),
        ([0, 1, 2], [0, 1, 2], (3, 1.0, 1.0)),
    ],
)
def test_edge_cases(a, b, wanted):
    got = agreement(np.array([a], np.uint8), np.array([b], np.uint8), 3)
    assert (got["pixels"], got["agree"], got["kappa"]) == wanted


def test_counts_do_not_overflow():
    a = np.zeros((3000, 3000), np.uint8)
    a[:, 1500:] = 1
    assert agreement(a, a, 2)["kappa"] == 1.0


@pytest.mark.parametrize(
    ("a", "b"), [([[0, 1]], [[0], [1]]), ([[0, 3]], [[0, 1]]), ([[-1, 0]], [[0, 0]])]
)
def test_maps_that_cannot_be_compared(a, b):
    with pytest.raises(ValueError, match="cannot be compared|outside"):
        agreement(np.array(a), np.array(b), 3)


def test_images_are_weighed_by_their_pixels(rng):
    maps = [(rng.integers(0, 3, (4, k)), rng.integers(0, 3, (4, k))) for k in (1, 5, 9)]
    maps.append((np.full((1, 7), 2), np.full((1, 7), 2)))  # agrees, without a kappa
    maps.append((np.full((1, 7), 255), np.full((1, 7), 2)))  # nothing in common
    facts = [agreement(a, b, 3) for a, b in maps]
    got = combine(facts)
    assert (got["images"], got["pixels"]) == (4, 67)
    joined = agreement(*(np.concatenate([m[i].ravel() for m in maps])[None] for i in (0, 1)), 3)
    assert got["agree"] == pytest.approx(joined["agree"])
    kappas = [fact["kappa"] for fact in facts[:3]]
    assert got["kappa"] == pytest.approx(np.average(kappas, weights=[4, 20, 36]))


@pytest.mark.parametrize("facts", [[], [{"pixels": 0, "agree": None, "kappa": None}]])
def test_nothing_to_combine(facts):
    assert combine(facts) == {"images": 0, "pixels": 0, "agree": None, "kappa": None}
