import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jax_labor.ops import prototypes, rows
from jax_labor.ops.disagreement import Disagreement, disagreement
from jax_labor.ops.prototypes import select_ppl, top_per_class

STATIC = ("points", "per_class", "similarity", "probs", "align_corners")
SELECT = jax.jit(select_ppl, static_argnames=STATIC)


def case(seed, shape, size, share=0.8, class_of_pixel="mean"):
    rng = np.random.default_rng(seed)
    x1, x2 = (2 * rng.standard_normal((2, *shape))).astype(np.float32)
    found = disagreement(x1, x2, size, class_of_pixel=class_of_pixel)
    return x1, x2, found, rng.random((shape[0], *size)) < share


def check_against_oracle(x1, x2, found, available, options):
    """Same classes in the same order, and equal similarity at each place (not index: rounding)."""
    asked, points = SELECT(x1, x2, found, available, **options)
    kind, points = options.get("similarity", "cosine"), np.asarray(points)
    first = options.get("first", np.zeros(len(x1), int))
    budget = options.get("budget", [None] * len(x1))
    for b in range(len(x1)):
        size = available.shape[1:]
        p1, p2 = (oracles.probabilities(x[b], size, True) for x in (x1, x2))
        p = {"mean": (p1 + p2) / 2, "c1": p1, "c2": p2}[options.get("probs", "mean")]
        classes = np.asarray(found.prediction[b])
        candidates = np.asarray(found.mask[b]) & available[b]
        chosen = [i for i in points[b] if i >= 0]
        assert points[b].tolist() == chosen + [-1] * (points.shape[1] - len(chosen))
        np.testing.assert_array_equal(np.flatnonzero(asked[b]), sorted(chosen))
        expected = oracles.ppl(
            p,
            classes,
            candidates,
            options["points"],
            options.get("per_class", False),
            kind,
            first[b],
        )[: budget[b]]
        if classes.ndim == 3:  # rounding may make a pixel of two classes stand for the other
            assert chosen == expected
            continue
        flat = classes.ravel()
        assert [flat[i] for i in chosen] == [flat[i] for i in expected]
        ranked = oracles.ranked_points(p, classes, candidates, kind)
        value = {i: s for members in ranked.values() for s, i in members}
        np.testing.assert_allclose(
            [value[i] for i in chosen], [value[i] for i in expected], atol=2e-5
        )


@pytest.mark.parametrize(
    "options",
    [
        {"points": 9, "similarity": "cosine"},
        {"points": 9, "similarity": "l2"},
        {"points": 3, "similarity": "dot", "per_class": True},
        {"points": 3, "similarity": "kl", "per_class": True},
        {"points": 7, "first": np.array([3, 1], np.int32)},
        {"points": 7, "budget": np.array([4, 0], np.int32)},
    ],
)
def test_equals_the_oracle(options):
    check_against_oracle(*case(0, (2, 4, 5, 5), (11, 14)), options)


def test_memory_stays_far_below_one_map_of_probabilities():
    image, classes = (1, 1024, 2048), 19
    x = jax.ShapeDtypeStruct((1, 129, 257, classes), jnp.float32)
    types = (bool, jnp.float32, jnp.int32)
    found = Disagreement(*(jax.ShapeDtypeStruct(image, t) for t in types))
    function = jax.jit(functools.partial(select_ppl, points=40))
    compiled = function.lower(x, x, found, found.mask).compile()
    temporary = compiled.memory_analysis().temp_size_in_bytes
    assert temporary < image[1] * image[2] * classes * 4 / 2


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "options",
    [
        {"points": 11},
        {"points": 3, "per_class": True},
        {"points": 500},
        {"points": 6, "probs": "c1"},
    ],
)
def test_pixels_of_two_classes(seed, options):
    shape = (2, 3, 4, (2, 7)[seed % 2])  # each number of classes compiles anew
    check_against_oracle(*case(seed, shape, (9, 8), class_of_pixel="both"), options)


def test_prototypes_of_one_classifier():
    data = case(1, (1, 3, 4, 3), (9, 8))
    for probs in ("c1", "c2"):
        check_against_oracle(*data, {"points": 6, "probs": probs})


