import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rounds_for_exchange import (
    HOSTILE,
    answer,
    answers,
    copy_questions,
    full_of_everything,
    make_round,
)

from jax_labor.errors import UserError
from jax_labor.labels.exchange import FORMATS, export_round, import_round
from jax_labor.labels.exchange.brush import encode_brush
from jax_labor.labels.store import FULL, MASK, POINTS, SKIPPED, Answer

KINDS = (POINTS, MASK, FULL)
PNGS = ("png", "png_palette")
PAIRS = [
    (format, kind)
    for format in FORMATS
    for kind in KINDS
    if format != "png_label_ids" and (format != "csv" or kind == POINTS)
]


@pytest.fixture(autouse=True)
def quick_files(monkeypatch):
    """Many small files are written here; that each reaches the disk is not the subject."""
    monkeypatch.setattr("os.fsync", lambda _: None)


def there_and_back(round_, format, folder):
    """Exports a round and imports it into a copy without answers."""
    export_round(round_, format, folder / "out")
    copy = copy_questions(round_, folder / "copy")
    names = import_round(copy, format, folder / "out", "somebody")
    assert sorted(names) == copy.answered()
    return copy


@pytest.mark.parametrize(("format", "kind"), PAIRS)
def test_a_round_comes_back_equal(tmp_path, format, kind):
    round_ = full_of_everything(tmp_path / "round", kind)
    copy = there_and_back(round_, format, tmp_path)
    expected = answers(round_)
    if format in PNGS:
        del expected["skipped"]
    assert answers(copy) == expected
    assert "open" in copy.unanswered()
    facts = copy.answer_facts("a.b-1")
    assert facts["annotator"] == "somebody"
    assert facts["seconds"] == (12.5 if format in ("label_studio", "csv") else 0)
    assert (tmp_path / "out/images/a.b-1.png").exists()


@pytest.mark.parametrize(("format", "kind"), PAIRS)
def test_an_open_round_comes_back_open(tmp_path, format, kind):
    """What the model suggests is never read as an answer."""
    mask = np.eye(6, dtype=bool)
    round_ = make_round(tmp_path, kind, {"a": mask, "b": mask}, "xy", np.random.default_rng(0))
    if format in PNGS:  # there is no file for an open image, so something else must be there
        answer(round_, "b", np.zeros((6, 6)))
    copy = there_and_back(round_, format, tmp_path / "other")
    assert "a" in copy.unanswered()


def test_an_image_of_no_points_is_closed_by_its_row_in_csv(tmp_path):
    masks = {"a": np.zeros((3, 3), bool), "b": np.eye(3, dtype=bool)}
    round_ = make_round(tmp_path, POINTS, masks, "xy", np.random.default_rng(0))
    export_round(round_, "csv", tmp_path)
    path = tmp_path / "points.csv"
    assert "a,,,,,,0.0\r\n" in path.read_bytes().decode()
    assert import_round(round_, "csv", path, "ann") == []
    path.write_text(path.read_text().replace("a,,,,,,0.0", "a,,,,,answered,0.0"))
    assert import_round(round_, "csv", path, "ann") == ["a"]
    assert round_.unanswered() == ["b"]


@pytest.mark.parametrize(("format", "kind"), PAIRS)
def test_hostile_class_names_come_back(tmp_path, format, kind):
    rng = np.random.default_rng(1)
    mask = np.ones((5, 8), bool)
    round_ = make_round(tmp_path, kind, {"a": mask}, HOSTILE, rng)
    answer(round_, "a", np.resize(np.arange(len(HOSTILE)), (5, 8)))
    assert answers(there_and_back(round_, format, tmp_path / "other")) == answers(round_)


