import jax
import numpy as np
import oracles
import pytest

from jax_labor.ops.medoids import greedy_medoids

medoids = jax.jit(greedy_medoids, static_argnums=1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("number", "count"), [(1, 1), (7, 3), (25, 8), (12, 12)])
def test_every_choice_lowers_the_distances_most(number, count, seed):
    points = np.random.default_rng(seed).standard_normal((number, 5)).astype(np.float32)
    chosen = medoids(points, count).tolist()
    assert len(set(chosen)) == count
    for step, choice in enumerate(chosen):
        costs = oracles.medoid_costs(points, chosen[:step])
        left = np.setdiff1d(np.arange(number), chosen[:step])
        # Two points that gain from each other alone are equally good, whatever rounding says.
        assert costs[choice] <= costs[left].min() + 1e-4


def test_of_equally_good_ones_the_first():
    points = np.array([[0, 0], [3, 4], [0, 0], [3, 4]], np.float32)
    assert medoids(points, 4).tolist() == [0, 1, 2, 3]


def test_the_middle_first_then_the_largest_cluster():
    sizes = {10.0: 3, -10.0: 9, 0.0: 6}
    centres = np.repeat(list(sizes), list(sizes.values()))
    points = np.stack([centres, np.linspace(0, 0.1, 18)], 1).astype(np.float32)
    assert centres[medoids(points, 3)].tolist() == [0.0, -10.0, 10.0]


def test_the_first_are_those_of_a_smaller_count():
    points = np.random.default_rng(0).standard_normal((30, 3)).astype(np.float32)
    np.testing.assert_array_equal(medoids(points, 20)[:6], medoids(points, 6))


def test_points_that_are_no_numbers_are_chosen_once_each():
    points = np.full((5, 2), np.nan, np.float32)
    assert sorted(medoids(points, 5).tolist()) == [0, 1, 2, 3, 4]
