"""What a file may have wrong: one sentence that names it, and nothing imported."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from rounds_for_exchange import answer, copy_questions, full_of_everything, make_round

from jax_labor.errors import UserError
from jax_labor.labels.exchange import FORMATS, export_round, import_round
from jax_labor.labels.exchange.brush import encode_brush
from jax_labor.labels.store import FULL, MASK, POINTS

FILES = {
    "cvat": "annotations.xml",
    "label_studio": "tasks.json",
    "labelme": "images/a.b-1.json",
    "coco": "instances.json",
    "csv": "points.csv",
    "png": "labels/a.b-1.png",
}


@pytest.fixture(autouse=True)
def quick_files(monkeypatch):
    """Many small files are written here; that each reaches the disk is not the subject."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def refuse(round_, format, source, message):
    """The import fails with a message and leaves no answer behind."""
    before = round_.answered()
    with pytest.raises(UserError, match=message):
        import_round(round_, format, source, "somebody")
    assert round_.answered() == before


def exported(folder, format, kind):
    """A copy of a round without answers, and the folder its answers were exported to."""
    round_ = full_of_everything(folder / "round", kind)
    export_round(round_, format, folder / "out")
    return copy_questions(round_, folder / "copy"), folder / "out"


@pytest.fixture(params=FILES)
def damaged(request, tmp_path):
    """A round, its format, the folder of an export and the file in it."""
    format = request.param
    round_, out = exported(tmp_path, format, POINTS)
    return round_, format, out, out / FILES[format]


def test_an_empty_or_missing_file(damaged):
    round_, format, out, path = damaged
    path.write_bytes(b"")
    refuse(round_, format, out, f"{re.escape(FILES[format])} is empty")
    path.unlink()
    refuse(round_, format, path, "no such file")


def test_a_file_cut_short(damaged):
    round_, format, _, path = damaged
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3 + 1])
    if format == "csv":
        path.write_bytes(b'"' + content)  # half a table is a table; an open quote is not
    refuse(round_, format, path, re.escape(path.name))


def test_a_file_of_something_else(damaged):
    round_, format, _, path = damaged
    for content in (b"\x00\xff\xfe garbage", b"[1, 2]", b"{}", b'"text"', b"<a/>", b"[" * 99999):
        path.write_bytes(content)
        refuse(round_, format, path, re.escape(path.name))


def test_an_empty_folder(tmp_path):
    round_ = full_of_everything(tmp_path, POINTS)
    (tmp_path / "nothing").mkdir()
    for format in FORMATS:
        if format != "png_label_ids":
            refuse(round_, format, tmp_path / "nothing", "nothing")


@pytest.mark.parametrize("format", [f for f in FILES if f not in ("csv", "png")])
def test_another_size(tmp_path, format):
    round_, out = exported(tmp_path, format, POINTS)
    other = make_round(
        tmp_path / "other",
        POINTS,
        {"a.b-1": np.ones((12, 22), bool)},
        ("road", "car", "sky"),
        np.random.default_rng(0),
    )
    answer(other, "a.b-1", np.zeros((12, 22)))
    export_round(other, format, tmp_path / "large")
    refuse(round_, format, tmp_path / "large" / FILES[format], r"22 x 12.*11 x 6")


def test_another_size_of_png(tmp_path):
    round_, out = exported(tmp_path, "png", FULL)
    Image.new("L", (6, 11)).save(out / "labels/a.b-1.png")
    refuse(round_, "png", out, r"6 x 11.*11 x 6")


@pytest.mark.parametrize("format", [f for f in FILES if f != "png"])
def test_an_unknown_class_is_named_with_a_close_one(tmp_path, format):
    round_, out = exported(tmp_path, format, POINTS)
    path = out / FILES[format]
    path.write_text(path.read_text().replace("road", "raod"))
    refuse(round_, format, out, "'raod'.*did you mean 'road'")


@pytest.mark.parametrize("format", FILES)
def test_an_unknown_image_is_named_with_a_close_one(tmp_path, format):
    round_, out = exported(tmp_path, format, POINTS)
    if format == "png":
        (out / FILES[format]).rename(out / "labels/a.b-2.png")
    else:
        path = out / FILES[format]
        path.write_text(path.read_text().replace("a.b-1", "a.b-2"))
    refuse(round_, format, out, r"a\.b-2.*did you mean 'a\.b-1'")


