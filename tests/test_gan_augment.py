"""Adaptive augmentation: each transform against a slow one, what is drawn, and gradients."""

import math

import jax
import numpy as np
import pytest
from scipy import ndimage, signal

from jax_labor.errors import UserError
from jax_labor.ops.ada import augment, check_kinds
from jax_labor.ops.ada.colour import draw_colour, hue_rotation, recolour
from jax_labor.ops.ada.geometry import SYM6, draw_geometry, warp

pytestmark = pytest.mark.usefixtures("quick_compilation")
SIZE = (10, 14)


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(3).normal(size=(2, *SIZE, 3))
    return ndimage.gaussian_filter(noise, (0, 1, 1, 0)).astype(np.float32)


def scaling(x, y):
    return np.diag([x, y, 1.0])


def rotation(angle):
    cos, sin = math.cos(angle), math.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1.0]])


def translation(x, y):
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


def slow_warp(image, inverse, margin=40):
    """The image mirrored far out, raised to twice its size, sampled, and lowered again."""
    height, width, _ = image.shape
    taps = np.array(SYM6)
    padded = np.pad(image.astype(float), ((margin, margin), (margin, margin), (0, 0)), "reflect")
    fine = padded
    for axis in (0, 1):
        # A sample's own place is that of the tap before the filter's middle.
        fine = signal.upfirdn(2 * taps, fine, up=2, axis=axis)
        fine = np.take(fine, np.arange(5, 5 + 2 * padded.shape[axis]), axis)
    border = 6
    rows, columns = (np.arange(-2 * border, 2 * (n + border)) / 2 for n in (height, width))
    out = np.zeros((len(rows), len(columns), 3))
    for i, row in enumerate(rows):
        for j, column in enumerate(columns):
            place = inverse @ [column - (width - 1) / 2, row - (height - 1) / 2, 1]
            x, y = place[0] + (width - 1) / 2, place[1] + (height - 1) / 2
            at = [[2 * (y + margin)], [2 * (x + margin)]]
            for c in range(3):
                out[i, j, c] = ndimage.map_coordinates(fine[..., c], at, order=1)[0]
    for axis in (0, 1):
        low = signal.upfirdn(taps[::-1], out, axis=axis)
        length = image.shape[axis]
        out = np.take(low, 6 + 2 * (border + np.arange(length)), axis)
    return out


@pytest.mark.parametrize(
    "inverse",
    [
        np.eye(3),
        scaling(-1, 1),
        scaling(0.8, 0.8) @ rotation(0.1),
        scaling(0.7, 1.0) @ translation(0.8, -0.2),
        rotation(math.pi / 2) @ scaling(0.6, 0.6),
    ],
    ids=["identity", "mirror", "turn", "stretch", "quarter"],
)
def test_warping_equals_the_slow_way(images, inverse):
    matrices = np.broadcast_to(inverse, (2, 3, 3)).astype(np.float32)
    found = warp(images, matrices)
    expected = slow_warp(images[1], inverse)
    np.testing.assert_allclose(found[1], expected, atol=2e-4)


def test_far_outside_the_image_is_mirrored(images):
    """Nearly as if the mirrored image were raised: the wavelet is not quite symmetric."""
    shift = translation(9, -6)
    found = warp(images, np.broadcast_to(shift, (2, 3, 3)).astype(np.float32))[0]
    padded = np.pad(images[0], ((12, 12), (12, 12), (0, 0)), "reflect")
    expected = padded[6 : 6 + SIZE[0], 21 : 21 + SIZE[1]]
    assert np.abs(found - expected).max() < 0.1 * np.abs(images).max()
    inside = np.s_[9:, :2]  # which the shift takes from within
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-5)


def test_sym6_is_orthogonal():
    taps = np.array(SYM6)
    products = [2 * (taps[2 * k :] * taps[: len(taps) - 2 * k]).sum() for k in range(6)]
    np.testing.assert_allclose(products, [1, 0, 0, 0, 0, 0], atol=1e-9)
    assert taps.sum() == pytest.approx(1)


@pytest.mark.parametrize("kinds", ["bgc", "b", "c", ""])
def test_nothing_happens_at_probability_zero(images, kinds):
    keys = jax.random.split(jax.random.key(0), 2)
    found = jax.jit(augment, static_argnums=3)(images, keys, 0.0, kinds)
    np.testing.assert_allclose(found, images, atol=1e-5)


def test_a_sample_is_changed_alike_in_every_batch(images):
    keys = jax.random.split(jax.random.key(1), 2)
    change = jax.jit(augment)
    both, turned = change(images, keys, 1.0), change(images[::-1], keys[::-1], 1.0)
    np.testing.assert_allclose(both, turned[::-1], atol=1e-6)
    assert np.abs(both[0] - both[1]).max() > 0.1


