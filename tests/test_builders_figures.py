import shutil

import numpy as np
import pytest
from PIL import Image

from jax_labor.classes import get_table
from jax_labor.data import figures, report
from jax_labor.data.builders import make_source
from jax_labor.data.catalogue import load
from jax_labor.errors import UserError

SMALL = {"height": 48, "width": 32, "train": 4, "val": 2}


def test_figures_are_what_the_renderer_draws(tmp_path):
    records = load(
        "figures", data_dir=str(tmp_path), split="train", classes="figures12", options=SMALL
    )
    assert len(records) == 4 and records.names[0] == "figure_train_000000"
    seed = make_source("figures", None, "figures12", SMALL).scan("train").items[2].seed
    image, label = figures.render(seed, (48, 32))
    np.testing.assert_array_equal(records[2]["image"], image)
    np.testing.assert_array_equal(records[2]["label"][..., 0], label)


def test_figures_seen_as_photos_of_clothes(tmp_path):
    records = load("figures", data_dir=str(tmp_path), split="val", classes="ccp8", options=SMALL)
    seed = make_source("figures", None, "ccp8", SMALL).scan("val").items[1].seed
    fine, coarse = get_table("figures12").names, get_table("ccp8").names
    merged = {"face": "skin", "arm": "skin", "leg": "skin", "top": "upper", "trousers": "lower"}
    merged |= {"skirt": "lower", "shoe": "feet", "bag": "item", "hat": "item"}
    expected = [coarse.index(merged.get(name, name)) for name in fine]
    _, label = figures.render(seed, (48, 32))
    np.testing.assert_array_equal(records[1]["label"][..., 0], np.array(expected)[label])


def test_no_two_streams_share_figures():
    seeds = set()
    for seed in (0, 1):
        source = make_source("figures", None, "figures12", {"seed": seed})
        for split in source.splits():
            seeds |= {item.seed for item in source.scan(split).items}
    assert len(seeds) == 2 * (5000 + 100 + 200)


def test_only_what_decides_the_content_changes_the_digest():
    def digest(split="train", classes="figures12", **options):
        source = make_source("figures", None, classes, SMALL | options)
        return source.digest(source.scan(split), split)

    same = digest()
    assert same == digest(val=9) and digest("val") != same != digest(classes="ccp8")
    others = [digest(**change) for change in (
        {"height": 50}, {"width": 50}, {"train": 5}, {"seed": 1},
    )]  # fmt: skip
    assert len({same, *others}) == 5


@pytest.mark.parametrize("options,message", [
    ({"height": 8}, "at least 16 a side"),
    ({"train": 0}, "at least 1"),
    ({"seed": -1}, "not negative"),
    ({"style": "source"}, "no option 'style'; it has height"),
])  # fmt: skip
def test_mistakes(options, message):
    with pytest.raises(UserError, match=message):
        make_source("figures", None, "figures12", options)


def test_figures_have_no_map_to_streets():
    with pytest.raises(UserError, match="no map to class table 'camvid11'.*figures12, ccp8"):
        make_source("figures", None, "camvid11")


@pytest.fixture
def photos(tmp_path):
    """Photos 1-24, the first 20 of them with a label of the photo's number modulo 8."""
    for kind in ("images", "labels"):
        (tmp_path / "ccp" / kind).mkdir(parents=True)
    for number in range(1, 25):
        photo = np.full((12, 8, 3), number * 10, np.uint8)
        Image.fromarray(photo).save(tmp_path / "ccp/images" / f"{number:04d}.jpg")
        if number <= 20:
            label = np.full((12, 8), number % 8, np.uint8)
            Image.fromarray(label).save(tmp_path / "ccp/labels" / f"{number:04d}.png")
    return tmp_path / "ccp"


def names(source, split):
    return [int(item.name) for item in source.scan(split).items]


