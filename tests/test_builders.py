"""Every layout prepared and read back equal to what was written."""

import contextlib
import io
import json
import re

import numpy as np
import pytest
import tiny_data
from PIL import Image, ImageOps

from jax_labor.classes import IGNORE, get_table
from jax_labor.data.builders import SOURCES, camvid_full, codec, make_source
from jax_labor.data.builders.label_maps import id_map
from jax_labor.data.catalogue import load
from jax_labor.errors import UserError
from jax_labor.pixels import BadFileError, encode_png


@pytest.fixture
def read(tmp_path):
    """Prepare below tmp_path/prepared and load."""

    def load_it(name, root, split="train", classes="camvid11", **options):
        data_dir = str(tmp_path / "prepared")
        return load(name, root=root, data_dir=data_dir, split=split, classes=classes, **options)

    return load_it


def expected(disk_labels, mapping):
    return np.vectorize(mapping.__getitem__)(disk_labels)[..., None]


def test_camvid(read, tmp_path):
    records = read("camvid", tiny_data.camvid(tmp_path / "d"))
    assert records.names == ("0001TP_train0", "0001TP_train1", "0006R0_train2")
    assert len(records) == 3 and records.has_labels and records.table == get_table("camvid11")
    mapping = {i: i for i in range(11)} | {11: IGNORE}
    pixels = np.zeros(11, int)
    for index in range(3):
        record = records[index]
        assert record["name"] == records.names[index] and records.size(index) == (24, 32)
        np.testing.assert_array_equal(record["image"], tiny_data.image(index))
        label = expected(tiny_data.labels(index, range(12)), mapping)
        np.testing.assert_array_equal(record["label"], label)
        np.testing.assert_array_equal(records.label(index), label)
        assert record["label"].dtype == record["image"].dtype == np.uint8
        pixels += np.bincount(label.ravel(), minlength=256)[:11]
    np.testing.assert_array_equal(records.class_pixels, pixels)


CAMBRIDGE = {  # label_colors.txt, and what the 480x360 edition makes of it
    "Animal": (64, 128, 64, 9), "Archway": (192, 0, 128, 1), "Bicyclist": (0, 128, 192, 10),
    "Bridge": (0, 128, 64, 1), "Building": (128, 0, 0, 1), "Car": (64, 0, 128, 8),
    "CartLuggagePram": (64, 0, 192, 9), "Child": (192, 128, 64, 9),
    "Column_Pole": (192, 192, 128, 2), "Fence": (64, 64, 128, 7), "LaneMkgsDriv": (128, 0, 192, 3),
    "LaneMkgsNonDriv": (192, 0, 64, 3), "Misc_Text": (128, 128, 64, 6),
    "MotorcycleScooter": (192, 0, 192, 10), "OtherMoving": (128, 64, 64, 8),
    "ParkingBlock": (64, 192, 128, 4), "Pedestrian": (64, 64, 0, 9), "Road": (128, 64, 128, 3),
    "RoadShoulder": (128, 128, 192, 4), "Sidewalk": (0, 0, 192, 4),
    "SignSymbol": (192, 128, 128, 6), "Sky": (128, 128, 128, 0),
    "SUVPickupTruck": (64, 128, 192, 8), "TrafficCone": (0, 0, 64, 2),
    "TrafficLight": (0, 64, 64, 6), "Train": (192, 64, 128, 8), "Tree": (128, 128, 0, 5),
    "Truck_Bus": (192, 128, 192, 8), "Tunnel": (64, 0, 64, 1), "VegetationMisc": (192, 192, 0, 5),
    "Void": (0, 0, 0, 255), "Wall": (64, 192, 0, 1),
}  # fmt: skip


