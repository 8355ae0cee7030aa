"""Preparation: what is kept, redone, dropped and refused; `launch/prepare.py`."""

import errno
import hashlib
import json
import multiprocessing
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
import tensorflow_datasets as tfds
import tiny_data
from tensorflow_datasets.core import shuffle

from configs import common, spl
from jax_labor.classes import get_table
from jax_labor.data import array_record, preparation, report
from jax_labor.data.builders import hashes
from jax_labor.data.builders.file_source import FileSource
from jax_labor.data.catalogue import load
from jax_labor.errors import UserError
from jax_labor.experiments.assembly import load_domain

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture
def root(tmp_path):
    return tiny_data.camvid(tmp_path / "d")


@pytest.fixture
def read(tmp_path, root):
    def load_it(split="train", **options):
        data_dir = str(tmp_path / "prepared")
        return load(
            "camvid", root=root, data_dir=data_dir, split=split, classes="camvid11", **options
        )

    return load_it


def folders(tmp_path):
    return sorted(path for path in (tmp_path / "prepared/camvid").iterdir() if path.is_dir())


def break_label(root, name="0001TP_train1", folder="trainannot"):
    tiny_data.truncate(root / folder / f"{name}.png")


def test_prepared_once_and_again_when_the_folder_changes(read, root, tmp_path, monkeypatch):
    before = read()
    with monkeypatch.context() as patch:
        patch.setattr(FileSource, "read", None)  # a second preparation would call it
        assert read().names == before.names
    tiny_data.save(root / "train/0001TP_train0.png", tiny_data.image(77))
    np.testing.assert_array_equal(read()[0]["image"], tiny_data.image(77))
    assert len(folders(tmp_path)) == 2


def test_content_decides_not_times(read, root, tmp_path, monkeypatch):
    label = root / "valannot/0001TP_val0.png"
    first, second = (tiny_data.labels(seed, range(12)) for seed in (5, 6))
    tiny_data.save(label, first, compress_level=0)
    before = read("train+val"), label.stat().st_size
    for path in root.rglob("*.png"):  # as after a copy that keeps no times
        os.utime(path, ns=(1, 1))
    read("train+val")
    monkeypatch.setattr(hashes, "_hash", None)  # reading a file again would call it
    assert read("train+val").names == before[0].names and len(folders(tmp_path)) == 2
    monkeypatch.undo()
    tiny_data.save(label, second, compress_level=0)
    assert label.stat().st_size == before[1]
    np.testing.assert_array_equal(
        read("val").label(0), get_table("camvid11").encode(second)[..., None]
    )
    assert len(folders(tmp_path)) == 3  # train is as it was


def test_a_folder_of_prepared_data_must_have_a_name_in_utf8(read, tmp_path, root):
    folder = os.fsdecode(bytes(tmp_path) + b"/stra\xdfe")
    with pytest.raises(UserError, match=r"stra\\udcdfe.*paths in UTF-8 alone; choose another"):
        load("camvid", root=root, data_dir=folder, split="train", classes="camvid11")


def test_hashes_that_are_lost_are_made_again(read, tmp_path):
    read()
    memory = tmp_path / "prepared/camvid/hashes.json"
    memory.write_text("{")
    assert len(read()) == 3 and len(folders(tmp_path)) == 1
    assert len(json.loads(memory.read_text())) == 6


def test_a_disk_that_failed_once_is_asked_again(tmp_path, monkeypatch):
    path = str(tiny_data.save(tmp_path / "a.png", tiny_data.image(0)))
    with monkeypatch.context() as patch:
        patch.setattr(hashes.hashlib, "file_digest", Mock(side_effect=OSError(5, "I/O error")))
        assert hashes.hash_files([path], tmp_path / "hashes.json") == [""]
    (digest,) = hashes.hash_files([path], tmp_path / "hashes.json")
    assert digest == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()