@pytest.mark.parametrize("format", ["cvat", "label_studio", "labelme", "csv"])
def test_a_point_that_was_not_asked(tmp_path, format):
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = True
    round_ = make_round(tmp_path, POINTS, {"a": mask}, ("x",), np.random.default_rng(0))
    answer(round_, "a", np.zeros((4, 5)))
    export_round(round_, format, tmp_path / "out")
    path = tmp_path / "out" / FILES[format].replace("a.b-1", "a")
    swap = {
        "cvat": ('"2.50,1.50"', '"3.50,1.50"'),
        "label_studio": ('"x":50.0', '"x":60.0'),
        "labelme": ("2.5,", "3.5,"),
        "csv": ("a,1,2,", "a,1,3,"),
    }[format]
    for wrong in (
        swap[1],
        swap[1].replace("3.", "-3.").replace("60", "100").replace("1,3", "-1,3"),
    ):
        text = path.read_text()
        assert swap[0] in text
        path.write_text(text.replace(swap[0], wrong))
        copy = copy_questions(round_, tmp_path / "copy")
        refuse(copy, format, tmp_path / "out", r"row -?1, column -?\d was not asked")
        path.write_text(text)


def two_points(folder):
    """A CSV in which one point is answered, twice and differently."""
    mask = np.eye(3, dtype=bool)
    round_ = make_round(folder, POINTS, {"a": mask}, ("x", "y"), np.random.default_rng(0))
    path = folder / "points.csv"
    path.write_text("name,row,column,label\na,0,0,x\na,1,1,x\na,0,0,y\n")
    return round_, path


def test_two_answers_of_one_point_that_disagree(tmp_path):
    round_, path = two_points(tmp_path)
    refuse(round_, "csv", path, "row 0, column 0 has two classes")
    path.write_text(path.read_text().replace("y", "x"))
    assert import_round(round_, "csv", path, "somebody") == ["a"]


def test_nothing_is_half_imported(tmp_path):
    """The first images are fine, the last is not: none is written."""
    round_, out = exported(tmp_path, "coco", MASK)
    path = out / "instances.json"
    content = json.loads(path.read_text())
    content["images"].sort(key=lambda image: image["file_name"] == "unsure.png")
    content["images"][-1]["width"] = 6
    path.write_text(json.dumps(content))
    refuse(round_, "coco", out, "unsure")


def test_masks_of_two_classes_on_one_pixel(tmp_path):
    round_, out = exported(tmp_path, "coco", MASK)
    path = out / "instances.json"
    content = json.loads(path.read_text())
    twice = dict(content["annotations"][0])
    twice["category_id"] = twice["category_id"] % 3 + 1
    content["annotations"].append(twice)
    path.write_text(json.dumps(content))
    refuse(round_, "coco", out, r"have two classes, the first at row \d+, column \d+")


def test_a_box_without_a_mask(tmp_path):
    round_, out = exported(tmp_path, "coco", MASK)
    path = out / "instances.json"
    content = json.loads(path.read_text())
    content["annotations"][0] |= {"id": 41, "segmentation": []}
    path.write_text(json.dumps(content))
    refuse(round_, "coco", out, "annotation 41 has a box and no mask")


def test_an_image_twice(tmp_path):
    round_, out = exported(tmp_path, "label_studio", MASK)
    path = out / "tasks.json"
    path.write_text(json.dumps(json.loads(path.read_text()) * 2))
    refuse(round_, "label_studio", out, "a second entry")


def test_a_skipped_image_with_annotations(tmp_path):
    round_, out = exported(tmp_path, "labelme", MASK)
    path = out / "images/a.b-1.json"
    content = json.loads(path.read_text())
    content["flags"] = {"skipped": True}
    path.write_text(json.dumps(content))
    refuse(round_, "labelme", out, "take back one or the other")