def test_camvid_of_cambridge(read, tmp_path):
    table = np.array([*CAMBRIDGE.values()], np.uint8)
    ids = tiny_data.labels(0, range(32))
    for name in ("0001TP_008520", "0001TP_008550", "0006R0_f00930", "0016E5_07959",
                 "0016E5_08640", "Seq05VD_f00000"):  # fmt: skip
        tiny_data.save(tmp_path / f"d/701_StillsRaw_full/{name}.png", tiny_data.image(0))
        tiny_data.save(tmp_path / f"d/LabeledApproved_full/{name}_L.png", table[ids, :3])
    records = {split: read("camvid_full", tmp_path / "d", split) for split in ("train", "val")}
    assert records["train"].names == ("0001TP_008520", "0006R0_f00930", "0016E5_08640")
    assert records["val"].names == ("0016E5_07959",)
    np.testing.assert_array_equal(records["val"].label(0)[..., 0], table[ids, 3])
    test = make_source("camvid_full", tmp_path / "d", "camvid11").scan("test")
    assert [item.name for item in test.items] == ["0001TP_008550", "Seq05VD_f00000"]
    off = table[ids, :3]
    off[3, 4] = 64, 64, 65
    tiny_data.save(tmp_path / "d/LabeledApproved_full/0016E5_07959_L.png", off)
    with pytest.raises(UserError, match="07959_L.png: has the colour .64, 64, 65., none of the 32"):
        read("camvid_full", tmp_path / "d", "val")


def test_camvid_of_cambridge_is_split_as_the_small_edition(real_data):
    for split in ("train", "val", "test"):
        names = [path.stem for path in (real_data / "camvid" / split).iterdir()]
        assert names and {camvid_full._split_of(name) for name in names} == {split}


def test_records_lie_in_the_order_of_their_names(read, tmp_path):
    records = read("camvid", tiny_data.camvid(tmp_path / "d", train=12))
    assert list(records.names) == sorted(records.names)
    stored = [records._read(index)["name"].decode() for index in range(12)]
    assert stored == list(records.names)


def test_gta5_palette_is_not_applied(read, tmp_path):
    records = read("gta5", tiny_data.gta5(tmp_path / "d"), classes="cityscapes19")
    assert records.names == ("00001", "00002", "00003")
    mapping = dict.fromkeys(range(35), IGNORE)
    mapping |= {label_id: t for t, label_id in enumerate(get_table("cityscapes19").ids)}
    label = expected(tiny_data.labels(2, range(35)), mapping)
    np.testing.assert_array_equal(records[1]["label"], label)
    np.testing.assert_array_equal(records[1]["image"], tiny_data.image(2))


SYNTHIA_PUBLISHED = {
    "synthia16": {3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 1: 9, 10: 10, 17: 11,
                  8: 12, 19: 13, 12: 14, 11: 15},
    "cityscapes19": {3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 16: 9, 1: 10, 10: 11,
                     17: 12, 8: 13, 18: 14, 19: 15, 20: 16, 12: 17, 11: 18},
}  # fmt: skip


@pytest.mark.parametrize("classes", SYNTHIA_PUBLISHED)
def test_synthia_sixteen_bit_labels_and_published_maps(read, tmp_path, classes):
    root = tiny_data.synthia(tmp_path / "d")
    mapping = dict.fromkeys(range(23), IGNORE) | SYNTHIA_PUBLISHED[classes]
    label = expected(tiny_data.labels(1, range(23)), mapping)
    np.testing.assert_array_equal(read("synthia", root, classes=classes)[1]["label"], label)
    inner = read("synthia", root / "RAND_CITYSCAPES", classes=classes)  # either folder is the root
    np.testing.assert_array_equal(inner[1]["label"], label)


def test_cityscapes_labelled_and_unlabelled_splits(read, tmp_path):
    root = tiny_data.cityscapes(tmp_path / "d", labelled=("val",))
    target = read("cityscapes", root, "train", "cityscapes19")
    assert target.names == ("aachen_000000_000019", "bremen_000001_000019")
    assert not target.has_labels and set(target[0]) == {"image", "name"}
    val = read("cityscapes", root, "val", "cityscapes19")
    disk = tiny_data.labels(1, range(34))
    np.testing.assert_array_equal(val.label(1)[..., 0], get_table("cityscapes19").encode(disk))
    with pytest.raises(UserError, match="all have labels or none"):
        read("cityscapes", root, "train+val", "cityscapes19")


def test_records_can_be_prepared_smaller(read, tmp_path):
    root = tiny_data.camvid(tmp_path / "d")
    large, small = (read("camvid", root, options=o) for o in ({}, {"size": (12, 16)}))
    for index in range(3):
        assert small.size(index) == (12, 16)
        # Pillow's nearest pixel of a halving is the lower right of each four.
        expected_label = large.label(index)[1::2, 1::2]
        np.testing.assert_array_equal(small.label(index), expected_label)
        image = large[index]["image"].astype(float)
        means = image.reshape(12, 2, 16, 2, 3).mean((1, 3))
        # Bicubic with antialiasing overshoots at edges, but keeps means.
        assert abs(small[index]["image"].mean() - means.mean()) < 2
        assert np.corrcoef(small[index]["image"].ravel(), means.ravel())[0, 1] > 0.9
    assert small.class_pixels.sum() < large.class_pixels.sum()