def test_colour_equals_the_matrices_written_out(images):
    """Every transform at once; the draws are the sample's own, read from the matrix's structure."""
    grey = np.ones(3) / math.sqrt(3)
    matrices = np.asarray(
        jax.vmap(lambda key: draw_colour(key, 1.0))(jax.random.split(jax.random.key(2), 2))
    )
    found = recolour(images, matrices)
    for image, matrix, result in zip(images, matrices, found, strict=True):
        expected = np.zeros_like(image)
        for place in np.ndindex(SIZE):
            expected[place] = matrix[:3, :3] @ image[place] + matrix[:3, 3]
        np.testing.assert_allclose(result, expected, atol=1e-5)
        # Grey stays grey: hue and saturation turn and scale about that axis.
        luma = matrix[:3, :3] @ grey
        np.testing.assert_allclose(luma, luma.mean(), rtol=1e-4)


def test_the_hue_turns_about_grey():
    third = np.asarray(hue_rotation(2 * math.pi / 3))
    np.testing.assert_allclose(third[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-6)
    np.testing.assert_allclose(third[:3, :3] @ [0, 0, 1], [1, 0, 0], atol=1e-6)
    np.testing.assert_allclose(third @ third @ third, np.eye(4), atol=1e-5)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_blits_happen_as_often_as_asked(p):
    keys = jax.random.split(jax.random.key(4), 2000)
    draw = jax.jit(jax.vmap(lambda key: draw_geometry(key, p, SIZE, True, False)))
    matrices = np.asarray(draw(keys))
    linear, shift = matrices[:, :2, :2], matrices[:, :2, 2]
    mirrored = np.linalg.det(linear) < 0
    assert mirrored.mean() == pytest.approx(p / 2, abs=0.04)
    turned = np.abs(linear[:, 0, 0]) < 0.5  # a quarter or three
    assert turned.mean() == pytest.approx(p / 2, abs=0.04)
    np.testing.assert_allclose(shift, np.round(shift), atol=1e-4)
    moved = np.abs(shift) > 0.5
    # Of round(U(-1.25, 1.25)) and round(U(-1.75, 1.75)), not both zero.
    assert moved.any(1).mean() == pytest.approx(p * (1 - 1 / 2.5 / 3.5), abs=0.04)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_general_transforms_have_their_spread(p):
    keys = jax.random.split(jax.random.key(5), 3000)
    draw = jax.jit(jax.vmap(lambda key: draw_geometry(key, p, (100, 100), False, True)))
    matrices = np.asarray(draw(keys))
    area = 0.5 * np.log2(np.linalg.det(matrices[:, :2, :2]))
    assert (np.abs(area) > 1e-5).mean() == pytest.approx(p, abs=0.04)
    assert area.std() == pytest.approx(0.2 * math.sqrt(p), abs=0.02)
    # Stretching is the ratio of the singular values.
    values = np.linalg.svd(matrices[:, :2, :2], compute_uv=False)
    stretch = 0.5 * np.log2(values[:, 0] / values[:, 1])
    assert np.sqrt((stretch**2).mean()) == pytest.approx(0.2 * math.sqrt(p), abs=0.02)
    # One or both of two rotations happen with probability p.
    unturned = np.abs(matrices[:, 0, 1]) < 1e-6
    assert unturned.mean() == pytest.approx(1 - p, abs=0.04)


@pytest.mark.parametrize("p", [0.3, 1.0])
def test_colours_have_their_spread(p):
    keys = jax.random.split(jax.random.key(6), 3000)
    matrices = np.asarray(jax.jit(jax.vmap(lambda key: draw_colour(key, p)))(keys))
    grey = np.ones(3) / math.sqrt(3)
    luma = np.einsum("i,nij,j->n", grey, matrices[:, :3, :3], grey)
    assert (luma < 0).mean() == pytest.approx(p / 2, abs=0.04)
    assert np.log2(np.abs(luma)).std() == pytest.approx(0.5 * math.sqrt(p), abs=0.05)
    across = np.linalg.det(matrices[:, :3, :3]) / luma
    saturation = 0.5 * np.log2(across) - np.log2(np.abs(luma))
    assert saturation.std() == pytest.approx(math.sqrt(p), abs=0.08)
    brightness = matrices[:, :3, 3] @ grey / luma / math.sqrt(3)
    assert brightness.std() == pytest.approx(0.2 * math.sqrt(p), abs=0.03)


def test_gradients_are_those_of_a_linear_map(images):
    """<augment(x), y> has the gradient augment^T(y): checked by a second inner product."""
    keys, rng = jax.random.split(jax.random.key(7), (20, 2)), np.random.default_rng(0)
    other, weight = (rng.normal(size=images.shape).astype(np.float32) for _ in range(2))

    @jax.jit
    @jax.value_and_grad
    def product(x, keys):
        return (augment(x, keys, 0.9) * weight).sum()

    for pair in keys:  # and no key makes a gradient that is not a number
        value, grads = product(images, pair)
        difference = product(images + other, pair)[0] - value
        np.testing.assert_allclose((grads * other).sum(), difference, rtol=1e-3, atol=1e-3)
        assert np.abs(grads).max() > 0.1


def test_unknown_kinds_are_named():
    check_kinds("cb")
    with pytest.raises(UserError, match="augment.kinds is 'bgn'"):
        check_kinds("bgn", "config.augment.kinds")
