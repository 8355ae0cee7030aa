"""Transforms against hand values, plain Pillow and slow oracles."""

import numpy as np
import pytest
from PIL import Image

from jax_labor.classes import IGNORE
from jax_labor.data import transforms
from jax_labor.data.augment import augment, choose_window
from jax_labor.data.sparse import resize_sparse
from jax_labor.data.transforms import Window
from jax_labor.data.views import EvalView, TrainView
from jax_labor.errors import UserError


def sparse_oracle(labels, size):
    """Visit every answered pixel in flat order; a later one must be strictly nearer to win."""
    (h, w), (height, width) = labels.shape, size
    out = np.full(size, IGNORE, np.uint8)
    best = {}
    for y in range(h):
        for x in range(w):
            if labels[y, x] == IGNORE:
                continue
            cell = ((2 * y + 1) * height // (2 * h), (2 * x + 1) * width // (2 * w))
            # All in units of 1 / (2 H W) input pixels, as Python integers.
            dy = ((2 * y + 1) * height - (2 * cell[0] + 1) * h) * width
            dx = ((2 * x + 1) * width - (2 * cell[1] + 1) * w) * height
            if cell not in best or dy * dy + dx * dx < best[cell]:
                best[cell] = dy * dy + dx * dx
                out[cell] = labels[y, x]
    return out


def sparse_labels(rng, shape, share):
    labels = rng.integers(0, 19, shape).astype(np.uint8)
    return np.where(rng.random(shape) < share, labels, IGNORE).astype(np.uint8)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 1.0])
def test_sparse_resize_equals_the_oracle(share):
    rng = np.random.default_rng(7)
    for _ in range(40):
        shape, size = (tuple(rng.integers(1, 24, 2).tolist()) for _ in range(2))
        labels = sparse_labels(rng, shape, share)
        got = resize_sparse(labels, size)
        assert got.dtype == np.uint8
        np.testing.assert_array_equal(got, sparse_oracle(labels, size), f"{shape} to {size}")


def test_sparse_ties_take_the_lowest_flat_index():
    labels = np.array([[1, 2], [3, 4]], np.uint8)
    np.testing.assert_array_equal(resize_sparse(labels, (1, 1)), [[1]])
    labels[0, 0] = IGNORE
    np.testing.assert_array_equal(resize_sparse(labels, (1, 1)), [[2]])


def test_sparse_shrink_keeps_a_point_in_every_asked_cell_and_no_other():
    rng = np.random.default_rng(3)
    labels = sparse_labels(rng, (90, 120), 0.003)
    small = resize_sparse(labels, (30, 40))
    asked = (labels != IGNORE).reshape(30, 3, 40, 3).any(axis=(1, 3))
    np.testing.assert_array_equal(small != IGNORE, asked)
    nearest = transforms.resize_label(labels, (30, 40))
    assert (nearest != IGNORE).sum() < (small != IGNORE).sum() / 3


def test_sparse_enlarge_never_invents_answers():
    rng = np.random.default_rng(4)
    labels = sparse_labels(rng, (15, 20), 0.2)
    large = resize_sparse(labels, (45, 60))
    assert (large != IGNORE).sum() == (labels != IGNORE).sum()
    np.testing.assert_array_equal(large[1::3, 1::3], labels)


