"""Votes, divergence and scores of an ensemble against NumPy and SciPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
import torch

from jax_labor.ops.divergence import divergence, image_score, opinion, vote


@jax.jit
def conclude(logits):
    """(summed opinions, divergence, hard vote, soft vote) of logits [M, K, P]."""
    total = jax.tree.map(lambda x: x.sum(0), jax.vmap(opinion)(logits))
    return total, divergence(total, len(logits)), vote(total, "hard"), vote(total, "soft")


def entropy(p):
    return -sum(q * math.log(q) for q in p if q > 0)


def slow_divergence(logits):
    """H(mean p) - mean H(p) by its definition in float64, one pixel at a time."""
    x = np.asarray(logits, np.float64)
    out = []
    for pixel in range(x.shape[2]):
        p = []
        for member in x[:, :, pixel]:
            e = [math.exp(v - max(member)) for v in member]
            p.append([v / sum(e) for v in e])
        out.append(entropy(np.mean(p, 0)) - np.mean([entropy(q) for q in p]))
    return np.array(out)


def slow_vote(logits):
    """Most frequent argmax; torch's mode takes the smallest of equals, as scipy's does."""
    return torch.from_numpy(np.asarray(logits).argmax(1)).mode(0).values.numpy()


@pytest.mark.parametrize(
    "members, classes, scale", [(1, 2, 1), (10, 20, 3), (7, 34, 50), (3, 2, 0)]
)
def test_divergence_and_votes(members, classes, scale):
    rng = np.random.default_rng(members)
    logits = (scale * rng.standard_normal((members, classes, 40))).astype(np.float32)
    total, js, hard, soft = conclude(logits)
    np.testing.assert_allclose(js, slow_divergence(logits), atol=2e-6)
    np.testing.assert_array_equal(hard, slow_vote(logits))
    np.testing.assert_allclose(total.probability.sum(0), members, rtol=1e-5)
    mean = scipy.special.softmax(logits, 1).mean(0)
    np.testing.assert_array_equal(soft, mean.argmax(0))


def test_coarse_logits_tie_often_and_the_smallest_class_wins():
    logits = np.random.default_rng(0).integers(0, 2, (4, 5, 300)).astype(np.float32)
    total, _, hard, _ = conclude(logits)
    tied = (np.asarray(total.votes) == np.asarray(total.votes).max(0)).sum(0) > 1
    assert tied.sum() > 50
    np.testing.assert_array_equal(hard, slow_vote(logits))


def test_hard_and_soft_votes_differ_where_one_member_is_sure():
    sure, lukewarm = [9.0, 0.0], [0.0, 0.1]
    _, _, hard, soft = conclude(np.array([sure, lukewarm, lukewarm], np.float32)[..., None])
    assert (int(hard[0]), int(soft[0])) == (1, 0)


def test_members_that_agree_diverge_by_nothing_and_opposites_by_log_two():
    same = np.full((10, 3, 1), [[5.0], [1.0], [0.0]], np.float32)
    assert 0 <= float(conclude(same)[1][0]) < 1e-6
    opposite = np.array([[[1e4], [-1e4]], [[-1e4], [1e4]]], np.float32)
    np.testing.assert_allclose(conclude(opposite)[1], math.log(2), rtol=1e-6)


def test_half_precision_logits_are_summed_in_float32():
    logits = np.random.default_rng(1).standard_normal((10, 6, 9)).astype(np.float16)
    assert conclude(logits)[1].dtype == jnp.float32
    np.testing.assert_array_equal(conclude(logits)[1], conclude(logits.astype(np.float32))[1])


@pytest.mark.parametrize("shape", [(3, 3), (1, 10), (20, 31), (64, 64)])
def test_image_score_is_the_published_formula(shape):
    js = np.random.default_rng(0).random(shape).astype(np.float32)
    published = torch.from_numpy(js).reshape(1, -1).sort()[0][0][-int(js.size / 10) :].mean()
    np.testing.assert_allclose(image_score(jnp.asarray(js), "top"), published, rtol=1e-6)
    np.testing.assert_allclose(image_score(jnp.asarray(js), "sum"), js.sum(), rtol=1e-5)


def test_unknown_settings():
    with pytest.raises(ValueError, match="hard"):
        vote(None, "most")
    with pytest.raises(ValueError, match="top"):
        image_score(jnp.zeros((2, 2)), "mean")