@pytest.mark.parametrize("size", [(12,), (0, 5), 20, (20.5, 30), "(20,a)", (20, "a"), True, "ab"])
def test_a_size_that_is_none_is_refused(read, tmp_path, size):
    with pytest.raises(UserError, match="option size=.* must be .height, width. in whole pixels"):
        read("camvid", tiny_data.camvid(tmp_path / "d"), options={"size": size})


def test_cityscapes_merged_into_camvid_classes():
    official, camvid = id_map("cityscapes", "cityscapes19"), id_map("cityscapes", "camvid11")
    names = get_table("cityscapes19").names
    merged = {names[official[i]]: t for i, t in camvid.items() if t != IGNORE}
    found = {name: get_table("camvid11").names[t] for name, t in merged.items()}
    assert found == {
        "road": "road", "sidewalk": "pavement", "building": "building", "fence": "fence",
        "pole": "pole", "traffic light": "sign", "traffic sign": "sign", "vegetation": "tree",
        "sky": "sky", "person": "pedestrian", "rider": "bicyclist", "bicycle": "bicyclist",
        "car": "car", "truck": "car", "bus": "car",
    }  # fmt: skip
    assert camvid.keys() == official.keys()


def test_image_folder_with_its_own_classes(read, tmp_path):
    root = tiny_data.image_folder(tmp_path / "mine")
    records = read("image_folder", root, classes="own")
    assert records.table.names == ("grass", "water", "sky") and records.table.name == "mine"
    assert len(set(records.table.colors)) == 3
    np.testing.assert_array_equal(records[2]["label"][..., 0], tiny_data.labels(2, (0, 1, 2, 255)))
    with Image.open(root / "images/train/photo2.jpg") as photo:
        np.testing.assert_array_equal(records[2]["image"], np.asarray(photo))
    assert not read("image_folder", root, "extra", "own").has_labels
    unlabelled = read("image_folder", root, classes="own", options={"unlabelled": True})
    assert not unlabelled.has_labels and unlabelled.names == records.names


def test_image_folder_with_a_known_table_and_no_splits(read, tmp_path):
    tiny_data.save(tmp_path / "d/images/a.png", tiny_data.image(0))
    tiny_data.save(tmp_path / "d/images/b.png", tiny_data.image(1))
    records = read("image_folder", tmp_path / "d", classes="cityscapes19")
    assert records.names == ("a", "b") and not records.has_labels
    assert records.table == get_table("cityscapes19")


def test_image_folder_json_colors_and_nested_folders(read, tmp_path):
    root = tmp_path / "d"
    tiny_data.save(root / "images/train/x/a.png", tiny_data.image(0))
    tiny_data.save(root / "labels/train/x/a.png", tiny_data.labels(0, (0, 1, 9)))
    fields = {"classes": ["p", "q"], "colors": [[1, 2, 3], [4, 5, 6]], "ignore": [9]}
    (root / "classes.json").write_text(json.dumps(fields))
    records = read("image_folder", root, classes="")
    assert records.names == ("x__a",) and records.table.colors == ((1, 2, 3), (4, 5, 6))
    label = tiny_data.labels(0, (0, 1, 9))
    np.testing.assert_array_equal(records.label(0)[..., 0], np.where(label == 9, IGNORE, label))


@pytest.mark.parametrize("mode", ["RGBA", "P", "L", "CMYK"])
def test_other_kinds_of_images_become_rgb(read, tmp_path, mode):
    picture = Image.fromarray(tiny_data.image(0)).convert(mode)
    path = tmp_path / "d/images/a.tif"
    path.parent.mkdir(parents=True)
    picture.save(path)
    records = read("image_folder", tmp_path / "d", classes="camvid11")
    np.testing.assert_array_equal(records[0]["image"], np.asarray(picture.convert("RGB")))


