import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jax_labor.experiments.iou import class_iou, mean_iou
from jax_labor.ops import metrics, rows


def random_logits(seed, shape):
    return (2 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize(("seed", "num_classes"), [(0, 2), (1, 5), (2, 19)])
def test_confusion_and_iou_equal_the_oracle(seed, num_classes):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, num_classes, (2, 9, 13)).astype(np.int32)
    labels[rng.random(labels.shape) < 0.3] = 255
    labels[0, 0, :2] = -1, num_classes
    guess = rng.integers(0, num_classes, labels.shape).astype(np.int32)
    counts = metrics.confusion_matrix(jnp.asarray(labels), jnp.asarray(guess), num_classes)
    assert counts.dtype == jnp.int32
    expected = oracles.confusion(labels, guess, num_classes)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(class_iou(np.asarray(counts)), oracles.iou(expected), rtol=1e-12)


def test_absent_classes_have_no_iou_and_do_not_lower_the_mean():
    labels, guess = jnp.array([[0, 0, 2]]), jnp.array([[0, 2, 2]])
    counts = metrics.confusion_matrix(labels, guess, 4)
    values = class_iou(np.asarray(counts))
    np.testing.assert_allclose(values, [0.5, np.nan, 0.5, np.nan])
    assert mean_iou(values) == 0.5


def test_only_void_gives_zero_counts_and_nan():
    counts = metrics.confusion_matrix(jnp.full((1, 4, 4), 255), jnp.zeros((1, 4, 4), jnp.int32), 3)
    assert int(counts.sum()) == 0
    assert np.isnan(mean_iou(class_iou(np.asarray(counts))))


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("elements", [1, 300])
def test_prediction_equals_the_oracle_for_any_block_size(monkeypatch, elements, align_corners):
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS_CPU", elements)
    logits, size = random_logits(3, (2, 4, 5, 6)), (13, 11)
    guess = np.asarray(metrics.predict(logits, size, align_corners))
    for b in range(2):
        p = oracles.probabilities(logits[b], size, align_corners)
        clear = oracles.margin(p) > 1e-5
        assert clear.mean() > 0.95
        np.testing.assert_array_equal(guess[b][clear], p.argmax(-1)[clear])


def test_equal_logits_predict_the_lowest_class():
    logits = jnp.zeros((1, 2, 3, 4)).at[..., 1].set(1.0).at[..., 3].set(1.0)
    np.testing.assert_array_equal(metrics.predict(logits, (2, 3), True), 1)


def test_ensemble_averages_probabilities_over_scales():
    passes, size = [random_logits(6, (1, 3, 4, 5)), random_logits(7, (1, 5, 7, 5))], (11, 13)
    mean = sum(oracles.probabilities(x[0], size, True) for x in passes)
    clear = oracles.margin(mean) > 1e-5
    guess = np.asarray(metrics.predict_ensemble(passes, size, True))[0]
    np.testing.assert_array_equal(guess[clear], mean.argmax(-1)[clear])
