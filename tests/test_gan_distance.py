"""Sliced Wasserstein distance by scale against NumPy and SciPy."""

import tracemalloc

import jax
import numpy as np
import pytest
from scipy import ndimage, stats
from small_gan import config

from jax_labor.experiments.gan_assembly import Images
from jax_labor.experiments.gan_quality import distances, masked
from jax_labor.ops.wasserstein import (
    laplacian_pyramid,
    normalise,
    patches,
    pyramid_heights,
    sliced_wasserstein,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")
KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[None, :, :, None] / 256


def slow_pyramid(images, levels):
    found = []
    for _ in range(levels - 1):
        smaller = ndimage.convolve(images, KERNEL, mode="mirror")[:, ::2, ::2]
        larger = np.zeros_like(images)
        larger[:, ::2, ::2] = smaller
        found.append(images - ndimage.convolve(larger, 4 * KERNEL, mode="mirror"))
        images = smaller
    return [*found, images]


def test_the_pyramid_equals_the_slow_one(rng):
    images = rng.normal(size=(2, 32, 48, 3)).astype(np.float32)
    levels = laplacian_pyramid(images)
    assert [level.shape[1:3] for level in levels] == [(32, 48), (16, 24)]
    for level, expected in zip(levels, slow_pyramid(images, 2), strict=True):
        np.testing.assert_allclose(level, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "heights"),
    [((96, 64), (96, 48, 24)), ((16, 16), (16,)), ((8, 12), (8,)), ((50, 70), (50, 25))],
)
def test_levels_end_at_sixteen_pixels_or_at_an_odd_side(size, heights):
    assert pyramid_heights(*size) == heights


def test_patches_are_cut_out_of_their_image(rng):
    level = rng.normal(size=(3, 9, 11, 2)).astype(np.float32)
    found = np.asarray(patches(level, jax.random.key(0), 40)).reshape(3, 40, 7, 7, 2)
    places = set()
    for image, cut in zip(level, found, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (7, 7), (0, 1))
        windows = np.moveaxis(windows, 2, -1)  # [3, 5, 7, 7, C]
        for patch in cut:
            at = np.argwhere((windows == patch).all((2, 3, 4)))
            assert len(at) == 1
            places.add(tuple(at[0]))
    assert len(places) == 15


def test_normalisation_is_by_channel(rng):
    cloud = rng.normal(3, [1, 5, 0], size=(20, 7, 7, 3)).astype(np.float32)
    found = np.asarray(normalise(cloud)).reshape(cloud.shape)
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(found.std((0, 1, 2)), [1, 1, 0], atol=1e-3)


def test_along_one_dimension_it_is_the_wasserstein_distance(rng):
    a, b = rng.normal(size=(50, 1)), rng.normal(1, 2, size=(50, 1))
    found = sliced_wasserstein(a, b, jax.random.key(0), directions=4, at_once=2)
    expected = stats.wasserstein_distance(a[:, 0], b[:, 0])
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_distance_is_the_mean_over_directions(rng):
    """Of clouds a shift apart: E|u . shift| for a random direction u in three dimensions."""
    a = rng.normal(size=(500, 3)).astype(np.float32)
    found = sliced_wasserstein(a, a + np.float32([2, 0, 0]), jax.random.key(1), 512)
    assert float(found) == pytest.approx(1.0, abs=0.1)  # half of the shift's length
    assert float(sliced_wasserstein(a, a, jax.random.key(1), 64)) == 0


def test_like_images_are_nearer_than_others(rng):
    def some(smooth):
        noise = rng.normal(size=(12, 32, 32, 3))
        images = ndimage.gaussian_filter(noise, (0, smooth, smooth, 0))
        return np.clip(128 + 60 * images / images.std(), 0, 255).astype(np.uint8)

    real, like, unlike = some(1), some(1), some(3)
    near, far = distances(real, like, 0), distances(real, unlike, 0)
    assert list(near) == ["32x32", "16x16", "mean"]
    assert near["mean"] == pytest.approx((near["32x32"] + near["16x16"]) / 2)
    assert far["mean"] > 1.5 * near["mean"]
    assert distances(real, like, 0) == near


def test_what_is_beside_masked_images_does_not_count(rng):
    def some(beside):
        images = rng.integers(0, 256, (4, 16, 16, 3), np.uint8)
        images[:, :, 10:] = beside
        return images

    masks = np.zeros((4, 16, 16, 1), np.float32)
    masks[:, :, :10] = 1
    real, fake = some(0), some(255)
    other = np.where(masks > 0, fake, np.uint8(7))
    found = distances(masked(real, masks), masked(fake, masks), 0)
    assert found == distances(masked(real, masks), masked(other, masks), 0)
    assert found != distances(real, fake, 0)
    np.testing.assert_array_equal(masked(real, masks)[:, :, :10], real[:, :, :10])


def test_images_to_compare_with_come_back_exact_and_need_no_more_than_their_bytes(rng):
    photos = rng.integers(0, 256, (100, 96, 64, 3), np.uint8)
    settings = config(**{"data.view.resize": "pad", "data.view.flip": False, "data.cache": False})
    images = Images(settings, [{"image": photo} for photo in photos], (96, 128))
    tracemalloc.start()
    found, masks = images.pixels(len(photos))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found.dtype, masks.dtype) == (np.uint8, bool)
    assert peak < 2 * (found.nbytes + masks.nbytes)  # as floats the images alone are thrice that
    assert masks[:, :, 32:96].all() and masks.sum() == masks[:, :, 32:96].size
    order = [np.argmax((photos == cut).all((1, 2, 3))) for cut in found[:, :, 32:96]]
    assert sorted(order) == list(range(len(photos))) != order