def masks(draw):
    """Empty, full, one pixel, checkerboard or anything between."""
    height, width = draw(st.integers(1, 20)), draw(st.integers(1, 20))
    rows, columns = np.mgrid[:height, :width]
    shape = draw(st.sampled_from(["empty", "full", "pixel", "checkers", "random"]))
    if shape == "random":
        rng = np.random.default_rng(draw(st.integers(0, 2**32)))
        return rng.random((height, width)) < draw(st.floats(0, 1))
    one = (rows == height - 1) & (columns == width // 2)
    return {
        "empty": rows < 0,
        "full": rows >= 0,
        "pixel": one,
        "checkers": (rows + columns) % 2 == 0,
    }[shape]


class_names = st.lists(
    st.text(
        st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"),
        min_size=1,
        max_size=8,
    ),
    min_size=1,
    max_size=12,
    unique=True,
)


@pytest.mark.parametrize(("format", "kind"), PAIRS)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(mask=st.composite(masks)(), names=class_names, seed=st.integers(0, 2**32))
def test_random_rounds_come_back_equal(tmp_path_factory, format, kind, mask, names, seed):
    folder = tmp_path_factory.mktemp("round")
    rng = np.random.default_rng(seed)
    round_ = make_round(folder / "round", kind, {"a": mask, "b": mask}, names, rng)
    label = rng.integers(0, len(names), mask.shape)
    label[rng.random(mask.shape) < rng.choice((0, 0.3, 1))] = 255
    answer(round_, "a", label)
    copy = there_and_back(round_, format, folder)
    assert answers(copy) == answers(round_)


def test_label_ids_of_the_class_table(tmp_path):
    from PIL import Image

    from jax_labor.classes import get_table

    rng = np.random.default_rng(0)
    names = get_table("cityscapes19").names
    round_ = make_round(tmp_path, FULL, {"a": np.ones((4, 6), bool)}, names, rng)
    label = np.resize([*range(19), 255], (4, 6))
    answer(round_, "a", label)
    copy = there_and_back(round_, "png_label_ids", tmp_path / "other")
    assert answers(copy) == answers(round_)
    written = np.asarray(Image.open(tmp_path / "other/out/labels/a.png"))
    np.testing.assert_array_equal(written, get_table("cityscapes19").decode(label))
    assert written[0, 0] == 7
    with pytest.raises(UserError, match="png_label_ids"):
        import_round(copy, "png", tmp_path / "other/out", "somebody")


def test_label_ids_need_a_table(tmp_path):
    round_ = full_of_everything(tmp_path, FULL)
    with pytest.raises(UserError, match="Use the format png"):
        export_round(round_, "png_label_ids", tmp_path / "out")


@pytest.mark.parametrize(
    ("format", "file"), [("png", "labels/a.b-1.png"), ("labelme", "images/a.b-1.json")]
)
def test_a_file_in_capitals_in_a_folder_with_brackets_is_an_answer_too(tmp_path, format, file):
    round_ = full_of_everything(tmp_path / "round", POINTS)
    out = tmp_path / "[lab]"
    export_round(round_, format, out)
    (out / file).rename((out / file).with_suffix((out / file).suffix.upper()))
    copy = copy_questions(round_, tmp_path / "copy")
    assert "a.b-1" in import_round(copy, format, out, "somebody")


def test_a_palette_png_holds_the_same_ids_and_the_colours(tmp_path):
    from PIL import Image

    round_ = full_of_everything(tmp_path, FULL)
    export_round(round_, "png_palette", tmp_path / "out")
    with Image.open(tmp_path / "out/labels/a.b-1.png") as image:
        np.testing.assert_array_equal(np.asarray(image), round_.read_answer("a.b-1"))
        colors = {tuple(c) for c in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    assert colors <= {(0, 255, 0), (1, 254, 7), (2, 253, 14), (0, 0, 0)}


def test_csv_holds_no_masks(tmp_path):
    round_ = full_of_everything(tmp_path, MASK)
    with pytest.raises(UserError, match="another format"):
        export_round(round_, "csv", tmp_path / "out")


def test_xml_refuses_a_class_name_that_it_cannot_carry(tmp_path):
    round_ = full_of_everything(tmp_path, MASK, names=("road", "car\0", "sky"))
    with pytest.raises(UserError, match="Rename the class"):
        export_round(round_, "cvat", tmp_path / "out")


def test_an_unknown_format_is_named_with_a_close_one(tmp_path):
    round_ = full_of_everything(tmp_path, MASK)
    for call in (export_round, lambda *args: import_round(*args, "somebody")):
        with pytest.raises(UserError, match="Did you mean 'label_studio'"):
            call(round_, "labelstudio", tmp_path / "out")


@pytest.mark.parametrize("annotator", ["", " ", "a\nb", "x" * 65, "oracle"])
def test_an_annotator_has_a_name(tmp_path, annotator):
    round_ = full_of_everything(tmp_path, MASK)
    with pytest.raises(UserError, match="annotator"):
        import_round(round_, "coco", tmp_path, annotator)


def test_a_round_must_be_open_and_not_closed(tmp_path):
    round_ = full_of_everything(tmp_path, MASK)
    export_round(round_, "coco", tmp_path / "out")
    round_.close()
    with pytest.raises(UserError, match="still open"):
        import_round(round_, "coco", tmp_path / "out", "somebody")
    (round_.folder / "round.json").unlink()
    with pytest.raises(UserError, match=r"round\.json"):
        export_round(round_, "coco", tmp_path / "out")


def test_answers_of_others_are_kept(tmp_path):
    """The same answer again changes nothing; another one of another person is refused."""
    round_ = make_round(
        tmp_path, FULL, {"a": np.ones((3, 3), bool)}, "xyz", np.random.default_rng(0)
    )
    answer(round_, "a", np.zeros((3, 3)), annotator="first", seconds=3.0)
    export_round(round_, "coco", tmp_path / "zero")
    answer(round_, "a", np.ones((3, 3)), annotator="first")
    export_round(round_, "coco", tmp_path / "one")
    assert import_round(round_, "coco", tmp_path / "one", "second") == []
    assert round_.answer_facts("a")["annotator"] == "first"
    with pytest.raises(UserError, match="first has answered this image, and differently"):
        import_round(round_, "coco", tmp_path / "zero", "second")
    assert (round_.read_answer("a") == 1).all()
    assert import_round(round_, "coco", tmp_path / "zero", "first") == ["a"]
    assert (round_.read_answer("a") == 0).all()
    answer(round_, "a", np.full((3, 3), 255), SKIPPED, "second")
    with pytest.raises(UserError, match="second has answered"):
        import_round(round_, "coco", tmp_path / "zero", "first")


def test_an_import_takes_nothing_from_a_reviewed_answer(tmp_path):
    mask = {"a": np.ones((3, 3), bool)}
    round_ = make_round(tmp_path, FULL, mask, "xyz", np.random.default_rng(0))
    answer(round_, "a", np.zeros((3, 3)))
    export_round(round_, "coco", tmp_path / "zero")
    round_.write_answer(Answer("a", np.ones((3, 3), np.uint8), annotator="ann", reviewer="bob"))
    export_round(round_, "coco", tmp_path / "one")
    before = round_.answer_facts("a")
    with pytest.raises(UserError, match="ann, with bob as the reviewer, has answered this image"):
        import_round(round_, "coco", tmp_path / "zero", "ann")
    assert import_round(round_, "coco", tmp_path / "one", "ann") == []
    assert round_.answer_facts("a") == before


def full_mask(tmp_path, shape=(6, 10), names=("a",)):
    masks = {name: np.ones(shape, bool) for name in names}
    return make_round(tmp_path, FULL, masks, ("sky", "car"), np.random.default_rng(0))


def import_cvat(round_, tmp_path, shapes, name="a.png"):
    text = f'<annotations><image name="{name}" width="10" height="6">{shapes}</image></annotations>'
    (tmp_path / "a.xml").write_text(text)
    import_round(round_, "cvat", tmp_path / "a.xml", "ann")
    return round_.read_answer(round_.names()[0])


def test_what_lies_on_top_in_cvat_counts(tmp_path):
    """As people draw there: the sky as a whole, and the car over it."""
    shapes = (
        '<polygon label="car" points="2,2;5,2;5,4;2,4" z_order="1"/>'
        '<polygon label="sky" points="0,0;10,0;10,6;0,6" z_order="0"/>'
        '<tag label="checked"/>'
        '<box label="car" xtl="7" ytl="1" xbr="9" ybr="2"/>'
    )
    label = np.zeros((6, 10), int)
    label[2:4, 2:5] = label[1, 7:9] = 1
    np.testing.assert_array_equal(import_cvat(full_mask(tmp_path), tmp_path, shapes), label)


def test_what_is_later_in_labelme_lies_on_top(tmp_path):
    round_ = full_mask(tmp_path)
    corners = {"sky": [[0, 0], [10, 6]], "car": [[2, 2], [5, 4]]}
    shapes = [
        {"label": label, "points": points, "shape_type": "rectangle"}
        for label, points in corners.items()
    ]
    file = {"imagePath": "..\\images\\a.png", "imageHeight": 6, "imageWidth": 10, "shapes": shapes}
    (tmp_path / "a.json").write_text(json.dumps(file))
    import_round(round_, "labelme", tmp_path / "a.json", "ann")
    label = np.zeros((6, 10), int)
    label[2:4, 2:5] = 1
    np.testing.assert_array_equal(round_.read_answer("a"), label)


@pytest.mark.parametrize(
    "file_name", ["stra\u00dfe_a\u0308.png", "4f1c2a9b-stra\u00dfe_\u00e4.jpg"]
)
def test_names_as_other_systems_write_them(tmp_path, file_name):
    """macOS takes accents apart, Label Studio numbers what is uploaded."""
    round_ = full_mask(tmp_path, names=("stra\u00dfe_\u00e4",))
    shapes = '<polygon label="sky" points="0,0;10,0;10,6;0,6"/>'
    assert (import_cvat(round_, tmp_path, shapes, file_name) == 0).all()


def test_where_label_studio_masks_overlap_the_later_counts_and_is_told_once(tmp_path, caplog):
    round_ = full_mask(tmp_path, names=("a", "b"))
    sky, car = np.ones((2, 6, 10), bool)
    sky[:, 6:] = car[:, :5] = False  # painted by hand: both take a column

    def region(class_name, mask):
        value = {"format": "rle", "rle": encode_brush(mask), "brushlabels": [class_name]}
        size = {"original_width": 10, "original_height": 6}
        return {"type": "brushlabels", "value": value} | size

    regions = [region("sky", sky), region("car", car)]
    tasks = [
        {"data": {"name": name}, "annotations": [{"result": result}]}
        for name, result in (("a", regions), ("b", regions[::-1]))
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    import_round(round_, "label_studio", tmp_path, "ann")
    assert (round_.read_answer("a") == np.where(car, 1, 0)).all()
    assert (round_.read_answer("b") == np.where(sky, 0, 1)).all()
    (told,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "12 pixels of 2 images lie under two classes" in told


@pytest.mark.parametrize("chosen", ["ground_truth", "newest"])
def test_of_several_annotations_of_a_task_one_counts(tmp_path, chosen):
    round_ = full_mask(tmp_path)

    def annotation(class_name, **more):
        mask = {"format": "rle", "rle": encode_brush(np.ones((6, 10), bool))}
        region = {"type": "brushlabels", "original_width": 10, "original_height": 6}
        return {"result": [region | {"value": mask | {"brushlabels": [class_name]}}], **more}

    first = annotation("car", updated_at="2026-01-02T10:00:00Z", lead_time=3)
    second = annotation("sky", updated_at="2026-01-01T10:00:00Z", lead_time=4)
    second["ground_truth"] = chosen == "ground_truth"
    task = {"data": {"image": "/data/upload/1/a.png"}, "annotations": [first, second]}
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    import_round(round_, "label_studio", tmp_path, "ann")
    assert (round_.read_answer("a") == (0 if chosen == "ground_truth" else 1)).all()
    assert round_.answer_facts("a")["seconds"] == 7


PARTS = {  # the file, what answers one question in it, what says that the image is done
    "cvat": (
        "annotations.xml",
        ('"class">unanswered', '"class">car'),
        ("<points", '<tag label="answered"/><points'),
    ),
    "labelme": (
        "images/a.json",
        ('"unanswered"', '"car"'),
        ('"answered": false', '"answered": true'),
    ),
    "csv": ("points.csv", (",,", ",car,"), (",,0.0", ",answered,0.0")),
}


@pytest.mark.parametrize("format", PARTS)
def test_an_image_answered_in_part_stays_open_until_it_is_said_to_be_done(tmp_path, caplog, format):
    mask = np.eye(4, dtype=bool)
    round_ = make_round(tmp_path, POINTS, {"a": mask}, ("sky", "car"), np.random.default_rng(0))
    export_round(round_, format, tmp_path / "out")
    file, one, done = PARTS[format]
    path = tmp_path / "out" / file
    path.write_text(path.read_text().replace(*one, 1))
    assert import_round(round_, format, path, "ann") == []
    assert "3 of its questions are unanswered, and 3 pixels have no class, so it" in caplog.text
    path.write_text(path.read_text().replace(*done, 1))
    assert import_round(round_, format, path, "ann") == ["a"]
    assert (round_.read_answer("a") == 1).sum() == 1


@pytest.mark.parametrize("columns", [3, 4])
def test_a_piece_that_is_drawn_over_is_answered(tmp_path, columns):
    """As the docstring of labelme has it; its own shape then keeps the label "unanswered"."""
    mask = np.zeros((6, 10), bool)
    mask[1:3, 2:6] = True
    round_ = make_round(tmp_path, MASK, {"a": mask}, ("sky", "car"), np.random.default_rng(0))
    export_round(round_, "labelme", tmp_path / "out")
    path = tmp_path / "out/images/a.json"
    content = json.loads(path.read_text())
    for label, left, right in (("sky", 2, 4), ("car", 4, 2 + columns)):
        shape = {"label": label, "shape_type": "rectangle", "points": [[left, 1], [right, 3]]}
        content["shapes"].append(shape)
    path.write_text(json.dumps(content))
    assert import_round(round_, "labelme", path, "ann") == (["a"] if columns == 4 else [])
    if columns == 4:
        assert round_.read_answer("a")[1:3, 2:6].tolist() == [[0, 0, 1, 1]] * 2
