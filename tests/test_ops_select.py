import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jax_labor.ops.disagreement import Disagreement
from jax_labor.ops.select import select_spl, select_top

SHAPE = (3, 7, 9)
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, -np.nan, 1e-45, -1e-45, 3.0], np.float32)


def scores(kind, seed):
    rng = np.random.default_rng(seed)
    if kind == "ties":
        return rng.integers(-2, 3, SHAPE).astype(np.float32)
    if kind == "special":
        return rng.choice(SPECIAL, SHAPE)
    return rng.standard_normal(SHAPE).astype(np.float32)


@pytest.mark.parametrize("budget", [0, 1, 10, 31, 62, 63, 1000, -3])
@pytest.mark.parametrize("kind", ["random", "ties", "special"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_equals_sorting(kind, budget, share):
    score = scores(kind, budget + 5)
    available = np.random.default_rng(9).random(SHAPE) < share
    if kind == "special":  # numbers below the smallest normal one count as zero on some devices
        score = np.where(np.abs(score) < 1e-40, 0, score).astype(np.float32)
    result = np.asarray(jax.jit(select_top)(score, available, budget))
    for b in range(SHAPE[0]):
        np.testing.assert_array_equal(result[b], oracles.top(score[b], available[b], budget))


def test_every_image_has_its_own_budget():
    score, available = scores("ties", 0), np.ones(SHAPE, bool)
    budget = np.array([0, 5, 999], np.int32)
    chosen = jax.jit(select_top)(score, available, budget)
    np.testing.assert_array_equal(chosen.sum((1, 2)), [0, 5, 63])


def test_equal_scores_go_in_flat_order():
    chosen = select_top(jnp.zeros((1, 4, 5)), jnp.ones((1, 4, 5), bool), 7)
    np.testing.assert_array_equal(np.flatnonzero(chosen), range(7))


def make_disagreement(seed, share):
    rng = np.random.default_rng(seed)
    discrepancy = rng.random(SHAPE).astype(np.float32)
    mask = rng.random(SHAPE) < share
    return Disagreement(mask, discrepancy, np.zeros(SHAPE, np.int32))


def test_spl_asks_the_whole_mask_within_the_budget():
    found, available = make_disagreement(0, 0.3), np.random.default_rng(1).random(SHAPE) < 0.8
    np.testing.assert_array_equal(select_spl(found, available, 63), found.mask & available)


def test_spl_keeps_the_highest_discrepancy_of_a_large_mask():
    found, available = make_disagreement(2, 0.7), np.random.default_rng(3).random(SHAPE) < 0.8
    chosen = np.asarray(select_spl(found, available, 11))
    assert chosen.sum((1, 2)).tolist() == [11, 11, 11]
    assert not np.any(chosen & ~(found.mask & available))
    for b in range(SHAPE[0]):
        open_ = found.mask[b] & available[b]
        assert (
            found.discrepancy[b][chosen[b]].min() > found.discrepancy[b][open_ & ~chosen[b]].max()
        )


def test_spl_cuts_a_large_mask_by_the_order_it_is_given():
    found, available = make_disagreement(2, 0.7), np.random.default_rng(3).random(SHAPE) < 0.8
    order = np.random.default_rng(4).random(SHAPE).astype(np.float32)
    chosen = np.asarray(select_spl(found, available, 11, order))
    np.testing.assert_array_equal(chosen, select_top(order, found.mask & available, 11))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_spl_with_nothing_to_ask(share):
    found = make_disagreement(4, share)
    assert not np.any(select_spl(found, np.full(SHAPE, share == 0), 10))
    assert not np.any(select_spl(found, np.ones(SHAPE, bool), 0))
