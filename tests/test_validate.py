"""Each defect a data set can have is found and named."""

import os
import unicodedata

import numpy as np
import pytest
import tiny_data
from PIL import Image

from jax_labor.data import catalogue
from jax_labor.data.builders import make_source
from jax_labor.data.validate import validate
from jax_labor.errors import UserError


def found(root, name="camvid", split="train", classes="camvid11"):
    return [str(problem) for problem in validate(name, root, split, classes).problems]


@pytest.fixture
def root(tmp_path):
    return tiny_data.camvid(tmp_path / "d")


@pytest.mark.parametrize("writer,name,classes", [
    (tiny_data.camvid, "camvid", "camvid11"),
    (tiny_data.gta5, "gta5", "synthia13"),
    (tiny_data.synthia, "synthia", "cityscapes19"),
    (tiny_data.cityscapes, "cityscapes", "camvid11"),
    (tiny_data.image_folder, "image_folder", "own"),
])  # fmt: skip
def test_sound_data_has_no_problems(tmp_path, writer, name, classes):
    assert found(writer(tmp_path / "d"), name, "train", classes) == []


def test_missing_partners(root):
    (root / "train/0001TP_train0.png").unlink()
    (root / "trainannot/0001TP_train1.png").unlink()
    assert found(root) == [
        "train/0001TP_train1.png: has no label",
        "trainannot/0001TP_train0.png: has no image",
    ]


