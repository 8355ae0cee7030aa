import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jax_labor.ops.regions import select_regions

SHAPE = (2, 13, 17)
SELECT = jax.jit(select_regions, static_argnums=(3, 4))


def case(kind, share, seed=0):
    rng = np.random.default_rng(seed)
    score = rng.random(SHAPE).astype(np.float32)
    if kind == "ties":
        score = rng.integers(0, 3, SHAPE).astype(np.float32)
    if kind == "special":
        score[rng.random(SHAPE) < 0.5] = -np.inf
        score[rng.random(SHAPE) < 0.3] = np.nan
    return score, rng.random(SHAPE) < share


@pytest.mark.parametrize("kind", ["random", "ties", "special"])
@pytest.mark.parametrize(("radius", "suppress"), [(0, 0), (1, 2), (0, 4), (1, 20)])
def test_equals_the_oracle(kind, radius, suppress):
    for share, budget in ((1.0, 40), (0.6, 25), (0.6, 300), (0.1, 7)):
        score, available = case(kind, share, seed=budget)
        result = np.asarray(SELECT(score, available, budget, radius, suppress))
        np.testing.assert_array_equal(result.sum((1, 2)), np.minimum(available.sum((1, 2)), budget))
        for b in range(SHAPE[0]):
            expected = oracles.regions(score[b], available[b], budget, radius, suppress)
            np.testing.assert_array_equal(result[b], expected)


@pytest.mark.parametrize("share", [0.3, 0.0])
def test_centres_are_chosen_among_some_and_the_rest_by_score(share):
    score, available = case("random", 0.8)
    centres = np.random.default_rng(1).random(SHAPE) < share
    result = np.asarray(SELECT(score, available, 30, 1, 4, centres))
    for b in range(SHAPE[0]):
        expected = oracles.regions(score[b], available[b], 30, 1, 4, centres[b])
        np.testing.assert_array_equal(result[b], expected)


@pytest.mark.parametrize(("share", "budget"), [(1.0, 0), (0.0, 9), (1.0, -2)])
def test_nothing_to_ask(share, budget):
    score, available = case("random", share)
    available = available & (share > 0)
    assert not np.any(SELECT(score, available, budget, 1, 2))


def test_every_image_has_its_own_budget():
    score, available = case("random", 1.0)
    chosen = SELECT(score, available, np.array([5, 50], np.int32), 1, 2)
    np.testing.assert_array_equal(chosen.sum((1, 2)), [5, 50])


def test_points_keep_their_distance():
    score, available = case("random", 1.0)
    asked = SELECT(score, available, 3, 0, 4)
    places = np.argwhere(asked[0])
    for i in range(len(places)):
        for j in range(i):
            assert np.abs(places[i] - places[j]).max() > 4


@pytest.mark.parametrize(("radius", "suppress"), [(2, 1), (-1, 0)])
def test_bad_radii_are_refused(radius, suppress):
    with pytest.raises(ValueError, match="radius"):
        select_regions(jnp.zeros((1, 4, 4)), jnp.ones((1, 4, 4), bool), 1, radius, suppress)
