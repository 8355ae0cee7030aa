import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jax_labor.ops import rows
from jax_labor.ops.uncertainty import region_impurity, uncertainty, window_sum


def random_logits(seed, shape):
    return (2 * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize(("num_classes", "align_corners"), [(2, True), (7, False)])
def test_scores_equal_the_oracle(monkeypatch, num_classes, align_corners):
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS_CPU", 150)
    logits, size = random_logits(0, (2, 3, 5, num_classes)), (10, 7)
    entropies = uncertainty(logits, size, "entropy", align_corners)
    margins = uncertainty(logits, size, "margin", align_corners)
    for b in range(2):
        p = oracles.probabilities(logits[b], size, align_corners)
        entropy = -(p * np.log(p + 1e-6)).sum(-1) / np.log(num_classes)
        np.testing.assert_allclose(entropies[b], entropy, atol=1e-5)
        np.testing.assert_allclose(margins[b], 1 - oracles.margin(p), atol=1e-5)


def test_certain_and_undecided_pixels_are_the_ends_of_the_scale():
    logits = jnp.zeros((1, 1, 2, 4)).at[0, 0, 0, 2].set(50.0)
    for kind in ("entropy", "margin"):
        np.testing.assert_allclose(uncertainty(logits, (1, 2), kind)[0, 0], [0, 1], atol=1e-5)


@pytest.mark.parametrize("radius", [0, 1, 3, 12])
def test_window_sum_is_exact_for_integers(radius):
    x = np.random.default_rng(radius).integers(0, 9, (7, 10))
    expected = [
        sum(x[q] for q in oracles.windows(*place, radius, x.shape)) for place in np.ndindex(x.shape)
    ]
    total = jax.jit(window_sum, static_argnums=1)(x, radius)
    np.testing.assert_array_equal(total.ravel(), expected)


@pytest.mark.parametrize(
    ("radius", "pick", "num_classes"), [(1, None, 2), (2, 2, 5), (9, 0, 4), (3, 1, 3)]
)
def test_region_impurity_equals_the_oracle(radius, pick, num_classes):
    logits, size = random_logits(1, (1, 3, 4, num_classes)), (11, 8)
    p = oracles.probabilities(logits[0], size, True)
    assert oracles.margin(p).min() > 1e-5
    score = jax.jit(region_impurity, static_argnums=(1, 2, 3, 4))
    expected = oracles.region_impurity(p, radius, radius if pick is None else pick)
    np.testing.assert_allclose(score(logits, size, radius, True, pick)[0], expected, atol=1e-5)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="entropy"):
        uncertainty(jnp.zeros((1, 2, 2, 3)), (2, 2), "variance")