@pytest.mark.parametrize(("points", "per_class"), [(1, False), (500, False), (500, True)])
def test_any_number_of_points(points, per_class):
    data = case(2, (1, 3, 4, 2), (9, 8))
    check_against_oracle(*data, {"points": points, "per_class": per_class})


def test_many_blocks_give_the_same_answer(monkeypatch):
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS_CPU", 700)
    monkeypatch.setattr(prototypes, "GROUP", 3)
    check_against_oracle(*case(3, (1, 4, 5, 19), (13, 10)), {"points": 40})


def test_exact_number_when_the_mask_is_large_enough():
    x1, x2, found, available = case(4, (3, 4, 5, 4), (16, 15))
    room = np.sum(np.asarray(found.mask) & available, (1, 2))
    asked, points = SELECT(x1, x2, found, available, points=40)
    assert room.min() > 40
    np.testing.assert_array_equal(asked.sum((1, 2)), 40)
    assert all(len(set(row)) == 40 for row in np.asarray(points).tolist())


@pytest.mark.parametrize("similarity", ["cosine", "kl"])
def test_ties_go_to_the_lowest_flat_index(similarity):
    """Pixels copied from a few patterns at equal size: similarities repeat bit for bit."""
    rng = np.random.default_rng(5)
    patterns = 2 * rng.standard_normal((2, 6, 4)).astype(np.float32)
    place = rng.integers(0, 6, (1, 37, 23))
    x1, x2 = patterns[0][place], patterns[1][place]
    found = disagreement(x1, x2, (37, 23))
    available = rng.random(place.shape) < 0.9
    candidates = np.asarray(found.mask) & available
    assert candidates.sum() > 60
    p = (oracles.softmax(x1[0]) + oracles.softmax(x2[0])) / 2
    expected = oracles.ppl(p, np.asarray(found.prediction[0]), candidates[0], 30, False, similarity)
    _, points = SELECT(x1, x2, found, available, points=30, similarity=similarity)
    np.testing.assert_array_equal(points[0], expected)


def test_nothing_to_ask():
    x1, x2, found, available = case(6, (2, 3, 4, 3), (8, 8))
    empty = found._replace(mask=jnp.zeros_like(found.mask))
    for d, a in ((found, np.zeros_like(available)), (empty, available)):
        asked, points = SELECT(x1, x2, d, a, points=5)
        assert not np.any(asked)
        np.testing.assert_array_equal(points, -1)


def test_identical_classifiers_ask_nothing():
    x, _, _, available = case(7, (1, 3, 4, 3), (8, 8))
    asked, _ = SELECT(x, x, disagreement(x, x.copy(), (8, 8)), available, points=5)
    assert not np.any(asked)


def test_jit_equals_eager():
    data = case(8, (2, 4, 5, 5), (11, 14))
    function = functools.partial(select_ppl, points=12)
    for eager, jitted in zip(function(*data), jax.jit(function)(*data), strict=True):
        np.testing.assert_array_equal(eager, jitted)


@pytest.mark.parametrize("n", [1, 4, 200])
def test_top_per_class_with_many_ties(n):
    rng = np.random.default_rng(n)
    score = rng.integers(0, 4, (19, 17)).astype(np.float32)
    classes = rng.integers(0, 5, score.shape).astype(np.int32)
    classes[classes == 3] = 2
    candidates = rng.random(score.shape) < 0.7
    index, best = top_per_class(score, classes, candidates, 5, n)
    for k in range(5):
        members = np.flatnonzero((classes == k) & candidates)
        expected = sorted(members, key=lambda i: (-score.ravel()[i], i))[:n]
        assert np.asarray(index)[k][np.isfinite(best)[k]].tolist() == expected


@pytest.mark.parametrize("option", [{"similarity": "taxicab"}, {"probs": "p_A"}, {"points": 0}])
def test_bad_arguments_are_refused(option):
    x = jnp.zeros((1, 2, 2, 3))
    found = Disagreement(*(jnp.zeros((1, 2, 2), t) for t in (bool, jnp.float32, jnp.int32)))
    with pytest.raises(ValueError, match="similarity|probabilities|points"):
        select_ppl(x, x, found, found.mask, **{"points": 3, **option})
