"""The codings of masks and places, against slow oracles and the tools' own libraries."""

import base64
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask as rle
from pycocotools.coco import COCO
from rounds_for_exchange import answer, copy_questions, full_of_everything, make_round

from jax_labor.labels.exchange import coco, cvat, export_round, import_round
from jax_labor.labels.exchange.brush import decode_brush, encode_brush
from jax_labor.labels.exchange.marks import box, polygon, split
from jax_labor.labels.store import FULL, MASK, POINTS

masks = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=30))


def slow_brush(stream):
    """The values of a stream, bit by bit from its description."""
    bits = "".join(f"{byte:08b}" for byte in stream)
    at = 0

    def take(count):
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    total, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    values = []
    while len(values) < total:
        run = take(1)
        count = take(sizes[take(2)]) + 1
        values += [take(word)] * count if run else [take(word) for _ in range(count)]
    return values


@settings(max_examples=60, deadline=None)
@given(mask=masks)
def test_a_brush_mask_is_what_its_description_says(mask):
    stream = encode_brush(mask)
    assert slow_brush(stream) == np.repeat(mask.ravel() * 255, 4).tolist()
    np.testing.assert_array_equal(decode_brush(stream, mask.shape), mask)


@pytest.mark.parametrize("pixels", [2**14 - 1, 2**14, 2**14 + 1, 2**15, 70000])
def test_brush_runs_at_the_longest_count(pixels):
    mask = np.arange(100_000).reshape(1, -1) < pixels
    stream = encode_brush(mask)
    np.testing.assert_array_equal(decode_brush(stream, mask.shape), mask)
    assert slow_brush(stream) == np.repeat(mask.ravel() * 255, 4).tolist()


def test_a_brush_mask_with_values_one_by_one_and_a_smooth_edge():
    """As the editor writes: values that differ are listed, and strokes fade out at their edge."""
    alpha = [0, 60, 127, 128, 200, 255]
    values = np.repeat(alpha, 4)
    bits = f"{len(values):032b}" + f"{7:05b}" + "".join(f"{size - 1:04b}" for size in (3, 4, 8, 16))
    bits += "0" + "10" + f"{len(values) - 1:08b}" + "".join(f"{value:08b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    stream = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    expected = np.array(alpha).reshape(2, 3) >= 128
    np.testing.assert_array_equal(decode_brush(stream, (2, 3)), expected)


@settings(max_examples=60, deadline=None)
@given(mask=masks)
def test_cvat_runs_start_with_zeros(mask):
    runs = cvat._runs(mask)
    slow, value = [], False
    for pixel in mask.ravel().tolist():
        if not slow:
            slow = [0] if pixel != value else []
        if not slow or pixel != value:
            slow.append(0)
            value = pixel
        slow[-1] += 1
    assert runs == ", ".join(map(str, slow))
    np.testing.assert_array_equal(cvat._from_runs(runs, *mask.shape), mask)


@settings(max_examples=60, deadline=None)
@given(mask=masks)
def test_coco_counts_are_read_as_pycocotools_writes_them(mask):
    counts = rle.encode(np.asfortranarray(mask))["counts"]
    slow, value = [], False
    for pixel in mask.T.ravel().tolist():
        if not slow and pixel:
            slow = [0]
        if not slow or pixel != value:
            slow.append(0)
            value = pixel
        slow[-1] += 1
    assert coco._runs(counts) == slow
    assert coco._runs(counts.decode()) == slow


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 8192), data=st.data())
def test_percent_gives_back_the_pixel(size, data):
    pixel = data.draw(st.integers(0, size - 1))
    percent = float(repr((pixel + 0.5) / size * 100))
    assert math.floor(percent / 100 * size) == pixel
    assert math.floor(round(percent, 5) / 100 * size) == pixel  # a tool may keep five digits


def test_points_at_every_corner_of_a_large_image(tmp_path):
    """Through the whole of every format that holds points."""
    shape = (8192, 3)
    mask = np.zeros(shape, bool)
    mask[[0, 1, 4095, 4097, 8190, 8191], [0, 2, 1, 0, 2, 1]] = True
    round_ = make_round(tmp_path, POINTS, {"a": mask}, "xyz", np.random.default_rng(0))
    label = np.resize([0, 1, 2], shape)
    answer(round_, "a", label)
    for format in ("cvat", "label_studio", "labelme", "csv"):
        export_round(round_, format, tmp_path / format)
        copy = copy_questions(round_, tmp_path / f"{format}-copy")
        import_round(copy, format, tmp_path / format, "somebody")
        np.testing.assert_array_equal(copy.read_answer("a"), np.where(mask, label, 255))


