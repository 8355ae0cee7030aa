import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jax_labor.ops import rows
from jax_labor.ops.disagreement import disagreement


def two_logits(seed, shape, difference=1.0):
    rng = np.random.default_rng(seed)
    first = 2 * rng.standard_normal(shape)
    return (
        first.astype(np.float32),
        (first + difference * rng.standard_normal(shape)).astype(np.float32),
    )


CASES = [
    ((1, 3, 4, 2), (7, 5), True, "mean"),
    ((2, 4, 3, 5), (9, 14), False, "c1"),
    ((3, 2, 5, 19), (6, 11), True, "c2"),
    ((1, 5, 6, 7), (5, 6), False, "mean"),
    ((1, 6, 5, 4), (3, 4), True, "mean"),
]


@pytest.mark.parametrize(("shape", "size", "align_corners", "class_of_pixel"), CASES)
def test_equals_the_oracle(monkeypatch, shape, size, align_corners, class_of_pixel):
    monkeypatch.setattr(rows, "BLOCK_ELEMENTS_CPU", 3 * size[1] * shape[-1])  # three rows
    x1, x2 = two_logits(0, shape)
    result = disagreement(x1, x2, size, align_corners, class_of_pixel)
    assert result.mask.shape == (shape[0], *size)
    for b in range(shape[0]):
        p1 = oracles.probabilities(x1[b], size, align_corners)
        p2 = oracles.probabilities(x2[b], size, align_corners)
        p = {"mean": (p1 + p2) / 2, "c1": p1, "c2": p2}[class_of_pixel]
        np.testing.assert_allclose(result.discrepancy[b], np.abs(p1 - p2).mean(-1), atol=1e-6)
        clear = np.minimum(np.minimum(oracles.margin(p1), oracles.margin(p2)), oracles.margin(p))
        clear = clear > 1e-5
        assert clear.mean() > 0.9
        mask = p1.argmax(-1) != p2.argmax(-1)
        np.testing.assert_array_equal(np.asarray(result.mask[b])[clear], mask[clear])
        np.testing.assert_array_equal(np.asarray(result.prediction[b])[clear], p.argmax(-1)[clear])


def test_the_class_of_a_pixel_may_be_that_of_each_classifier():
    pair, size = two_logits(4, (2, 4, 5, 6)), (13, 9)
    both = disagreement(*pair, size, class_of_pixel="both")
    for number, name in enumerate(("c1", "c2")):
        one = disagreement(*pair, size, class_of_pixel=name)
        np.testing.assert_array_equal(both.prediction[:, number], one.prediction)
        np.testing.assert_array_equal(both.mask, one.mask)
    classes = np.asarray(both.prediction)
    np.testing.assert_array_equal(classes[:, 0] != classes[:, 1], both.mask)


@pytest.mark.parametrize("size", [(23, 31), (40, 33), (5, 7)])
def test_identical_classifiers_never_disagree(size):
    x, _ = two_logits(1, (2, 5, 7, 6))
    result = jax.jit(disagreement, static_argnums=2)(x, x.copy(), size)
    assert not np.any(result.mask)
    np.testing.assert_allclose(result.discrepancy, 0, atol=1e-7)


def test_constant_logits_tie_towards_the_lowest_class():
    result = disagreement(jnp.zeros((1, 2, 2, 3)), jnp.ones((1, 2, 2, 3)), (5, 5))
    assert not np.any(result.mask)
    np.testing.assert_array_equal(result.prediction, 0)


def test_jit_equals_eager():
    x1, x2 = two_logits(2, (2, 4, 5, 6))
    eager = disagreement(x1, x2, (13, 9))
    jitted = jax.jit(disagreement, static_argnums=2)(x1, x2, (13, 9))
    np.testing.assert_array_equal(eager.mask, jitted.mask)
    np.testing.assert_array_equal(eager.prediction, jitted.prediction)
    np.testing.assert_allclose(eager.discrepancy, jitted.discrepancy, atol=1e-7)


def test_renaming_classes_renames_predictions_only():
    x1, x2 = two_logits(3, (1, 4, 5, 6))
    order = np.random.default_rng(0).permutation(6)
    plain, renamed = (
        disagreement(a, b, (13, 9)) for a, b in ((x1, x2), (x1[..., order], x2[..., order]))
    )
    np.testing.assert_array_equal(plain.mask, renamed.mask)
    np.testing.assert_allclose(plain.discrepancy, renamed.discrepancy, atol=1e-6)
    np.testing.assert_array_equal(plain.prediction, order[np.asarray(renamed.prediction)])


@pytest.mark.parametrize("align_corners", [True, False])
def test_mirrored_logits_give_the_mirrored_answer(align_corners):
    x1, x2 = two_logits(4, (1, 4, 5, 6))
    plain = disagreement(x1, x2, (12, 15), align_corners)
    mirrored = disagreement(x1[:, :, ::-1], x2[:, :, ::-1], (12, 15), align_corners)
    np.testing.assert_array_equal(plain.mask, mirrored.mask[:, :, ::-1])
    np.testing.assert_array_equal(plain.prediction, mirrored.prediction[:, :, ::-1])
    np.testing.assert_allclose(plain.discrepancy, mirrored.discrepancy[:, :, ::-1], atol=1e-5)


def test_memory_stays_far_below_one_map_of_probabilities():
    size, classes = (1024, 2048), 19
    x = jax.ShapeDtypeStruct((1, 129, 257, classes), jnp.float32)
    compiled = jax.jit(disagreement, static_argnums=2).lower(x, x, size).compile()
    temporary = compiled.memory_analysis().temp_size_in_bytes
    assert temporary < size[0] * size[1] * classes * 4 / 4


@pytest.mark.parametrize(
    "call",
    [
        lambda x: disagreement(x, x, (4, 4), class_of_pixel="all"),
        lambda x: disagreement(x, x[..., :2], (4, 4)),
    ],
)
def test_bad_arguments_are_refused(call):
    with pytest.raises(ValueError, match="c1|differ"):
        call(jnp.zeros((1, 2, 2, 3)))
