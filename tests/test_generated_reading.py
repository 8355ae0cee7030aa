"""Reading a generated data set: with TFDS alone, and by the catalogue as every other one."""

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import small_generated as small
from small_generated import EVERYTHING, KEPT, SAMPLES, TABLE

from jax_labor.classes import get_table
from jax_labor.data import generated, report
from jax_labor.data.catalogue import load
from jax_labor.errors import UserError

MAKE = "launch/main.py --config=configs/datasetgan.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    small.make(folder)
    return folder


@pytest.fixture(scope="module")
def expected():
    """Number and content of the kept candidates."""
    kept = generated.keep_certain(np.array([each.score for each in EVERYTHING]), KEPT)
    return {int(number): EVERYTHING[number] for number in kept}


def read(folder, split="train", classes="ccp8", **options):
    return load("generated", root=str(folder), split=split, classes=classes, **options)


ALONE = """
import json, pathlib, sys
import tensorflow_datasets as tfds
folder = sys.argv[1]
one = tfds.builder_from_directory(folder + "/generated/1.0.0").as_data_source("train")
two = tfds.data_source("generated", split="train", data_dir=folder)
def plain(record):
    return [record["name"].decode(), float(record["score"]), record["image"].tolist(),
            record["label"][..., 0].tolist(), record["divergence"][..., 0].tolist()]
assert not {"jax", "jax_labor", "tensorflow"} & set(sys.modules)
print(json.dumps([[plain(record) for record in source] for source in (one, two)]))
"""


def test_tfds_alone(folder, expected, tmp_path):
    command = [sys.executable, "-W", "error", "-c", ALONE, str(folder)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout)
    assert one == two == [
        [f"generated-{number:07d}", float(np.float32(each.score)), each.image.tolist(),
         each.label.tolist(), each.divergence.tolist()]
        for number, each in expected.items()
    ]  # fmt: skip


def test_records(folder, expected):
    records = read(folder)
    assert len(records) == KEPT and records.has_labels and records.table == TABLE
    assert records.names == tuple(f"generated-{number:07d}" for number in expected)
    for index, each in reversed([*enumerate(expected.values())]):
        record = records[index]
        np.testing.assert_array_equal(record["image"], each.image)
        np.testing.assert_array_equal(record["label"], each.label[..., None])
        np.testing.assert_array_equal(records.label(index), each.label[..., None])
        assert record["name"] == records.names[index]
        assert records.size(index) == each.label.shape
    pixels = [sum((each.label == i).sum() for each in expected.values()) for i in range(8)]
    assert records.class_pixels.tolist() == pixels
    assert records.description == "generated for a test, train"


def test_joined_splits_and_names(folder):
    both = read(folder, "train+labelled")
    assert both.names == read(folder).names + tuple(sample.name for sample in SAMPLES)
    np.testing.assert_array_equal(both[KEPT + 1]["image"], SAMPLES[1].image)
    np.testing.assert_array_equal(both.label(KEPT)[..., 0], SAMPLES[0].label)
    assert read(folder, "train+labelled", names="sample-*").names == ("sample-0", "sample-1")
    with pytest.raises(UserError, match="no name matches 'x'; names look like generated-0"):
        read(folder, names="x")


def test_pickled_records_read_the_same(folder):
    records = read(folder, "train+labelled")
    first = [record["image"] for record in records]
    copy = pickle.loads(pickle.dumps(records))
    for index in (11, 0, 5):
        np.testing.assert_array_equal(copy[index]["image"], first[index])
        np.testing.assert_array_equal(copy.label(index), records.label(index))


def test_a_moved_data_set(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "moved")
    assert read(tmp_path / "moved").names == read(folder).names


def test_class_tables(folder):
    assert read(folder, classes="own").table == read(folder, classes="").table == get_table("ccp8")
    with pytest.raises(UserError, match="classes background.*'figures12' has background"):
        read(folder, classes="figures12")
    with pytest.raises(UserError, match="no class table 'cp8'. Did you mean 'ccp8'"):
        read(folder, classes="cp8")


def test_mistakes(folder, tmp_path):
    with pytest.raises(UserError, match=f"no finished data set 'generated' in .*{MAKE}"):
        read(tmp_path)
    generated.write_block(tmp_path, 0, small.candidates(0), 8)
    with pytest.raises(UserError, match=f"no finished.*{MAKE}"):
        read(tmp_path)
    with pytest.raises(UserError, match="needs its root"):
        read("")
    with pytest.raises(UserError, match="no split 'val'; it has train, labelled"):
        read(folder, "train+val")
    with pytest.raises(UserError, match="no option 'size'"):
        read(folder, options={"size": (4, 4)})
    with pytest.raises(UserError, match="'generated' needs no preparing"):
        report.prepare(report.Request("generated", str(folder), "ccp8"), "", False)