@settings(max_examples=60, deadline=None)
@given(ids=arrays.arrays(np.int32, (9, 8), elements=st.integers(0, 6)))
def test_split_gives_every_value_in_its_box(ids):
    found = list(split(ids))
    values = [value for value in np.unique(ids) if value]
    assert len(found) == len(values)
    for patch, value in zip(found, values, strict=True):
        assert patch.mask[0].any() and patch.mask[-1].any()
        assert patch.mask[:, 0].any() and patch.mask[:, -1].any()
        whole = np.zeros(ids.shape, bool)
        whole[patch.window] = patch.mask
        np.testing.assert_array_equal(whole, ids == value)


def test_a_polygon_fills_the_pixels_whose_centres_it_holds(rng):
    [patch] = polygon([(2, 1), (5, 1), (5, 3), (2, 3)], (9, 9))
    assert (patch.top, patch.left, patch.mask.shape) == (1, 2, (2, 3))
    assert patch.mask.all()
    assert polygon([(20, 20), (30, 20), (30, 30)], (9, 9)) == []
    for _ in range(20):
        corners = rng.uniform(-4, 16, (rng.integers(3, 9), 2))
        wanted = [[holds(corners, x + 0.5, y + 0.5) for x in range(12)] for y in range(11)]
        got = np.zeros((11, 12), bool)
        for patch in polygon(corners, (11, 12)):
            got[patch.window] = patch.mask
        np.testing.assert_array_equal(got, wanted)


def holds(corners, x, y):
    """Whether a ray to the right from (x, y) crosses an odd number of sides."""
    inside = False
    for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, 0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            inside = not inside
    return inside


def test_neighbouring_polygons_share_no_pixel(rng):
    left, right, edge = (0.0, 0.0), (12.0, 11.0), rng.uniform(3, 9, (5, 2))
    edge = edge[np.argsort(edge[:, 1])]
    whole = np.zeros((11, 12), int)
    for outer in ([left, (left[0], right[1])], [(right[0], left[1]), right]):
        corners = [outer[0], (6, 0), *edge, (6, 11), outer[1]]
        for patch in polygon(corners, whole.shape):
            whole[patch.window] += patch.mask
    assert (whole == 1).all()


def test_a_turned_box():
    assert np.allclose(box(0, 0, 4, 2), [(0, 0), (4, 0), (4, 2), (0, 2)])
    assert np.allclose(box(0, 0, 4, 2, 90), [(3, -1), (3, 3), (1, 3), (1, -1)])


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_pycocotools_reads_what_we_write(tmp_path, capsys):
    round_ = full_of_everything(tmp_path, MASK)
    export_round(round_, "coco", tmp_path / "out")
    data = COCO(str(tmp_path / "out/instances.json"))
    images = {image["file_name"]: image["id"] for image in data.loadImgs(data.getImgIds())}
    found = np.full((6, 11), 255)
    for entry in data.loadAnns(data.getAnnIds(imgIds=[images["a.b-1.png"]])):
        mask = data.annToMask(entry).astype(bool)
        assert entry["area"] == mask.sum()
        found[mask] = entry["category_id"] - 1
    np.testing.assert_array_equal(found, round_.read_answer("a.b-1"))
    assert [c["id"] for c in data.loadCats(data.getCatIds())] == [1, 2, 3]

    guesses = data.loadRes(str(tmp_path / "out/predictions.json"))
    found = np.full((9, 7), 255)
    for entry in guesses.loadAnns(guesses.getAnnIds(imgIds=[images["open.png"]])):
        found[data.annToMask(entry).astype(bool)] = entry["category_id"] - 1
    np.testing.assert_array_equal(found, round_.read_query("open").guess)
    capsys.readouterr()


def test_labelme_masks_are_boxes_with_both_corners_inside(tmp_path):
    """As labelme fills them: mask[y1 : y2 + 1, x1 : x2 + 1] = the PNG."""
    round_ = full_of_everything(tmp_path, FULL)
    export_round(round_, "labelme", tmp_path / "out")
    content = json.loads((tmp_path / "out/images/a.b-1.json").read_text())
    assert (tmp_path / "out/images" / content["imagePath"]).exists()
    found = np.full((content["imageHeight"], content["imageWidth"]), 255)
    for shape in content["shapes"]:
        (left, top), (right, bottom) = shape["points"]
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as image:
            mask = np.asarray(image).astype(bool)
        view = found[top : bottom + 1, left : right + 1]
        view[mask] = ("road", "car", "sky").index(shape["label"])
    np.testing.assert_array_equal(found, round_.read_answer("a.b-1"))