def test_photo_is_turned_upright_like_its_label(read, tmp_path):
    root = tmp_path / "d"
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    tiny_data.save(root / "images/train/a.jpg", tiny_data.image(0, (16, 40)), exif=exif)
    tiny_data.save(root / "labels/train/a.png", tiny_data.labels(0, range(11), (40, 16)))
    records = read("image_folder", root)
    with Image.open(root / "images/train/a.jpg") as photo:
        np.testing.assert_array_equal(records[0]["image"], np.rot90(np.asarray(photo), -1))
    assert records.size(0) == (40, 16)


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_photos_with_damaged_tags(mode):
    """They can be used, or at least dropped: no damage ends in a traceback."""
    exif, sizes = Image.Exif(), []
    exif[0x0112], exif[0x010F], exif[0x011A] = 6, "Maker", 72.0
    buffer = io.BytesIO()
    Image.fromarray(tiny_data.image(0)).convert(mode).save(buffer, "JPEG", exif=exif)
    start = buffer.getvalue().index(b"Exif") + 6
    for place in range(start, start + len(exif.tobytes()) - 6):
        for damage in (0, 0xFF):
            data = bytearray(buffer.getvalue())
            data[place] = damage
            with contextlib.suppress(BadFileError):
                sizes.append(codec.check_image(bytes(data))[1])
    assert len(sizes) > 30 and set(sizes) == {(24, 32), (32, 24)}