@pytest.mark.parametrize(
    "bomb",
    [
        '<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;">]><annotations>&y;</annotations>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotations>&x;</annotations>',
        '<!DOCTYPE annotations SYSTEM "http://example.com/a.dtd"><annotations/>',
    ],
)
def test_a_document_type_is_refused(tmp_path, bomb):
    round_ = full_of_everything(tmp_path, POINTS)
    (tmp_path / "a.xml").write_text(bomb)
    refuse(round_, "cvat", tmp_path / "a.xml", "document type")


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        ('<mask label="road" rle="0, 9" left="0" top="0" width="3" height="2"/>', "do not fill"),
        ('<mask label="road" rle="0, 4" left="10" top="0" width="2" height="2"/>', "edge"),
        ('<mask label="road" rle="0, 4" left="-1" top="0" width="2" height="2"/>', "edge"),
        ('<mask label="road" rle="0, 9e9" left="0" top="0" width="3" height="3"/>', "literal"),
        ('<mask label="road" rle="0" left="0" top="0" width="99999" height="99999"/>', "larger"),
        ('<mask label="road" rle="9, -5" left="0" top="0" width="2" height="2"/>', "do not fill"),
        ('<box label="road" xtl="0" ytl="0" xbr="one" ybr="1"/>', "could not convert"),
        ('<ellipse label="road" cx="1" cy="1" rx="1" ry="1"/>', "shape of type 'ellipse'"),
        ('<points label="road" points="nan,1"/>', "annotation"),
        ('<points label="road" points="1"/>', "annotation"),
        ('<points points="1,1"/>', "KeyError: 'label'"),
        ('<points label="query" points="1,1"/>', "KeyError: 'class'"),
        ('<polygon label="road" points="1,1;2,2"/>', "three corners"),
    ],
)
def test_malformed_cvat_shapes(tmp_path, tag, message):
    round_ = full_of_everything(tmp_path, POINTS)
    text = f'<annotations><image name="open.png" width="7" height="9">{tag}</image></annotations>'
    (tmp_path / "a.xml").write_text(text)
    refuse(round_, "cvat", tmp_path / "a.xml", message)


GOOD = encode_brush(np.eye(9, 7, dtype=bool))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rle": GOOD[:-4]}, "cut short"),
        ({"rle": [255, 255, 255, 255, *GOOD[4:]]}, "4294967295 values"),
        ({"rle": []}, "cut short"),
        ({"rle": [256, 1]}, "256"),
        ({"rle": "text"}, "task"),
        ({"rle": None}, "task"),
        ({"format": "png"}, "brush format 'png'"),
        ({"brushlabels": []}, "0 classes"),
        ({"brushlabels": ["road", "car"]}, "2 classes"),
        ({"brushlabels": [3]}, "no class 3"),
    ],
)
def test_malformed_brush_masks(tmp_path, change, message):
    round_ = full_of_everything(tmp_path, FULL)
    value = {"format": "rle", "rle": GOOD, "brushlabels": ["road"], **change}
    result = {"type": "brushlabels", "original_width": 7, "original_height": 9, "value": value}
    task = {"data": {"name": "open"}, "annotations": [{"result": [result]}]}
    (tmp_path / "a.json").write_text(json.dumps([task]))
    refuse(round_, "label_studio", tmp_path / "a.json", message)


@pytest.mark.parametrize(
    "change",
    [{"type": "rectanglelabels"}, {"image_rotation": 90}, {"original_width": 8}, {"value": None}],
)
def test_malformed_regions(tmp_path, change):
    round_ = full_of_everything(tmp_path, FULL)
    value = {"x": 1, "y": 1, "keypointlabels": ["road"]}
    size = {"original_width": 7, "original_height": 9}
    result = {"type": "keypointlabels", "value": value, **size, **change}
    task = {"data": {"name": "open"}, "annotations": [{"result": [result]}]}
    (tmp_path / "a.json").write_text(json.dumps([task]))
    refuse(round_, "label_studio", tmp_path / "a.json", r"a\.json")


