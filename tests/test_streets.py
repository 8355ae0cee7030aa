import hashlib
import subprocess
import sys

import numpy as np
import pytest

from jax_labor.classes import get_table
from jax_labor.data.streets import STYLES, kinds, render
from jax_labor.errors import UserError

SMALL = (120, 160)
SCENES = 40


@pytest.fixture(scope="module")
def scenes():
    """40 small scenes of each style: images [N, H, W, 3] and labels [N, H, W]."""
    drawn = {style: [render(i, style, SMALL) for i in range(SCENES)] for style in STYLES}
    return {style: tuple(map(np.stack, zip(*pairs, strict=True))) for style, pairs in drawn.items()}


def digest(pair):
    return hashlib.sha256(pair[0].tobytes() + pair[1].tobytes()).hexdigest()


@pytest.mark.parametrize("style", STYLES)
def test_equal_bytes_whatever_was_rendered_before(scenes, style):
    images, labels = scenes[style]
    for seed in (17, 3):
        np.random.seed(seed)
        image, label = render(seed, style, SMALL)
        np.testing.assert_array_equal(image, images[seed])
        np.testing.assert_array_equal(label, labels[seed])


def test_equal_bytes_in_another_process():
    code = (
        "import hashlib; from jax_labor.data.streets import render;"
        "a, b = render(5, 'target', (60, 80));"
        "print(hashlib.sha256(a.tobytes() + b.tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(render(5, "target", (60, 80)))


def test_seeds_and_styles_give_different_scenes(scenes):
    labels = [label.tobytes() for style in STYLES for label in scenes[style][1]]
    assert len(set(labels)) == len(labels)


def test_layout_does_not_depend_on_size():
    for style in STYLES:
        _, small = render(8, style, (120, 160))
        _, large = render(8, style, (240, 320))
        assert (small == large[::2, ::2]).mean() > 0.93


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (61, 81), (96, 97), (90, 240)])
@pytest.mark.parametrize("style", STYLES)
def test_shapes_types_and_ids(style, size):
    image, label = render(11, style, size)
    assert image.shape == (*size, 3) and image.dtype == np.uint8
    assert label.shape == size and label.dtype == np.uint8
    assert set(np.unique(label)) <= {*range(11), 255}
    assert len(np.unique(label)) >= 4


def test_ids_are_those_of_camvid11():
    names = [name.lower() for name in get_table("camvid11").names]
    assert [names.index(n) for n in ("sky", "building", "pole", "road", "pavement", "tree")] == [
        kinds.SKY, kinds.BUILDING, kinds.POLE, kinds.ROAD, kinds.PAVEMENT, kinds.TREE,
    ]  # fmt: skip
    assert [names.index(n) for n in ("sign", "fence", "car", "pedestrian", "bicyclist")] == [
        kinds.SIGN, kinds.FENCE, kinds.CAR, kinds.PEDESTRIAN, kinds.BICYCLIST,
    ]  # fmt: skip


@pytest.mark.parametrize("style", STYLES)
def test_class_shares_are_those_of_a_street(scenes, style):
    labels = scenes[style][1]
    shares = np.bincount(labels.ravel(), minlength=256) / labels.size
    bands = {
        kinds.SKY: (0.08, 0.26), kinds.BUILDING: (0.14, 0.36), kinds.POLE: (0.005, 0.03),
        kinds.ROAD: (0.22, 0.4), kinds.PAVEMENT: (0.02, 0.1), kinds.TREE: (0.05, 0.2),
        kinds.SIGN: (0.003, 0.025), kinds.FENCE: (0.003, 0.04), kinds.CAR: (0.03, 0.12),
        kinds.PEDESTRIAN: (0.002, 0.02), kinds.BICYCLIST: (0.001, 0.015), kinds.VOID: (0, 0.04),
    }  # fmt: skip
    for kind, (low, high) in bands.items():
        assert low <= shares[kind] <= high, (kind, shares[kind])


def test_styles_differ_clearly(scenes):
    source, target = (scenes[style][0].astype(np.float32) for style in STYLES)
    assert source.mean() > 1.3 * target.mean()
    spread = [np.ptp(x, axis=-1).mean() for x in (source, target)]
    assert spread[0] > 1.3 * spread[1]
    # sensor noise: what is left after the mean of neighbours, on the smoothest tenth of blocks
    grain = []
    for x in (source, target):
        blocks = x.mean(-1).reshape(SCENES, 15, 8, 20, 8).std(axis=(2, 4))
        grain.append(np.quantile(blocks, 0.1))
    assert grain[1] > 1.5 * grain[0]


@pytest.mark.parametrize("style", STYLES)
def test_labels_lie_on_the_picture(scenes, style):
    """Image gradients under the label edges are largest where the label is not shifted."""
    images, labels = scenes[style]
    grey = images.astype(np.float32).mean(-1)
    across, down = np.abs(np.diff(grey, axis=2)), np.abs(np.diff(grey, axis=1))

    def strength(dy, dx):
        moved = np.roll(labels, (dy, dx), (1, 2))
        inner = (slice(None), slice(4, -4), slice(4, -4))
        vertical = (moved[:, :, 1:] != moved[:, :, :-1])[inner]
        level = (moved[:, 1:] != moved[:, :-1])[inner]
        return across[inner][vertical].mean() + down[inner][level].mean()

    there = strength(0, 0)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0), (2, 2), (-2, 2)):
        assert strength(dy, dx) < 0.97 * there, (dy, dx)
    assert strength(3, 3) < 0.75 * there


@pytest.mark.parametrize("style", STYLES)
def test_classes_look_different(scenes, style):
    images, labels = scenes[style]
    means = {k: images[labels == k].mean(0) for k in range(11)}
    assert all(means[kinds.SKY].sum() > means[k].sum() for k in range(1, 11))
    green = {k: m[1] - (m[0] + m[2]) / 2 for k, m in means.items()}
    for other in (kinds.BUILDING, kinds.ROAD, kinds.PAVEMENT, kinds.CAR, kinds.PEDESTRIAN):
        assert green[kinds.TREE] > green[other] + 0.5
    assert np.abs(means[kinds.ROAD] - means[kinds.BUILDING]).max() > 8
    # yet one class is not one colour
    assert all(images[labels == k].std() > 8 for k in range(1, 11))


def test_the_user_is_told_of_mistakes():
    with pytest.raises(UserError, match="source, target"):
        render(0, "sorce", SMALL)
    with pytest.raises(UserError, match="16x16"):
        render(0, "source", (8, 160))
    with pytest.raises(UserError, match="non-negative"):
        render(-1, "source", SMALL)