def test_prepared_data_without_its_files(read, root, tmp_path, caplog):
    before = read("train+val")
    shutil.rmtree(root)
    after = read("train+val")
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    for split, record in zip(("train", "val"), warnings, strict=True):
        assert re.search(rf"there is no folder {root}; its split {split} is taken from {tmp_path}"
                         rf"/.*: CamVid .* in {root}", record.getMessage())  # fmt: skip
    request = report.Request("camvid", str(root), "camvid11", "train")
    with pytest.raises(UserError, match="there is no folder"):  # preparing is of what is there
        report.prepare(request, str(tmp_path / "prepared"), drop_bad=False)
    for name in ("names", "table", "has_labels", "description"):
        assert getattr(after, name) == getattr(before, name)
    np.testing.assert_array_equal(after.class_pixels, before.class_pixels)
    np.testing.assert_array_equal(after[4]["image"], before[4]["image"])
    for other in (dict(split="test"), dict(options={"size": (6, 8)})):
        with pytest.raises(UserError, match=r"no folder(.|\n)*layout(.|\n)*Nor is camvid .* 'd'"):
            read(**other)
    with pytest.raises(UserError, match="Nor is .* from a folder 'e'"):
        load("camvid", root=root.with_name("e"), data_dir=str(tmp_path / "prepared"), split="train",
             classes="camvid11")  # fmt: skip


def test_of_two_that_were_prepared_none_is_taken(read, root, tmp_path):
    read()
    tiny_data.save(root / "train/0001TP_train0.png", tiny_data.image(77))
    read()
    shutil.rmtree(root)
    with pytest.raises(UserError, match="remove all but one: .*camvid11-train-.*, .*-train-"):
        read()


def test_drops_are_remembered_without_the_files(read, root):
    break_label(root)
    read(drop_bad=True)
    shutil.rmtree(root)
    assert len(read(drop_bad=True)) == 2
    with pytest.raises(UserError, match="trainannot/0001TP_train1.png"):
        read()


def test_own_classes_moved_and_then_without_their_files(tmp_path):
    def read(place):
        return load("image_folder", root=tmp_path / place / "mine", data_dir=str(tmp_path / "p"),
                    split="train", classes="own")  # fmt: skip

    table = read(tiny_data.image_folder(tmp_path / "a/mine").parent.name).table
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copyfile)
    assert read("b").names == ("photo0", "photo1", "photo2")
    assert len([*(tmp_path / "p/image_folder").glob("*/")]) == 1
    assert read("c").table == table


def test_what_was_prepared_for_others_too_is_found_without_its_files(tmp_path):
    """Images without labels are prepared alike whether or not labels were asked for."""

    def read(**options):
        return load("image_folder", root=root, data_dir=str(tmp_path / "p"), split="extra",
                    classes="own", options=options)  # fmt: skip

    root = tiny_data.image_folder(tmp_path / "mine")
    shutil.rmtree(root / "labels/extra", ignore_errors=True)
    names = read().names
    assert read(unlabelled=True).names == names
    assert len([*(tmp_path / "p/image_folder").glob("*/")]) == 1
    shutil.rmtree(root)
    assert read().names == read(unlabelled=True).names == names
    (file,) = (tmp_path / "p").rglob("metadata.json")  # as an earlier version wrote it
    metadata = json.loads(file.read_text())
    file.write_text(json.dumps(metadata | {"asked": metadata.pop("requests")[0]}))
    assert read().names == names
    with pytest.raises(UserError, match="Nor is"):
        read(unlabelled=True)


def test_a_disk_without_locks(tmp_path, read, monkeypatch, caplog):
    error = OSError(errno.ENOLCK, "No locks available")
    monkeypatch.setattr(preparation.fcntl, "flock", Mock(side_effect=error))
    assert len(read()) == 3
    assert "cannot be locked (" in caplog.text


def test_splits_of_two_folders_of_one_name(tmp_path):
    def read(place, split):
        return load("image_folder", root=tmp_path / place / "mine", data_dir=str(tmp_path / "p"),
                    split=split, classes="own", options={"unlabelled": True})  # fmt: skip

    for place, split, classes in (("a", "train", "x\ny\nz\n"), ("b", "extra", "grass\nsky\n")):
        root = tiny_data.image_folder(tmp_path / place / "mine")
        (root / "classes.txt").write_text(classes)
        read(place, split)
        shutil.rmtree(root)
    assert read("a", "train").table.num_classes == 3
    with pytest.raises(UserError, match="with other classes; remove .*mine-extra.*, .*mine-train"):
        read("a", "extra+train")