@pytest.mark.parametrize("orientation", [0, *range(2, 10)])
def test_every_orientation(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    Image.fromarray(tiny_data.image(0)).save(buffer, "PNG", exif=exif)
    stored, size = codec.check_image(buffer.getvalue())
    upright = np.asarray(ImageOps.exif_transpose(Image.open(buffer)))
    np.testing.assert_array_equal(codec.decode_image(stored), upright)
    assert size == upright.shape[:2]


def test_photos_of_phones_stay_jpeg():
    buffer, photo = io.BytesIO(), Image.fromarray(tiny_data.image(0))
    photo.save(buffer, "MPO", save_all=True, append_images=[photo])
    assert codec.check_image(buffer.getvalue()) == (buffer.getvalue(), (24, 32))


def test_a_label_of_one_bit(read, tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    mask = tiny_data.labels(0, (0, 1))
    tiny_data.save(root / "labels/train/photo0.png", mask.astype(bool))
    label = read("image_folder", root, classes="own").label(0)
    np.testing.assert_array_equal(label[..., 0], mask)


def test_an_image_above_pillows_limit_says_what_to_do(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadFileError, match="is too large to be read; cut it into tiles .*768 pix"):
        codec.check_image(encode_png(tiny_data.image(0)))


def test_original_bytes_are_stored(read, tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    stored = read("image_folder", root, classes="own")._read(1)
    assert stored["image"] == (root / "images/train/photo1.jpg").read_bytes()


def test_every_map_is_complete_and_a_missing_one_lists_what_exists():
    for name in ("gta5", "synthia", "cityscapes"):
        for classes in ("cityscapes19", "synthia16", "synthia13", "camvid11"):
            used = set(id_map(name, classes).values()) - {IGNORE}
            table = get_table(classes)
            missing = {table.names[i] for i in range(table.num_classes)} - {
                table.names[i] for i in used
            }
            assert not missing, (name, classes, missing)
    with pytest.raises(UserError, match="'camvid' has no map to .*'cityscapes19'.*camvid11"):
        make_source("camvid", None, "cityscapes19")


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {"streets", "figures"}))
def test_missing_folder_shows_layout_and_where_to_get_it(name, tmp_path):
    classes = "ccp8" if name == "ccp" else "camvid11"
    with pytest.raises(
        UserError, match=r"there is no folder .*nowhere\nexpected layout:\n  <root>"
    ):
        make_source(name, tmp_path / "nowhere", classes)
    with pytest.raises(UserError, match=r"needs its root folder\nexpected layout"):
        make_source(name, "", classes)
    with pytest.raises(UserError, match=rf"no data set '{name}' in .*\nexpected layout"):
        make_source(name, tmp_path, classes)


@pytest.mark.parametrize("name,option,value,kind", [
    ("streets", "height", "abc", "a whole number"),
    ("streets", "seed", 1.5, "a whole number"),
    ("streets", "style", 3, "text"),
    ("image_folder", "unlabelled", "false", "True or False"),
])  # fmt: skip
def test_options_of_a_wrong_kind(tmp_path, name, option, value, kind):
    root = tiny_data.image_folder(tmp_path)
    with pytest.raises(UserError, match=f"'{name}': option {option}={value!r} must be {kind}"):
        make_source(name, root, "camvid11", {option: value})


def test_wrong_names_and_options_are_answered(tmp_path):
    root = tiny_data.camvid(tmp_path / "d")
    with pytest.raises(UserError, match="no data set 'camvit'. Did you mean 'camvid'.*generated"):
        make_source("camvit", root, "camvid11")
    with pytest.raises(UserError, match="'camvid' has no option 'style'; it has size"):
        make_source("camvid", root, "camvid11", {"style": "x"})
    with pytest.raises(UserError, match="'camvid' has no split 'trian'; it has train, val, test"):
        make_source("camvid", root, "camvid11").scan("trian")


@pytest.mark.parametrize("file,content,message", [
    ("json", b"{", "is not valid JSON"),
    ("json", b"[]", "a JSON object is needed"),
    ("json", b'{"names": []}', "cannot be understood"),
    ("json", b'{"classes": ["a", "a"]}', "occurs twice"),
    ("json", b'{"classes": ["a"], "colors": [[1, 2]]}', "cannot be understood"),
    ("json", b'{"classes": ["a"], "colors": [[1, 0.5, 0]]}', "whole numbers from 0 to 255; 0.5 is"),
    ("json", b'{"classes": ["a"], "colors": ["red"]}', "whole numbers from 0 to 255; 'r' is none"),
    ("json", b'{"classes": ["a"], "colors": [7]}', "cannot be understood"),
    ("json", b'{"classes": ["a"], "ignore": [9, -1]}', "ids from 0 to 65535; -1 is none"),
    ("json", b'{"classes": ["a"], "ignore": 9.5}', "ids from 0 to 65535; 9.5 is none"),
    ("json", b'{"classes": ["a"], "ignore": 4000000000}', "ids from 0 to 65535; 4000000000 is"),
    ("json", b'{"classes": ["a"], "colours": [[1, 2, 3]]}', "json: no entry 'col.*mean 'colors'"),
    ("json", b'{"classes": "road"}', "must be a list of names"),
    ("json", b'{"classes": ["road", 7]}', "must be a list of names"),
    ("txt", "forêt\n".encode("latin-1"), "classes.txt: is not UTF-8"),
    ("txt", b"grass\n\nsky\n", "empty line stands where label id 1"),
    ("txt", b"\ngrass\n", "empty line stands where label id 0"),
    ("txt", b"\n", "0 classes"),
])  # fmt: skip
def test_bad_classes_file(tmp_path, file, content, message):
    tiny_data.image_folder(tmp_path)
    (tmp_path / f"classes.{file}").write_bytes(content)
    with pytest.raises(UserError, match=message):
        make_source("image_folder", tmp_path, "own")


def test_classes_text_of_other_editors(tmp_path):
    tiny_data.image_folder(tmp_path)
    (tmp_path / "classes.txt").write_bytes("grass\r\nwater \r\nsky\r\n\r\n".encode("utf-8-sig"))
    assert make_source("image_folder", tmp_path, "own").table.names == ("grass", "water", "sky")


def test_image_folder_mistakes(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    with pytest.raises(UserError, match="has the classes grass, .*, but .*camvid11' has sky"):
        make_source("image_folder", root, "camvid11")
    unlabelled = make_source("image_folder", root, "camvid11", {"unlabelled": True})
    assert unlabelled.table.name == "camvid11" and not unlabelled.has_labels("train")
    (root / "classes.txt").unlink()
    with pytest.raises(UserError, match="no classes.json or classes.txt"):
        make_source("image_folder", root, "own")
    tiny_data.save(root / "images/loose.png", tiny_data.image(0))
    with pytest.raises(UserError, match="both files and folders"):
        make_source("image_folder", root, "camvid11")
    (root / "images/loose.png").unlink()
    tiny_data.save(root / "images/day-1_a/one.png", tiny_data.image(0))
    make_source("image_folder", root, "camvid11").check_split("day-1_a")
    for name in ("all", "day 1", "v1.0", "a+b", "_"):  # which TFDS reads otherwise
        (root / "images/day-1_a").rename(root / "images" / name)
        source = make_source("image_folder", root, "camvid11", {"unlabelled": True})
        source.check_split("train")
        with pytest.raises(UserError, match=rf"images/{re.escape(name)}: a split's name has"):
            source.scan(name)
        (root / "images" / name).rename(root / "images/day-1_a")
    tiny_data.save(root / "images/loose.png", tiny_data.image(0))
    with pytest.raises(UserError, match="both files and folders"):
        make_source("image_folder", root, "camvid11")