def test_normalization_constants_by_hand():
    pixel = np.array([[[10, 20, 30]]], np.uint8)
    caffe = [30 - 104.00698793, 20 - 116.66876762, 10 - 122.67891434]
    imagenet = [(10 / 255 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (30 / 255 - 0.406) / 0.225]
    unit = [10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1]
    for name, expected in {"caffe": caffe, "imagenet": imagenet, "unit": unit}.items():
        got = transforms.normalize(pixel, name)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got[0, 0], expected, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("name", transforms.NORMALIZATIONS)
def test_normalization_works_per_channel_on_mirrored_views(name):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    got = transforms.normalize(image[:, ::-1], name)
    rule = transforms.NORMALIZATIONS[name]
    channels = image[:, ::-1, ::-1] if rule.bgr else image[:, ::-1]
    expected = channels.astype(np.float64) * np.array(rule.scale) + np.array(rule.offset)
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    grey = np.tile(transforms.mean_colour(name), (2, 2, 1))
    assert np.abs(transforms.normalize(grey, name)).max() < np.max(rule.scale) / 2 + 1e-6


def test_jitter_by_hand_clips_and_keeps_grey_grey():
    image = np.array([[[0, 100, 250]]], np.uint8)
    np.testing.assert_array_equal(transforms.jitter(image, 0.1, 1, 1)[0, 0], [26, 126, 255])
    np.testing.assert_array_equal(transforms.jitter(image, -0.2, 1.5, 1)[0, 0], [0, 99, 255])
    np.testing.assert_array_equal(transforms.jitter(image, 0, 1, 1), image)
    colourless = transforms.jitter(image, 0, 1, 0)
    assert len(set(colourless[0, 0].tolist())) == 1
    grey = np.full((2, 3, 3), 77, np.uint8)
    np.testing.assert_array_equal(transforms.jitter(grey, 0, 1, 1.3), grey)


def test_crop_pads_below_and_right():
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    inside = transforms.crop(array, Window(0, 1, 2, 2), 255)
    np.testing.assert_array_equal(inside, [[1, 2], [4, 5]])
    outside = transforms.crop(array, Window(1, 0, 2, 4), 255)
    np.testing.assert_array_equal(outside, [[3, 4, 5, 255], [255] * 4])
    image = np.zeros((1, 1, 3), np.uint8)
    padded = transforms.crop(image, Window(0, 0, 1, 2), np.array([1, 2, 3], np.uint8))
    np.testing.assert_array_equal(padded[0], [[0, 0, 0], [1, 2, 3]])


def coordinate_example(h, w, sparse=False):
    """An image whose red is its column and green its row, the label repeats the column parity."""
    rows, columns = np.mgrid[:h, :w].astype(np.uint8)
    image = np.stack([columns, rows, np.zeros_like(rows)], -1)
    return {"image": image, "label": columns % 19, "sparse": sparse, "index": 5, "name": "x"}


def pixels(batch_image):
    """Undo "unit" normalisation."""
    return np.rint((batch_image + 1) * 127.5).astype(int)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("resize", ["fixed", "random_crop", "scale_crop"])
def test_image_and_label_move_together(resize, sparse):
    # Sizes and ranges that need no resampling: only crops, padding and flips are left.
    size = (40, 60) if resize == "fixed" else (20, 30)
    view = TrainView(size, resize, crop_height=(20, 20), scale=(1, 1), normalize="unit")
    mirrored = set()
    for seed in range(12):
        out = augment(coordinate_example(40, 60, sparse), view, np.random.default_rng(seed))
        image = pixels(out["image"])
        np.testing.assert_array_equal(out["label"], image[..., 0] % 19)
        assert image.shape == (*size, 3)
        mirrored.add(bool(image[0, 0, 0] > image[0, 1, 0]))
    assert mirrored == {False, True}


def test_fixed_view_is_plain_pillow():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (36, 50, 3), dtype=np.uint8)
    label = rng.integers(0, 19, (36, 50), dtype=np.uint8)
    example = {"image": image, "label": label, "sparse": False, "index": 0, "name": "x"}
    out = augment(example, TrainView((12, 20), flip=False, normalize="unit"), rng)
    bicubic = np.asarray(Image.fromarray(image).resize((20, 12), Image.BICUBIC))
    nearest = np.asarray(Image.fromarray(label).resize((20, 12), Image.NEAREST))
    np.testing.assert_array_equal(pixels(out["image"]), bicubic)
    np.testing.assert_array_equal(out["label"], nearest)


def test_random_crop_stays_inside_with_the_aspect_of_the_size():
    view = TrainView((20, 40), "random_crop", crop_height=(10, 900))
    heights = set()
    for seed in range(200):
        window = choose_window((50, 70), view, np.random.default_rng(seed), "x")
        assert window.width == 2 * window.height
        assert 0 <= window.top <= 50 - window.height and 0 <= window.left <= 70 - window.width
        heights.add(window.height)
    assert heights == set(range(10, 36))


def test_scale_crop_pads_with_ignore_and_the_mean_colour():
    view = TrainView((40, 60), "scale_crop", scale=(0.5, 0.5), flip=False, normalize="caffe")
    example = coordinate_example(40, 60)
    out = augment(example, view, np.random.default_rng(0))
    assert (out["label"][:20, :30] != IGNORE).all()
    assert (out["label"][20:] == IGNORE).all() and (out["label"][:, 30:] == IGNORE).all()
    np.testing.assert_array_equal(out["mask"][..., 0], out["label"] != IGNORE)
    # Two pixels off the border bicubic weights no longer reach the image.
    assert np.abs(out["image"][22:]).max() <= 0.5 and np.abs(out["image"][:, 32:]).max() <= 0.5