def test_names_choose_records(read):
    assert read(names="0006R0_*").names == ("0006R0_train2",)
    chosen = read(names="*train0|0006R0_*")
    assert chosen.names == ("0001TP_train0", "0006R0_train2")
    np.testing.assert_array_equal(chosen[1]["image"], tiny_data.image(2))
    # Of these alone; what is known of the whole split is not counted again.
    counted = sum(np.bincount(chosen.label(i).ravel(), minlength=256) for i in range(2))
    np.testing.assert_array_equal(chosen.class_pixels, counted[:11])
    assert chosen.class_pixels.sum() < read().class_pixels.sum()
    with pytest.raises(UserError, match="no name matches 'Seq05VD_.*names look like 0001TP_train0"):
        read(names="Seq05VD_*")


def test_joined_splits(read, root):
    records = read("val+test")
    assert records.names == ("0001TP_val0", "0001TP_val1", "0001TP_test0")
    np.testing.assert_array_equal(records[1]["image"], tiny_data.image(1))
    np.testing.assert_array_equal(records[2]["image"], tiny_data.image(0))
    for kind in ("", "annot"):
        twin = root / f"test{kind}/0001TP_val0.png"
        twin.write_bytes((root / f"val{kind}/0001TP_val0.png").read_bytes())
    with pytest.raises(UserError, match="both splits have a record '0001TP_val0'"):
        read("val+test")


def test_a_defect_stops_and_leaves_nothing_behind(read, root, tmp_path):
    break_label(root)
    with pytest.raises(UserError, match=r"1 problems; mend them.*\n  trainannot/0001TP_train1.png"):
        read()
    assert [p.name for p in folders(tmp_path)[0].iterdir()] == ["lock"]


def test_a_full_disk_is_one_error(read, tmp_path, monkeypatch):
    writer = array_record.ArrayRecordWriter
    monkeypatch.setattr(array_record, "ArrayRecordWriter", lambda _, how: writer("/dev/full", how))
    with pytest.raises(UserError, match="prepared/camvid.*: the disk is full"):
        read()
    assert [p.name for p in folders(tmp_path)[0].iterdir()] == ["lock"]


def test_large_splits_are_written_as_they_are_read(tmp_path, monkeypatch):
    """TFDS's own writer would hold all in memory first, and above this limit want TensorFlow."""
    monkeypatch.setattr(shuffle, "MAX_MEM_BUFFER_SIZE", 1000)
    root = tiny_data.camvid(tmp_path / "d", train=9)

    def read(place):
        return load("camvid", root=root, data_dir=str(tmp_path / place), split="train",
                    classes="camvid11")  # fmt: skip

    one, read_before = read("one"), {}
    original = FileSource.read

    def count(self, item):
        read_before[item.name] = len([*(tmp_path / "many").rglob("train-*.part")])
        return original(self, item)

    monkeypatch.setattr(array_record, "SHARD_BYTES", 7000)  # two or three records
    monkeypatch.setattr(FileSource, "read", count)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    many = read("many")
    (folder,) = (tmp_path / "many").glob("camvid/*/1.0.0")
    shards = sorted(path.name for path in folder.glob("camvid-train*"))
    assert shards == [f"camvid-train.array_record-0000{i}-of-00004" for i in range(4)]
    assert read_before["0006R0_train8"] > 0  # the first file was there before the last was read
    source = tfds.builder_from_directory(folder).as_data_source("train")
    assert [record["name"].decode() for record in source] == list(many.names) == list(one.names)
    for index in range(9):
        np.testing.assert_array_equal(many[index]["image"], one[index]["image"])
        np.testing.assert_array_equal(many[index]["label"], source[index]["label"])


def test_dropped_by_name_logged_and_remembered(read, root, tmp_path, caplog):
    break_label(root)
    for _ in range(2):  # when prepared, and when read again
        caplog.clear()
        assert read(drop_bad=True).names == ("0001TP_train0", "0006R0_train2")
        assert "trainannot/0001TP_train1.png: cannot be read" in caplog.text
    (dropped,) = json.loads(next(folders(tmp_path)[0].glob("*/dropped.json")).read_text())
    assert dropped["record"] == "0001TP_train1"
    with pytest.raises(UserError, match="trainannot/0001TP_train1.png"):
        read()


HEARD = """
import sys
from jax_labor.data.catalogue import load
from jax_labor.engine.startup import setup_log
setup_log()
load("camvid", root=sys.argv[1], data_dir=sys.argv[2], split="train", classes="camvid11",
     drop_bad=True)
"""


