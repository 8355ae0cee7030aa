import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jax_labor.steps import losses, pseudo_labels

pytestmark = pytest.mark.usefixtures("quick_compilation")


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("void", [0.0, 0.4, 1.0])
def test_cross_entropy_is_the_mean_over_labelled_pixels(void, rng):
    logits = rng.normal(size=(2, 5, 7, 4)).astype(np.float32)
    labels = rng.integers(0, 4, (2, 5, 7))
    labels = np.where(rng.random(labels.shape) < void, 255, labels)
    total, count = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(labels))
    expected = 0.0
    for index in np.argwhere(labels != 255):
        expected -= np.log(softmax(logits[tuple(index)])[labels[tuple(index)]])
    assert count == (labels != 255).sum()
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    gradient = jax.grad(lambda x: losses.cross_entropy(x, jnp.asarray(labels))[0])(
        jnp.asarray(logits)
    )
    assert np.isfinite(gradient).all()
    assert (np.asarray(gradient)[labels == 255] == 0).all()


@pytest.mark.parametrize("void", [0.4, 1.0])
def test_weighted_cross_entropy_is_pytorchs(void, rng):
    logits = rng.normal(size=(2, 5, 7, 4)).astype(np.float32)
    labels = np.where(rng.random((2, 5, 7)) < void, 255, rng.integers(0, 4, (2, 5, 7)))
    weights = rng.uniform(0.1, 3, 4).astype(np.float32)
    total, count = losses.cross_entropy(
        jnp.asarray(logits), jnp.asarray(labels), class_weights=weights
    )
    np.testing.assert_allclose(count, weights[labels[labels != 255]].sum(), rtol=1e-6)
    theirs = torch.nn.functional.cross_entropy(
        torch.tensor(logits).movedim(-1, 1),
        torch.tensor(labels),
        torch.tensor(weights),
        ignore_index=255,
        reduction="sum",
    )
    np.testing.assert_allclose(total, theirs, rtol=1e-5)


def test_class_balance_by_hand():
    pixels = np.array([400, 100, 0, 25])
    np.testing.assert_allclose(losses.class_balance(pixels, 1), [0.25, 1, 4, 4])
    np.testing.assert_allclose(losses.class_balance(pixels, 0.5), [0.5, 1, 2, 2])
    np.testing.assert_array_equal(losses.class_balance(pixels, 0), 1)


def test_cross_entropy_raises_the_logits_to_the_labels(rng):
    # Aligned corners: the corner pixels of the labels see the corner logits.
    logits = jnp.asarray(rng.normal(size=(1, 3, 4, 5)), jnp.float32)
    labels = np.full((1, 17, 22), 255)
    labels[0, -1, -1] = 2
    total, count = losses.cross_entropy(logits, jnp.asarray(labels), align_corners=True)
    np.testing.assert_allclose(total, -np.log(softmax(np.asarray(logits[0, -1, -1]))[2]), rtol=1e-5)
    assert count == 1


def test_adversarial_losses_by_hand():
    logits = jnp.asarray([[[[0.0], [2.0]]]])
    total, count = losses.adversarial(logits, is_target=True, kind="vanilla")
    np.testing.assert_allclose(total, np.log(2) + np.log1p(np.exp(-2.0)), rtol=1e-6)
    assert count == 2
    total, _ = losses.adversarial(logits, is_target=False, kind="vanilla")
    np.testing.assert_allclose(total, np.log(2) + np.log1p(np.exp(2.0)), rtol=1e-6)
    total, _ = losses.adversarial(logits, is_target=True, kind="least_squares")
    np.testing.assert_allclose(total, 1.0 + 1.0)


def test_self_information_is_advents(golden):
    found = np.load(golden / "fc_discriminator_prob2entropy.npz")
    prob = np.moveaxis(found["prob"].astype(np.float32), 1, -1)
    ours = np.asarray(losses.weighted_self_information(jnp.asarray(prob)))
    np.testing.assert_allclose(np.moveaxis(ours, -1, 1), found["prob_2_entropy"], atol=1e-6)


def test_discrepancy_is_mcds_mean(rng):
    a, b = rng.normal(size=(2, 2, 3, 4, 6)).astype(np.float32)
    total, count = losses.discrepancy(jnp.asarray(a), jnp.asarray(b))
    np.testing.assert_allclose(total / count, np.abs(softmax(a) - softmax(b)).mean(), rtol=1e-5)


def test_weight_cosine_of_equal_opposite_and_orthogonal():
    a = {"x": jnp.asarray([1.0, 0.0]), "y": jnp.asarray([[2.0]])}
    opposite = jax.tree.map(lambda x: -3 * x, a)
    orthogonal = {"x": jnp.asarray([0.0, 5.0]), "y": jnp.asarray([[0.0]])}
    for other, expected in ((a, 1.0), (opposite, -1.0), (orthogonal, 0.0)):
        np.testing.assert_allclose(losses.weight_cosine(a, other), expected, atol=1e-6)


def test_pseudo_labels_are_iasts(golden):
    found = np.load(golden / "iast_ias.npz")
    thresholds = jnp.asarray(found["init_thresh"], jnp.float32)
    for step in range(4):
        confidence = jnp.asarray(found["max_prob"][step])
        prediction = jnp.asarray(found["argmax"][step], jnp.int32)
        thresholds = pseudo_labels.update_thresholds(
            thresholds, confidence, prediction, alpha=0.2, beta=0.9, gamma=8.0
        )
        np.testing.assert_allclose(thresholds, found["thresh"][step], atol=1e-6)
        labels = pseudo_labels.select(thresholds, confidence, prediction)
        np.testing.assert_array_equal(labels, found["labels"][step])


@pytest.mark.parametrize("pixels", [1, 7, 300])
def test_thresholds_against_numpy_percentiles(pixels, rng):
    classes = 4
    before = rng.uniform(0.3, 1.0, classes).astype(np.float32)
    confidence = rng.choice(np.linspace(0.3, 1.0, 9), pixels).astype(np.float32)  # many ties
    prediction = rng.integers(0, classes - 1, pixels)  # the last class never occurs
    after = pseudo_labels.update_thresholds(
        jnp.asarray(before), jnp.asarray(confidence), jnp.asarray(prediction), 0.3, 0.5, 2.0
    )
    for c in range(classes):
        values = np.append(confidence[prediction == c].astype(np.float16), before[c])
        percentile = np.percentile(values, 100 * (1 - 0.3 * before[c] ** 2))
        moved = 0.5 * before[c] + 0.5 * percentile
        np.testing.assert_allclose(after[c], 0.999 if moved >= 1 else moved, atol=2e-6)
    np.testing.assert_allclose(after[-1], min(before[-1], 0.999), atol=1e-6)