@pytest.mark.parametrize("folder", ["train", "trainannot"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated(root, folder, share):
    tiny_data.truncate(root / folder / "0001TP_train1.png", share)
    (problem,) = found(root)
    assert problem.startswith(f"{folder}/0001TP_train1.png: cannot be read as an image")


def test_truncated_jpeg(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    tiny_data.truncate(root / "images/train/photo2.jpg", 0.7)
    (problem,) = found(root, "image_folder", classes="own")
    assert problem.startswith("images/train/photo2.jpg: cannot be read as an image")


def test_folders_behind_links_are_followed(root, tmp_path):
    for folder in ("train", "trainannot"):
        elsewhere = tmp_path / "elsewhere" / folder
        elsewhere.parent.mkdir(exist_ok=True)
        (root / folder).rename(elsewhere)
        (root / folder).mkdir()
        (root / folder / "part").symlink_to(elsewhere)
        (elsewhere / "back").symlink_to(root / folder)  # must not be followed for ever
    assert found(root) == []
    assert len(make_source("camvid", root, "camvid11", None).scan("train").items) == 3


def test_a_folder_that_is_linked_twice_counts_twice(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    for kind in ("images", "labels"):
        (root / kind / "train").rename(tmp_path / kind)
        (root / kind / "train").mkdir()
        for name in ("a", "b"):
            (root / kind / "train" / name).symlink_to(tmp_path / kind)
    items = make_source("image_folder", root, "own", None).scan("train").items
    assert [item.name for item in items] == [f"{a}__photo{i}" for a in "ab" for i in range(3)]


@pytest.mark.parametrize("folder", ["train", "trainannot"])
def test_links_to_nothing(root, folder):
    path = root / folder / "0001TP_train1.png"
    path.unlink()
    path.symlink_to("gone.png")
    assert f"{folder}/0001TP_train1.png: is no file, or a link to nothing" in found(root)


def test_a_file_that_is_no_image_is_told_without_python_words(root):
    (root / "train/0001TP_train1.png").write_bytes(b"<html>")
    assert found(root) == [
        "train/0001TP_train1.png: cannot be read as an image (no format that Pillow knows)"
    ]


def test_a_label_that_was_saved_as_jpeg(root):
    path = root / "trainannot/0001TP_train1.png"
    Image.open(path).save(path, "JPEG")
    (problem,) = found(root)
    assert problem.startswith("trainannot/0001TP_train1.png: is a JPEG")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_damaged_pixels_of_a_png(root, place):
    """Pillow alone takes one in four such labels, with other ids."""
    path = root / "trainannot/0001TP_train1.png"
    data = bytearray(path.read_bytes())
    for bit in range(8):
        damaged = data.copy()
        damaged[int(place * len(data))] ^= 1 << bit
        path.write_bytes(damaged)
        (problem,) = found(root)
        assert problem.startswith("trainannot/0001TP_train1.png: cannot be read as an image")
        assert "PNG chunk IDAT does not match its checksum" in problem
    path.write_bytes(data + b"what some programs leave behind the end")
    assert found(root) == []


def test_size_mismatch(root):
    tiny_data.save(root / "trainannot/0006R0_train2.png", tiny_data.labels(0, range(12), (24, 30)))
    assert found(root) == ["trainannot/0006R0_train2.png: is 30x24, its image is 32x24"]


def test_ids_outside_the_table(root):
    tiny_data.save(root / "trainannot/0001TP_train0.png", tiny_data.labels(0, (3, 12, 77)))
    (problem,) = found(root)
    assert problem.startswith("trainannot/0001TP_train0.png: data set 'camvid': unknown id 12, 77")


def test_synthia_id_in_the_high_byte(tmp_path):
    root = tiny_data.synthia(tmp_path / "d")
    pixels = np.full((tiny_data.H, tiny_data.W, 3), 3 + 256, np.uint16)
    tiny_data.save_png16(root / "RAND_CITYSCAPES/GT/LABELS/0000001.png", pixels)
    (problem,) = found(root, "synthia", classes="synthia16")
    assert "0000001.png: data set 'synthia': unknown id 259" in problem


@pytest.mark.parametrize("row_filter", range(5))
def test_sixteen_bit_reading_undoes_every_row_filter(tmp_path, row_filter):
    from jax_labor.data.builders import codec

    pixels = np.random.default_rng(row_filter).integers(0, 65536, (7, 9, 3)).astype(np.uint16)
    path = tiny_data.save_png16(tmp_path / "a.png", pixels, row_filter)
    read = codec.read_label_first_channel(path.read_bytes())
    np.testing.assert_array_equal(read, pixels[..., 0])


def test_colour_label(root):
    tiny_data.save(root / "trainannot/0001TP_train0.png", tiny_data.image(0))
    (problem,) = found(root)
    assert "has pixels of type RGB; one channel of class ids is needed" in problem


def test_a_photo_of_a_phone(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    (root / "images/train/photo0.jpg").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.open(root / "images/train/photo1.jpg")
    photo.save(root / "images/train/photo1.jpg", exif=exif)
    (heic, turned) = found(root, "image_folder", classes="own")
    assert heic.endswith("photo0.jpg: cannot be read as an image (it may be HEIC: save it as PNG)")
    assert "labels/train/photo1.png: is" in turned and "their EXIF says: turn the label" in turned


def test_duplicates_and_files_out_of_place(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    tiny_data.save(root / "images/train/photo0.png", tiny_data.image(9))
    (root / "images/train/notes.doc").write_text("x")
    (root / "images/train/moves.GIF").write_text("x")
    (root / "images/train/.hidden").write_text("x")
    assert found(root, "image_folder", classes="own") == [
        "images/train/moves.GIF: is not a file of this data set; save it as PNG",
        "images/train/notes.doc: is not a file of this data set",
        "images/train/photo0.jpg: duplicate: another file also gives the record name 'photo0'",
        "images/train/photo0.png: duplicate: another file also gives the record name 'photo0'",
    ]


def test_what_systems_leave_is_no_data(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        for folder in ("images", "images/train", "labels/train"):
            (root / folder / name).write_text("x")
    for name in (".ipynb_checkpoints", "@eaDir", "__MACOSX"):
        for folder in ("images", "images/train", "images/extra", "labels/train"):
            tiny_data.save(root / folder / name / "photo0.jpg", tiny_data.image(9))
    source = make_source("image_folder", root, "own", None)
    assert source.splits() == ("extra", "train")
    for split, count in (("train", 3), ("extra", 2)):
        assert found(root, "image_folder", split, "own") == []
        assert len(source.scan(split).items) == count


def test_labels_that_other_programs_made_beside(tmp_path):
    for name, writer in (("gta5", tiny_data.gta5), ("synthia", tiny_data.synthia)):
        root = writer(tmp_path / name)
        for label in [*root.rglob("labels/*.png"), *root.rglob("LABELS/*.png")]:
            made = label.with_name(f"{label.stem}_labelTrainIds.png")
            tiny_data.save(made, tiny_data.labels(0, (0, 1)))
        assert found(root, name, classes="synthia16") == []


def test_cityscapes_with_ids_of_training_alone(tmp_path):
    root = tiny_data.cityscapes(tmp_path / "d")
    for label in root.rglob("*_labelIds.png"):
        label.rename(label.with_name(label.name.replace("labelIds", "labelTrainIds")))
    assert found(root, "cityscapes", classes="cityscapes19") == [
        "gtFine/train: holds no *_gtFine_labelIds.png"
    ]


def test_names_that_are_not_utf8(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    for kind, suffix in (("images", b".jpg"), ("labels", b".png")):
        folder = os.fsencode(f"{root / kind}/train/")
        os.rename(folder + b"photo1" + suffix, folder + b"stra\xdfe" + suffix)
    assert found(root, "image_folder", classes="own") == [
        "images/train/stra\\xdfe.jpg: its name is not UTF-8; rename it",
        "labels/train/stra\\xdfe.png: its name is not UTF-8; rename it",
    ]
    load = dict(root=root, data_dir=str(tmp_path / "p"), split="train", classes="own")
    assert catalogue.load("image_folder", **load, drop_bad=True).names == ("photo0", "photo2")


def test_accents_as_macs_write_them(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    for kind, suffix, form in (("images", ".jpg", "NFD"), ("labels", ".png", "NFC")):
        path = root / kind / "train" / f"photo1{suffix}"
        path.rename(path.with_name(unicodedata.normalize(form, f"\u00e9t\u00e9{suffix}")))
    assert found(root, "image_folder", classes="own") == []
    listing = make_source("image_folder", root, "own", None).scan("train")
    assert [item.name for item in listing.items] == ["photo0", "photo2", "\u00e9t\u00e9"]
    photo = next((root / "images/train").glob("e*.jpg"))
    photo.rename(photo.with_name("\u00e9t\u00e9.jpg"))  # a copy, which is no other data set
    copy = make_source("image_folder", root, "own", None).scan("train")
    assert copy.content == listing.content and copy.files != listing.files


def test_a_folder_that_cannot_be_listed(root, monkeypatch):
    def refuse(folder):
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(UserError, match="d/train: cannot be listed .Permission.*make it readable"):
        found(root)


def test_labels_of_no_split(tmp_path):
    root = tiny_data.image_folder(tmp_path / "d")
    (root / "labels/train").rename(root / "labels/Train")
    with pytest.raises(UserError, match="labels/Train: there is no folder .*/images/Train of im"):
        found(root, "image_folder", classes="own")
    assert make_source("image_folder", root, "own", {"unlabelled": True}).splits()


def test_empty_split(tmp_path):
    root = tiny_data.camvid(tmp_path / "d", train=0)
    assert found(root) == ["train: the split has no images"]


def test_several_splits_and_a_missing_label_folder(root):
    (root / "valannot/0001TP_val0.png").unlink()
    assert found(root, split="train+val+test") == ["val/0001TP_val0.png: has no label"]
    for path in (root / "testannot").iterdir():
        path.unlink()
    (root / "testannot").rmdir()
    with pytest.raises(UserError, match="there is no folder .*testannot\nexpected layout"):
        validate("camvid", root, "test", "camvid11")


def test_many_files_keep_their_order(tmp_path):
    root = tiny_data.camvid(tmp_path / "d", train=40)
    names = sorted(path.name for path in (root / "train").iterdir())
    for name in names[::3]:
        tiny_data.truncate(root / "trainannot" / name)
    assert [line.partition(":")[0] for line in found(root)] == [
        f"trainannot/{name}" for name in names[::3]
    ]


def test_real_camvid_is_sound(real_data):
    assert found(real_data / "camvid", split="test") == []