def test_a_run_hears_what_was_dropped(root, tmp_path):
    break_label(root)
    command = [sys.executable, "-c", HEARD, str(root), str(tmp_path / "prepared")]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60)
    assert "W camvid train: dropped because of 1 problems\n  trainannot/0001TP" in done.stderr
    command = [sys.executable, "launch/prepare.py", "--dataset=camvid", f"--root={root}"]
    command += [f"--data_dir={tmp_path / 'prepared'}", "--classes=camvid11", "--drop_bad"]
    done = subprocess.run([*command, "--split=train"], cwd=REPO, capture_output=True, text=True)
    assert " W camvid train: dropped because of 1 problems\n  trainannot/0001TP" in done.stderr


def test_nothing_left_and_long_lists(tmp_path):
    root = tiny_data.camvid(tmp_path / "many", train=30)
    for path in (root / "train").iterdir():
        tiny_data.truncate(path)
    with pytest.raises(UserError, match="30 problems; nothing usable is left") as raised:
        load("camvid", root=root, data_dir=str(tmp_path), split="train", classes="camvid11",
             drop_bad=True)  # fmt: skip
    lines = str(raised.value).splitlines()
    assert len(lines) == 22 and lines[-1] == "  ... and 10 more"


def test_empty_split_is_refused(tmp_path):
    root = tiny_data.camvid(tmp_path / "empty", train=0)
    for drop_bad in (False, True):
        with pytest.raises(UserError, match="train: the split has no images"):
            load("camvid", root=root, data_dir=str(tmp_path), split="train", classes="camvid11",
                 drop_bad=drop_bad)  # fmt: skip


@pytest.mark.parametrize("content", [None, b"", b"\0" * 100_000])
@pytest.mark.parametrize("file", ["metadata.json", "dropped.json", "*.json", "*.array_record*"])
def test_damaged_prepared_data_says_what_to_remove(read, tmp_path, file, content):
    read()
    for path in folders(tmp_path)[0].glob(f"1.0.0/{file}"):
        path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match="train-.*/1.0.0: .* remove the folder and it is prepared"):
        read()[0]
    shutil.rmtree(folders(tmp_path)[0] / "1.0.0")
    np.testing.assert_array_equal(read()[0]["image"], tiny_data.image(0))


def test_data_dir_that_cannot_be_written(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write prepared data to .*file/p/camvid.*data_dir"):
        load("camvid", root=root, data_dir=str(tmp_path / "file/p"), split="val",
             classes="camvid11")  # fmt: skip


@pytest.mark.parametrize("setting", ["data.dir", "data.root"])
def test_a_bucket_is_no_place_for_data(root, tmp_path, monkeypatch, setting):
    monkeypatch.chdir(tmp_path)
    config = spl.get_config()
    config.data.classes, config.data.root, config.data.dir = "camvid11", str(root.parent), ""
    config.data.source = common.domain("camvid", root=root.name)
    config.update_from_flattened_dict({setting: "gs://bucket/datasets"})
    with pytest.raises(UserError, match=f"{setting}=gs://bucket/datasets.* in a bucket.*mount"):
        load_domain(config, "source")
    assert not (tmp_path / "gs:").exists()


KILLED = """
import os, signal, sys
from jax_labor.data.builders.file_source import FileSource
from jax_labor.data.catalogue import load
read = FileSource.read
def read_or_die(self, item):
    if item.name.endswith("train2"):
        os.kill(os.getpid(), signal.SIGKILL)
    return read(self, item)
FileSource.read = read_or_die
load("camvid", root=sys.argv[1], data_dir=sys.argv[2], split="train", classes="camvid11")
"""


def test_killed_preparation_is_repeated(read, root, tmp_path):
    command = [sys.executable, "-c", KILLED, str(root), str(tmp_path / "prepared")]
    killed = subprocess.run(command, cwd=REPO, capture_output=True, timeout=60)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (folder,) = folders(tmp_path)
    assert any(path.name.startswith("incomplete.") for path in folder.iterdir())
    assert len(read()) == 3
    assert sorted(path.name for path in folder.iterdir()) == ["1.0.0", "lock"]


def test_threads_that_prepare_the_same_at_once(read, monkeypatch):
    calls = []
    original = FileSource.read
    monkeypatch.setattr(FileSource, "read", lambda s, i: calls.append(i.name) or original(s, i))
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: read(), range(4)))
    assert {len(records) for records in loaded} == {3} and len(calls) == 3