@pytest.mark.parametrize(
    "segmentation",
    [
        {"size": [9, 7], "counts": "0"},
        {"size": [9, 7], "counts": "zz~~"},
        {"size": [9, 7], "counts": "o" * 99},
        {"size": [9, 7], "counts": [3, 5]},
        {"size": [9, 7], "counts": [70, -7]},
        {"size": [9, 7], "counts": [10**30]},
        {"size": [9, 7]},
        {"size": [7, 9], "counts": [63]},
        [[1, 2]],
        "text",
        None,
    ],
)
def test_malformed_coco_masks(tmp_path, segmentation):
    round_ = full_of_everything(tmp_path, FULL)
    content = {
        "images": [{"id": 1, "file_name": "open.png", "height": 9, "width": 7}],
        "categories": [{"id": 5, "name": "road"}],
        "annotations": [{"image_id": 1, "category_id": 5, "segmentation": segmentation}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    refuse(round_, "coco", tmp_path / "a.json", r"a\.json")


@pytest.mark.parametrize("change", [{"category_id": 6}, {"image_id": 2}])
def test_coco_numbers_that_lead_nowhere(tmp_path, change):
    round_ = full_of_everything(tmp_path, FULL)
    mask = {"image_id": 1, "category_id": 5, "segmentation": {"size": [9, 7], "counts": [0, 63]}}
    content = {
        "images": [{"id": 1, "file_name": "open.png", "height": 9, "width": 7}],
        "categories": [{"id": 5, "name": "road"}],
        "annotations": [{**mask, **change}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    refuse(round_, "coco", tmp_path / "a.json", r"a\.json")


@pytest.mark.parametrize(
    "shape",
    [
        {"label": "road", "points": [[0, 0], [2, 2]], "shape_type": "mask", "mask": "@@"},
        {"label": "road", "points": [[0, 0], [2, 2]], "shape_type": "mask", "mask": "aGVsbG8="},
        {"label": "road", "points": [[0, 0], [2, 2]], "shape_type": "circle"},
        {"label": "road", "points": [[0, 0]], "shape_type": "polygon"},
        {"label": "road", "points": [[0]], "shape_type": "point"},
        {"points": [[0, 0]], "shape_type": "point"},
        {"label": 1, "points": [[0, 0]], "shape_type": "point"},
        7,
    ],
)
def test_malformed_labelme_shapes(tmp_path, shape):
    round_ = full_of_everything(tmp_path, FULL)
    content = {"imagePath": "open.png", "imageHeight": 9, "imageWidth": 7, "shapes": [shape]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    refuse(round_, "labelme", tmp_path / "a.json", r"a\.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name;row;column;label\n", "no column name, row, column, label"),
        ("name,row,label\n", "no column column"),
        ("name,row,column,label\n", "no image"),
        ("name,row,column,label\nopen,0,0\n", "line 2.*columns"),
        ("name,row,column,label\nopen,0,0,road,more\n", "line 2.*columns"),
        ("name,row,column,label\nopen,zero,0,road\n", "line 2.*zero"),
        ("name,row,column,label,status\nopen,0,0,,done\n", "'done'"),
        ("name,row,column,label,status\nopen,0,0,,skipped\nopen,0,1,,answered\n", "both"),
        ("name,row,column,label,seconds\nopen,0,0,,nan\n", "seconds"),
        ("name,row,column,label,seconds\nopen,0,0,,-1\n", "seconds"),
        ("name,row,column,label,status\nopen,0,0,road,skipped\n", "take back"),
    ],
)
def test_malformed_tables(tmp_path, text, message):
    round_ = full_of_everything(tmp_path, FULL)
    (tmp_path / "a.csv").write_text(text)
    refuse(round_, "csv", tmp_path / "a.csv", message)


def test_pngs_that_are_no_label_maps(tmp_path):
    round_ = full_of_everything(tmp_path, FULL)
    for image, message in (
        (Image.new("RGB", (7, 9)), "8-bit gray or palette"),
        (Image.new("I;16", (7, 9), 300), "no class has the id 300"),
        (Image.new("L", (7, 9), 3), "no class has the id 3"),
    ):
        image.save(tmp_path / "open.png")
        refuse(round_, "png", tmp_path / "open.png", message)
    Image.new("L", (7, 9), 17).save(tmp_path / "open.png", bits=4)  # Pillow shows 1 as 17
    refuse(round_, "png", tmp_path / "open.png", "4 bits of grey")
    Image.new("L", (7, 9), 1).save(tmp_path / "open.png")
    data = bytearray((tmp_path / "open.png").read_bytes())
    data[data.index(b"IDAT") + 8] ^= 1  # of a pixel: Pillow takes it as it is
    (tmp_path / "open.png").write_bytes(data)
    refuse(round_, "png", tmp_path / "open.png", "does not match its checksum")
