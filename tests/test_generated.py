"""The files of a generated data set: blocks, what is kept, shards, the end, and every interruption.

Reading the result is in `test_generated_reading.py`.
"""

import dataclasses
import errno
import io
import os
import pathlib
import shutil

import numpy as np
import pytest
import small_generated as small
import tensorflow_datasets as tfds
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from small_generated import BLOCKS, KEPT, SAMPLES, SHARD, TABLE

from jax_labor import files
from jax_labor.data import array_record, generated
from jax_labor.data.generated import blocks
from jax_labor.errors import UserError


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Folder of a data set made without interruption by one process."""
    folder = tmp_path_factory.mktemp("whole")
    small.make(folder)
    return folder


def written(folder, numbers=range(BLOCKS)):
    for number in numbers:
        generated.write_block(folder, number, small.candidates(number), TABLE.num_classes)
    return folder


def test_a_block_gives_back_what_it_was_given(tmp_path):
    written(tmp_path)
    for number in range(BLOCKS):
        pictures = blocks.read_pictures(tmp_path, number)
        for each, encoded in zip(small.candidates(number), pictures, strict=True):
            assert encoded == generated.pairs.encode(each)
            for name, png in zip(("image", "label", "divergence"), encoded, strict=True):
                np.testing.assert_array_equal(Image.open(io.BytesIO(png)), getattr(each, name))
    scores = [each.score for each in small.EVERYTHING]
    assert generated.read_scores(tmp_path, BLOCKS).tolist() == scores
    before = small.tree(tmp_path)
    assert set(before) == {f"parts/block-{number:06d}" for number in range(BLOCKS)}
    written(tmp_path)
    assert small.tree(tmp_path) == before


def test_pixels_by_class():
    _, label = small.pair(3)
    counts = generated.pairs.count_pixels(label, 8)
    assert counts.tolist() == [(label == i).sum() for i in (*range(8), 255)]
    with pytest.raises(ValueError, match="train id 7 of 7 classes"):
        generated.pairs.count_pixels(np.array([[0, 7, 255]], np.uint8), 7)


@pytest.mark.parametrize(
    "wrong",
    [
        {"image": np.zeros((4, 4, 3), np.float32)},
        {"label": np.zeros((4, 4), np.int32)},
        {"label": np.zeros((4, 5), np.uint8)},
        {"label": np.zeros((4, 4, 1), np.uint8), "divergence": np.zeros((4, 4, 1), np.uint8)},
        {"divergence": np.zeros((4, 4), np.float32)},
        {"divergence": np.zeros((4, 5), np.uint8)},
    ],
)
def test_pixels_of_a_wrong_kind(tmp_path, wrong):
    each = dataclasses.replace(small.candidate(0, (4, 4)), **wrong)
    with pytest.raises(ValueError, match="are needed"):
        generated.write_block(tmp_path, 0, [each], 8)
    assert not small.tree(tmp_path)


@pytest.mark.parametrize("place", [0, 40, 66, 71, 72, 300, -1])
def test_a_flipped_bit_is_found(tmp_path, caplog, place):
    written(tmp_path)
    path = tmp_path / "parts/block-000001"
    content = bytearray(path.read_bytes())
    content[place] ^= 0x10
    path.write_bytes(content)
    assert [generated.block_done(tmp_path, n) for n in range(4)] == [True, False, True, False]
    assert "block-000001: damaged" in caplog.text and "000002" not in caplog.text


@pytest.mark.parametrize("left", [0, 71, 100, -1])
def test_a_cut_block_is_found(tmp_path, left):
    written(tmp_path)
    path = tmp_path / "parts/block-000001"
    path.write_bytes(path.read_bytes()[:left])
    assert not generated.block_done(tmp_path, 1)
    if left == 100:  # the table itself is cut
        with pytest.raises(UserError, match="block-000001: damaged.*again"):
            generated.read_scores(tmp_path, BLOCKS)


def test_shards_of_a_damaged_or_missing_block(tmp_path):
    written(tmp_path)
    path = tmp_path / "parts/block-000001"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    with pytest.raises(UserError, match="block-000001: damaged"):
        generated.write_shards(tmp_path, np.arange(13), blocks=BLOCKS, shard=8)
    assert not list(tmp_path.glob("parts/1.0.0/*"))
    path.unlink()
    with pytest.raises(UserError, match="block-000001: missing.*again"):
        generated.write_shards(tmp_path, np.arange(13), blocks=BLOCKS, shard=8)


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 0.5, 0.5000001, 3e300]), min_size=1, max_size=12),
    st.data(),
)
@settings(deadline=None, max_examples=50)
def test_kept_are_the_lowest_scores(scores, data):
    count = data.draw(st.integers(1, len(scores)))
    ranked = sorted((score, index) for index, score in enumerate(scores))
    expected = sorted(index for _, index in ranked[:count])
    assert generated.keep_certain(np.array(scores), count).tolist() == expected


def test_scores_that_cannot_be_ranked():
    with pytest.raises(UserError, match="score of candidate 1, 3 is not finite"):
        generated.keep_certain(np.array([0.0, np.nan, 1.0, np.inf]), 1)
    for count in (0, 3):
        with pytest.raises(ValueError, match=f"cannot keep {count} of 2"):
            generated.keep_certain(np.zeros(2), count)


def test_same_bytes_for_any_number_of_processes(whole, tmp_path):
    small.make(tmp_path, processes=3)
    assert small.tree(tmp_path) == small.tree(whole)
    assert not (tmp_path / "parts").exists()


def test_every_process_writes_its_own_shards(tmp_path):
    written(tmp_path)
    generated.write_shards(tmp_path, np.arange(13), blocks=BLOCKS, shard=4,
                           process_index=1, process_count=3)  # fmt: skip
    assert [path.name for path in tmp_path.glob("parts/1.0.0/*")] == [
        "generated-train.array_record-00001-of-00004"
    ]


class Killed(BaseException):
    """Stands for a kill: nothing of ours catches it."""


def kill_at(monkeypatch, moment: int, after: bool) -> list[str]:
    """Stop at the `moment`-th change that the disk sees, before or after it; files that a killed
    process could not have removed stay. Returns the names of the changes so far, as they happen."""
    seen = []

    def watched(name, change):
        def wrapped(*args, **kwargs):
            seen.append(name)
            if after:
                change(*args, **kwargs)
            if len(seen) == moment:
                raise Killed
            if not after:
                change(*args, **kwargs)

        return wrapped

    monkeypatch.setattr(files.os, "replace", watched("replace", os.replace))
    monkeypatch.setattr(pathlib.Path, "rename", watched("rename", pathlib.Path.rename))
    monkeypatch.setattr(shutil, "rmtree", watched("rmtree", shutil.rmtree))
    info = tfds.core.DatasetInfo
    monkeypatch.setattr(info, "write_to_directory", watched("info", info.write_to_directory))
    unlink = os.unlink
    monkeypatch.setattr(
        files.os, "unlink", lambda path, **at: str(path).endswith(".tmp") or unlink(path, **at)
    )
    return seen


def test_killed_at_every_moment(whole, tmp_path, monkeypatch):
    moments = ["replace"] * (BLOCKS + 3 + 2) + ["info", "rename", "rmtree"]
    for after in (False, True):
        for moment in range(1, len(moments) + 1):
            folder = tmp_path / f"{after}-{moment}"
            with monkeypatch.context() as patch:
                seen = kill_at(patch, moment, after)
                with pytest.raises(Killed):
                    small.make(folder)
            assert seen == moments[:moment]
            visible = moments[moment - 1] == "rmtree" or (moments[moment - 1] == "rename" and after)
            assert generated.is_finished(folder) == visible
            small.make(folder, processes=2)
            assert small.tree(folder) == small.tree(whole)


def test_what_is_done_is_not_done_again(tmp_path, monkeypatch):
    written(tmp_path)
    kept = np.arange(KEPT)
    generated.write_shards(tmp_path, kept[:8], blocks=BLOCKS, shard=SHARD)
    monkeypatch.setattr(array_record, "ArrayRecordWriter", None)  # a second writing would call it
    generated.write_shards(tmp_path, kept[:8], blocks=BLOCKS, shard=SHARD)
    with pytest.raises(UserError, match="00000-of-00003: missing. Start the run again"):
        generated.finish(tmp_path, kept, blocks=BLOCKS, shard=SHARD, table=TABLE, description="")


@pytest.mark.parametrize("left", [0, 10, 40_000, -1])
def test_a_cut_shard_is_written_again(whole, tmp_path, caplog, left):
    written(tmp_path)
    kept = generated.keep_certain(generated.read_scores(tmp_path, BLOCKS), KEPT)
    generated.write_shards(tmp_path, kept, blocks=BLOCKS, shard=SHARD)
    second = sorted(tmp_path.glob("parts/1.0.0/*"))[1]
    second.write_bytes(second.read_bytes()[:left])
    small.make(tmp_path)
    assert "00001-of-00003: damaged" in caplog.text and "00000-of" not in caplog.text
    assert small.tree(tmp_path) == small.tree(whole)


def test_finishing_twice_changes_nothing(whole):
    before = small.tree(whole)
    generated.finish(whole, np.arange(KEPT), blocks=BLOCKS, shard=SHARD, table=TABLE,
                     description="another")  # fmt: skip
    assert small.tree(whole) == before


def test_disk_full_in_mid_shard(tmp_path, monkeypatch):
    written(tmp_path)
    writer = array_record.ArrayRecordWriter
    monkeypatch.setattr(array_record, "ArrayRecordWriter", lambda _, how: writer("/dev/full", how))
    with pytest.raises(UserError, match="00000-of-00003: the disk is full"):
        generated.write_shards(tmp_path, np.arange(KEPT), blocks=BLOCKS, shard=SHARD)
    assert not list(tmp_path.glob("parts/1.0.0/*"))


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "not writable")]
)
def test_disk_full_while_finishing(whole, tmp_path, monkeypatch, code, words):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    for place in ((files.os, "fsync"), (tfds.core.DatasetInfo, "write_to_directory"),
                  (pathlib.Path, "rename")):  # fmt: skip
        with monkeypatch.context() as patch:
            patch.setattr(*place, fail)
            with pytest.raises(UserError, match=words):
                small.make(tmp_path)
        assert not generated.is_finished(tmp_path)
        assert not [path for path in small.tree(tmp_path) if path.endswith(".tmp")]
    small.make(tmp_path)
    assert small.tree(tmp_path) == small.tree(whole)


def test_statistics_by_counting(whole):
    kept = generated.keep_certain(np.array([each.score for each in small.EVERYTHING]), KEPT)
    numbers = generated.statistics(whole)
    assert numbers["classes"] == list(TABLE.names)
    for split, each in {"train": [small.EVERYTHING[i] for i in kept], "labelled": SAMPLES}.items():
        labels = [np.asarray(one.label) for one in each]
        assert numbers["splits"][split] == {
            "images": len(each),
            "class_pixels": [sum(int((a == i).sum()) for a in labels) for i in range(8)],
            "ignored_pixels": sum(int((a == 255).sum()) for a in labels),
            "class_images": [sum(bool((a == i).any()) for a in labels) for i in range(8)],
        }
    scores = {i: each.score for i, each in enumerate(small.EVERYTHING)}
    assert numbers["scores"]["kept"] == [scores.pop(int(i)) for i in kept]
    assert numbers["scores"]["dropped"] == [*scores.values()]
    with pytest.raises(UserError, match="no such file"):
        generated.statistics(whole / "elsewhere")


def test_blocks_of_other_classes(tmp_path):
    written(tmp_path, [1, 2])
    generated.write_block(tmp_path, 0, [small.candidate(0)] * 5, 9)
    kept = np.arange(KEPT)
    generated.write_shards(tmp_path, kept, blocks=BLOCKS, shard=SHARD)
    with pytest.raises(UserError, match="block 0 was made with 9 classes, now there are 8"):
        generated.finish(tmp_path, kept, blocks=BLOCKS, shard=SHARD, table=TABLE, description="")
    assert not generated.is_finished(tmp_path)


def test_a_bucket_is_refused():
    with pytest.raises(UserError, match="not to a bucket"):
        written("gs://bucket/run")
