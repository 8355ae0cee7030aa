import hashlib
import subprocess
import sys

import numpy as np
import pytest
from scipy import ndimage

from jax_labor.classes import get_table
from jax_labor.data.figures import parts, render
from jax_labor.errors import UserError

SIZE = (96, 64)
FIGURES = 120
WORN = (parts.HAIR, parts.FACE, parts.ARM, parts.SHOE)  # what every figure has


@pytest.fixture(scope="module")
def drawn():
    """120 small figures: images [N, H, W, 3] and labels [N, H, W]."""
    return tuple(map(np.stack, zip(*(render(i, SIZE) for i in range(FIGURES)), strict=True)))


def digest(pair):
    return hashlib.sha256(pair[0].tobytes() + pair[1].tobytes()).hexdigest()


def test_equal_bytes_whatever_was_rendered_before(drawn):
    for seed in (17, 3):
        np.random.seed(seed)
        image, label = render(seed, SIZE)
        np.testing.assert_array_equal(image, drawn[0][seed])
        np.testing.assert_array_equal(label, drawn[1][seed])


def test_equal_bytes_in_another_process():
    code = (
        "import hashlib; from jax_labor.data.figures import render;"
        "a, b = render(5, (64, 64));"
        "print(hashlib.sha256(a.tobytes() + b.tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == digest(render(5, (64, 64)))


def test_seeds_give_different_figures(drawn):
    assert len({label.tobytes() for label in drawn[1]}) == FIGURES


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (33, 47), (97, 61), (48, 120), (120, 40)])
def test_shapes_types_and_ids(size):
    image, label = render(11, size)
    assert image.shape == (*size, 3) and image.dtype == np.uint8
    assert label.shape == size and label.dtype == np.uint8
    assert set(np.unique(label)) <= set(range(12))
    assert len(np.unique(label)) >= 4


def test_layout_does_not_depend_on_size():
    for seed in range(5):
        _, small = render(seed, (60, 40))
        _, large = render(seed, (180, 120))
        assert (small == large[1::3, 1::3]).mean() > 0.985


def test_ids_are_those_of_the_table():
    names = get_table("figures12").names
    assert [getattr(parts, name.upper()) for name in names] == list(range(12))


def test_every_part_occurs_as_often_as_is_sensible(drawn):
    labels = drawn[1]
    present = np.array([[(label == k).any() for k in range(12)] for label in labels]).mean(0)
    shares = np.bincount(labels.ravel(), minlength=12) / labels.size
    assert (present[[parts.BACKGROUND, parts.HAIR, parts.FACE, parts.SHOE]] == 1).all()
    assert present[parts.ARM] > 0.95
    assert 0.6 < present[parts.TOP] < 0.95
    for part in (parts.TROUSERS, parts.SKIRT, parts.DRESS, parts.LEG, parts.BAG, parts.HAT):
        assert 0.1 < present[part] < 0.8, (part, present[part])
    assert 0.7 < shares[parts.BACKGROUND] < 0.86
    assert (shares[1:] > 0.0015).all() and (shares[1:] < 0.12).all()
    dressed = (labels == parts.DRESS).any((1, 2))
    assert not (dressed & (labels == parts.SKIRT).any((1, 2))).any()


def test_a_figure_is_one_body_in_the_middle(drawn):
    for label in drawn[1]:
        body = label != parts.BACKGROUND
        _, count = ndimage.label(body, np.ones((3, 3)))
        sizes = np.bincount(ndimage.label(body, np.ones((3, 3)))[0].ravel())[1:]
        assert count == 1 or sizes.max() > 0.97 * sizes.sum()
        rows, columns = np.nonzero(body)
        assert 0.35 < columns.mean() / SIZE[1] < 0.65
        assert np.ptp(rows) > 0.7 * SIZE[0] and not body[0].any() and not body[-1].any()


def test_parts_are_where_they_are_on_a_body(drawn):
    rows = {k: np.nonzero(drawn[1] == k)[1].mean() for k in range(1, 12)}
    order = (parts.HAT, parts.HAIR, parts.FACE, parts.TOP, parts.SKIRT, parts.LEG, parts.SHOE)
    assert all(rows[a] < rows[b] for a, b in zip(order, order[1:], strict=False))
    assert rows[parts.TOP] < rows[parts.TROUSERS] < rows[parts.SHOE]


def test_labels_lie_on_the_picture(drawn):
    """Image gradients under the label edges are largest where the label is not shifted."""
    grey = drawn[0].astype(np.float32).mean(-1)
    across, down = np.abs(np.diff(grey, axis=2)), np.abs(np.diff(grey, axis=1))

    def strength(dy, dx):
        moved = np.roll(drawn[1], (dy, dx), (1, 2))
        vertical, level = moved[:, :, 1:] != moved[:, :, :-1], moved[:, 1:] != moved[:, :-1]
        return across[vertical].mean() + down[level].mean()

    there = strength(0, 0)
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        assert strength(dy, dx) < 0.9 * there, (dy, dx)
    assert strength(3, 3) < 0.7 * there


def test_parts_stand_out_from_the_background(drawn):
    images, labels = drawn[0].astype(np.float32), drawn[1]
    for part in range(1, 12):
        apart = []
        for image, label in zip(images, labels, strict=True):
            here = label == part
            if here.sum() < 4:
                continue
            near = ndimage.binary_dilation(here, iterations=4) & (label == parts.BACKGROUND)
            if near.any():
                apart.append(np.abs(image[here].mean(0) - image[near].mean(0)).max())
        assert np.median(apart) > 30 and np.mean(np.array(apart) > 10) > 0.9, part
        assert images[labels == part].std() > 15  # yet a part is not one colour


def test_edges_are_smooth_in_the_picture(drawn):
    """Pixels at the outline mix figure and background: no pure step from one to the other."""
    image, label = (x.astype(np.float32) for x in render(4, (240, 160)))
    grey, body = image.mean(-1), label > 0
    edge = body[:, 1:] != body[:, :-1]
    step = np.abs(np.diff(grey, axis=1))[edge]
    wide = np.abs(grey[:, 3:] - grey[:, :-3])[edge[:, 1:-1]]
    assert step.mean() < 0.75 * wide.mean()


def test_the_user_is_told_of_mistakes():
    with pytest.raises(UserError, match="16x16"):
        render(0, (8, 160))
    with pytest.raises(UserError, match="non-negative"):
        render(-1, SIZE)