def test_photos_are_split_by_number(photos, tmp_path):
    source = make_source("ccp", photos, "ccp8")
    assert names(source, "test") == [5, 10, 15, 20]
    assert names(source, "val") == [9, 19]
    assert names(source, "train") == [1, 2, 3, 4, 6, 7, 8, 11, 12, 13, 14, 16, 17, 18]
    assert names(source, "unlabelled") == [21, 22, 23, 24]
    assert not any(source.scan(split).problems for split in source.splits())
    records = load("ccp", root=photos, data_dir=str(tmp_path / "d"), split="test", classes="ccp8")
    assert records.names == ("0005", "0010", "0015", "0020")
    assert [int(records.label(i).max()) for i in range(4)] == [5, 2, 7, 4]


def test_photos_alone_for_a_generator(photos, tmp_path):
    records = load(
        "ccp", root=photos, data_dir=str(tmp_path / "d"), split="train+unlabelled",
        classes="ccp8", options={"unlabelled": True, "size": (6, 4)},
    )  # fmt: skip
    assert len(records) == 18 and not records.has_labels
    assert records[0]["image"].shape == (6, 4, 3)


def test_a_new_label_moves_its_photo_only(photos):
    def state():
        source = make_source("ccp", photos, "ccp8")
        listings = {split: source.scan(split) for split in source.splits()}
        return {s: (names(source, s), source.digest(x, s)) for s, x in listings.items()}

    before = state()
    shutil.copy(photos / "labels/0001.png", photos / "labels/0021.png")
    after = state()
    assert after["train"][0] == before["train"][0] + [21]
    assert after["unlabelled"][0] == [22, 23, 24]
    assert after["unlabelled"][1] != before["unlabelled"][1]
    assert after["test"][0] == before["test"][0] and after["val"][0] == before["val"][0]


def test_defects_of_photos(photos):
    (photos / "images/0010.jpg").unlink()
    (photos / "images/notes.txt").write_text("x")
    source = make_source("ccp", photos, "ccp8")
    shown = {split: [str(p) for p in source.scan(split).problems] for split in source.splits()}
    assert shown["val"] == ["images/notes.txt: is not a file of this data set"]
    assert "labels/0010.png: has no image" in shown["test"] and len(shown["test"]) == 2
    (photos / "classes.json").write_text('{"classes": ["cat", "dog"]}')
    with pytest.raises(UserError, match=r"classes cat, dog, but class table 'ccp8' has"):
        make_source("ccp", photos, "ccp8")


def test_a_split_without_photos(photos):
    for number in range(21, 25):  # then every photo has a label
        (photos / f"images/{number:04d}.jpg").unlink()
    request = report.Request("ccp", str(photos), "ccp8")
    assert report.prepare(request, str(photos / "d"), drop_bad=False).split()[1:4] == [
        "train", "val", "test",
    ]  # fmt: skip
    for label in photos.glob("labels/*.png"):
        label.unlink()
    with pytest.raises(UserError, match="no split 'val'; it has unlabelled"):
        load("ccp", root=photos, data_dir=str(photos / "d"), split="val", classes="ccp8")


def test_labels_whose_names_end_in_capitals(photos):
    for label in photos.glob("labels/*.png"):
        label.rename(label.with_suffix(".PNG"))
    source = make_source("ccp", photos, "ccp8")
    assert names(source, "test") == [5, 10, 15, 20]
    assert names(source, "unlabelled") == [21, 22, 23, 24]


def test_real_photos(real_data, tmp_path):
    source = make_source("ccp", real_data / "ccp", "ccp8")
    counts = {split: len(source.scan(split).items) for split in source.splits()}
    assert counts == {"train": 354, "val": 50, "test": 100, "unlabelled": 1594}
    records = load(
        "ccp", root=real_data / "ccp", data_dir=str(tmp_path), split="val", classes="ccp8",
        options={"size": (96, 64)},
    )  # fmt: skip
    assert len(records) == 50 and (records.class_pixels > 0).all()
    share = records.class_pixels / records.class_pixels.sum()
    assert 0.6 < share[0] < 0.85 and records[3]["image"].shape == (96, 64, 3)