def test_sparse_answers_survive_a_crop_and_its_resize():
    example = coordinate_example(60, 90, sparse=True)
    example["label"] = np.full((60, 90), IGNORE, np.uint8)
    example["label"][31, 44] = 7
    view = TrainView((15, 20), "random_crop", crop_height=(45, 45), normalize="unit")
    kept = 0
    for seed in range(20):
        out = augment(example, view, np.random.default_rng(seed))
        rows, columns = np.nonzero(out["label"] != IGNORE)
        assert len(rows) == 1 and out["label"][rows[0], columns[0]] == 7
        # The image says where the cell lies: within half a cell (1.5 pixels) of the point.
        red, green, _ = pixels(out["image"])[rows[0], columns[0]]
        assert abs(red - 44) <= 2 and abs(green - 31) <= 2
        kept += 1
    assert kept == 20


def test_colour_jitter_leaves_labels_and_geometry_alone():
    plain = TrainView((24, 36), "scale_crop", scale=(0.7, 1.4))
    loud = TrainView(
        (24, 36), "scale_crop", scale=(0.7, 1.4), brightness=0.3, contrast=0.3, saturation=0.5
    )
    example = coordinate_example(40, 60)
    differ = 0
    for seed in range(8):
        one = augment(example, plain, np.random.default_rng(seed))
        two = augment(example, loud, np.random.default_rng(seed))
        np.testing.assert_array_equal(one["label"], two["label"])
        differ += not np.array_equal(one["image"], two["image"])
    assert differ == 8


def test_jitter_probability_is_the_share_of_changed_images():
    view = TrainView(flip=False, brightness=0.3, jitter_probability=0.3, normalize="unit")
    example = coordinate_example(4, 6)
    changed = [
        not np.array_equal(
            pixels(augment(example, view, np.random.default_rng(s))["image"]), example["image"]
        )
        for s in range(300)
    ]
    assert 0.22 < np.mean(changed) < 0.38


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"resize": "random_crop"}, "view.size"),
        ({"resize": "fix"}, "fixed"),
        ({"normalize": "caffee"}, "caffe"),
        ({"size": (10,)}, "view.size"),
        ({"size": (10, 0)}, "view.size"),
        ({"crop_height": (9, 3)}, "view.crop_height"),
        ({"scale": (0, 1)}, "view.scale"),
        ({"brightness": 1.5}, "view.brightness"),
    ],
)
def test_bad_settings_name_themselves(settings, words):
    with pytest.raises(UserError, match=words):
        TrainView(**settings)


@pytest.mark.parametrize(
    ("settings", "setting"),
    [
        ({"size": (10,)}, "config.data.source_view.size="),
        ({"resize": "fix"}, "config.data.source_view.resize is 'fix': use"),
        ({"scale": (0, 1)}, "config.data.source_view.scale="),
        ({"contrast": 2}, "config.data.source_view.contrast="),
        ({"normalize": "caffee"}, "config.data.normalize is 'caffee'.*Did you mean 'caffe'"),
    ],
)
def test_bad_settings_name_their_section(settings, setting):
    with pytest.raises(UserError, match=setting):
        TrainView(**settings, name="config.data.source_view")


def test_a_crop_that_never_fits_names_setting_and_image():
    view = TrainView((20, 40), "random_crop", crop_height=(41, 60))
    with pytest.raises(UserError, match="view.crop_height.*x of 40x60"):
        augment(coordinate_example(40, 60), view, np.random.default_rng(0))


def test_eval_sizes():
    assert EvalView().input_size((33, 47)) == (33, 47)
    assert EvalView(size=[30, 40], scale=1.5).input_size((33, 47)) == (45, 60)
    assert EvalView(size=(None,)).size is None  # what --config.eval.size=None is read as
    assert EvalView(scale=0.01).input_size((33, 47)) == (1, 1)
    with pytest.raises(UserError, match="config.eval.scales: 0 must be above 0"):
        EvalView(scale=0)
    with pytest.raises(UserError, match="config.eval.size="):
        EvalView(size=(10,))