def test_threads_and_pickles_read_the_same(read):
    records = read("train+val")
    whole = [record["image"] for record in records]
    copy = pickle.loads(pickle.dumps(records))
    assert len(pickle.dumps(records)) < 5000
    with ThreadPoolExecutor(8) as pool:
        for index, record in zip([*range(5)] * 8, pool.map(copy.__getitem__, [*range(5)] * 8),
                                 strict=True):  # fmt: skip
            np.testing.assert_array_equal(record["image"], whole[index])


def test_worker_process_reads(read):
    records = read()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        label = pool.apply(records.label, (2,))
    np.testing.assert_array_equal(label, records[2]["label"])


def launch(*arguments):
    command = [sys.executable, "-W", "error", "launch/prepare.py", *map(str, arguments)]
    return subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=60)


def test_launcher(root, tmp_path):
    common = ("--dataset=camvid", f"--root={root}", "--classes=camvid11")
    done = launch(*common, f"--data_dir={tmp_path}/prepared")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}
    assert rows["split"] == ["train", "val", "test"] and rows["images"] == ["3", "2", "1"]
    assert "preparing camvid train: 3/3" in done.stderr and "Traceback" not in done.stderr
    break_label(root, "0001TP_val1", "valannot")
    checked = launch(*common, "--check_only")
    assert checked.returncode == 2 and "camvid val: 1 problems" in checked.stdout
    assert "  valannot/0001TP_val1.png: cannot be read" in checked.stdout
    rows = {line.split()[0]: line.split()[1:] for line in checked.stdout.splitlines() if line}
    assert rows["split"] == ["train", "val", "test"] and rows["images"] == ["3", "1", "1"]


def test_launcher_says_what_is_wrong(tmp_path):
    wrong = launch("--dataset=camvid", f"--root={tmp_path}/no", "--classes=camvid11")
    assert wrong.returncode == 2 and wrong.stderr.startswith(
        "error: data set 'camvid': there is no"
    )
    assert "Traceback" not in wrong.stderr


def test_options_and_frequencies(root, tmp_path):
    assert report.parse_options(["style=target", "train=5", "unlabelled=True"]) == {
        "style": "target", "train": 5, "unlabelled": True,
    }  # fmt: skip
    with pytest.raises(UserError, match="--option=x: write"):
        report.parse_options(["x"])
    request = report.Request("camvid", str(root), "camvid11", "test")
    text = report.prepare(request, str(tmp_path / "p"), drop_bad=False)
    label = tiny_data.labels(0, range(12))
    share = 100 * (label == 3).sum() / (label != 11).sum()
    assert f"{share:.3f} %" in next(line for line in text.splitlines() if line.startswith("road"))
    assert "no pixel" not in text
    tiny_data.save(root / "testannot/0001TP_test0.png", label % 11 % 10)
    text, clean = report.check(request)
    assert clean and text.splitlines()[-1] == "camvid test: no pixel is labelled bicyclist"
    text = report.prepare(
        report.Request("image_folder", str(tiny_data.image_folder(tmp_path / "i")), "own", "extra"),
        str(tmp_path / "p"), drop_bad=False,
    )  # fmt: skip
    assert text.splitlines()[2].split() == ["labelled", "pixels", "-"]


def test_real_camvid(real_data, tmp_path):
    records = load("camvid", root=real_data / "camvid", data_dir=str(tmp_path), split="test",
                   classes="camvid11", names="0001TP_*")  # fmt: skip
    assert len(records) == 31 and records.size(0) == (360, 480)
    counted = sum(np.bincount(records.label(i).ravel(), minlength=256) for i in range(31))
    np.testing.assert_array_equal(records.class_pixels, counted[:11])
    assert (records.class_pixels > 0).all()


def test_real_clothing(real_data, tmp_path):
    folder = tmp_path / "ccp"
    for kind, suffix in (("images", "jpg"), ("labels", "png")):
        (folder / kind / "train").mkdir(parents=True)
        for number in ("0001", "0002"):
            file = f"{number}.{suffix}"
            (folder / kind / "train" / file).symlink_to(real_data / "ccp" / kind / file)
    (folder / "classes.json").symlink_to(real_data / "ccp/classes.json")
    records = load("image_folder", root=folder, data_dir=str(tmp_path), split="train", classes="")
    assert records.table.names[1] == "hair" and records[1]["image"].shape[0] == 256
    assert records.class_pixels[0] > records.class_pixels[1] > 0
