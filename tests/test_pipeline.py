"""The input pipeline: order, resume, processes, workers, overlays, evaluation batches."""

import itertools
import json
import multiprocessing
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from jax_labor.classes import IGNORE
from jax_labor.data import transforms
from jax_labor.data.evaluation import eval_batches, group_by_size
from jax_labor.data.pipeline import train_iterator
from jax_labor.data.records import CachedRecords
from jax_labor.data.sparse import resize_sparse
from jax_labor.data.views import EvalView, TrainView
from jax_labor.errors import UserError

LOUD = TrainView((12, 16), "scale_crop", scale=(0.5, 1.5), brightness=0.3, saturation=0.3)
PLAIN = TrainView((12, 16), flip=False, normalize="unit")


class Records:
    """Random images as a picklable sequence that counts how often it is read."""

    def __init__(self, count, sizes=((24, 32),), labelled=True, deep_labels=False):
        self.count, self.sizes = count, sizes
        self.labelled, self.deep_labels = labelled, deep_labels
        self.reads = 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        self.reads += 1
        rng = np.random.default_rng(index)
        shape = self.sizes[index % len(self.sizes)]
        record = {"image": rng.integers(0, 256, (*shape, 3), dtype=np.uint8), "name": f"r{index}"}
        if self.labelled:
            label = rng.integers(0, 19, shape, dtype=np.uint8)
            record["label"] = label[..., None] if self.deep_labels else label
        return record


class SomeAnswers:
    """An overlay that a worker process can unpickle."""

    def __call__(self, index):
        if index % 2:
            return None
        labels = np.full((24, 32), IGNORE, np.uint8)
        labels[3 + index, 5:9] = index
        return labels


def take(iterator, count):
    return list(itertools.islice(iterator, count))


def assert_same(batches, others):
    assert len(batches) == len(others)
    for one, two in zip(batches, others, strict=True):
        assert one.keys() == two.keys() and one.keys() - {"mask"} == {"image", "label", "index"}
        for key in one:
            np.testing.assert_array_equal(one[key], two[key])
            assert one[key].dtype == two[key].dtype


def test_batches_have_the_contract_shapes_and_types():
    batch = next(train_iterator(Records(5, deep_labels=True), LOUD, 4, seed=0))
    assert batch["image"].shape == (4, 12, 16, 3) and batch["image"].dtype == np.float32
    assert batch["label"].shape == (4, 12, 16) and batch["label"].dtype == np.int32
    assert batch["index"].shape == (4,) and batch["index"].dtype == np.int32


def test_every_epoch_sees_each_record_once_in_its_own_order():
    indices = np.concatenate(
        [b["index"] for b in take(train_iterator(Records(7), PLAIN, 3, seed=1), 7)]
    ).reshape(3, 7)
    np.testing.assert_array_equal(np.sort(indices, axis=1), np.tile(np.arange(7), (3, 1)))
    assert len({tuple(row) for row in indices.tolist()}) == 3


def test_same_seed_same_batches_other_seed_other_batches():
    first = take(train_iterator(Records(5), LOUD, 2, seed=4), 6)
    assert_same(first, take(train_iterator(Records(5), LOUD, 2, seed=4), 6))
    other = take(train_iterator(Records(5), LOUD, 2, seed=5), 6)
    assert any(
        not np.array_equal(a["index"], b["index"]) for a, b in zip(first, other, strict=True)
    )


def test_augmentation_differs_between_epochs():
    one, two = take(train_iterator(Records(1), LOUD, 1, seed=0), 2)
    assert not np.array_equal(one["image"], two["image"])


@pytest.mark.parametrize(
    ("native", "size", "inside"),
    [
        ((24, 32), (12, 12), (1, 0, 9, 12)),  # what is left over is shared, less of it above
        ((20, 10), (12, 16), (0, 5, 12, 6)),
        ((6, 8), (12, 16), (0, 0, 12, 16)),  # enlarged
        ((1, 300), (12, 16), (5, 0, 1, 16)),  # never no pixel at all
    ],
)
def test_padding_keeps_the_whole_image_in_its_shape(native, size, inside):
    view = TrainView(size, "pad", flip=False, normalize="unit")
    batch = next(train_iterator(Records(1, (native,)), view, 1, seed=0))
    top, left, height, width = inside
    mask = np.zeros((1, *size, 1), np.float32)
    mask[:, top : top + height, left : left + width] = 1
    np.testing.assert_array_equal(batch["mask"], mask)
    assert batch["mask"].dtype == np.float32
    record = Records(1, (native,))[0]
    image = transforms.resize_image(record["image"], (height, width))
    image = transforms.normalize(image, "unit")
    label = transforms.resize_label(record["label"], (height, width))
    window = np.s_[0, top : top + height, left : left + width]
    np.testing.assert_array_equal(batch["image"][window], image)
    np.testing.assert_array_equal(batch["label"][window], label)
    outside = mask[..., 0] == 0
    assert (np.abs(batch["image"][outside]) < 0.01).all()
    assert (batch["label"][outside] == IGNORE).all()


def test_padding_mirrors_the_mask_with_its_image():
    view = TrainView((12, 15), "pad", normalize="unit")
    masks = [
        b["mask"][0, 0, :, 0] for b in take(train_iterator(Records(1, ((12, 8),)), view, 1, 0), 16)
    ]
    straight = np.zeros(15, np.float32)
    straight[3:11] = 1
    found = {tuple(mask) for mask in masks}
    assert found == {tuple(straight), tuple(straight[::-1])}


def test_batch_larger_than_the_data_set_repeats_it():
    batch = next(train_iterator(Records(2), PLAIN, 5, seed=0))
    assert sorted(batch["index"].tolist())[1:4] in ([0, 0, 1], [0, 1, 1])


@pytest.mark.parametrize("threads", [0, 1, 3])
@pytest.mark.parametrize("step", [0, 1, 5])
def test_resume_equals_the_uninterrupted_run(step, threads):
    whole = take(train_iterator(Records(5), LOUD, 4, seed=2), 8)
    interrupted = train_iterator(Records(5), LOUD, 4, seed=2)
    take(interrupted, step)
    state = json.loads(json.dumps(interrupted.get_state()))
    resumed = train_iterator(Records(5), LOUD, 4, seed=2, threads=threads)
    resumed.set_state(state)
    assert resumed.get_state() == state
    assert_same(take(resumed, 8 - step), whole[step:])


def test_state_can_go_back_on_a_running_iterator():
    iterator = train_iterator(Records(5), LOUD, 4, seed=2)
    take(iterator, 2)
    state = iterator.get_state()
    expected = take(iterator, 3)
    iterator.set_state(state)
    assert_same(take(iterator, 3), expected)


def test_a_new_overlay_takes_over_the_position():
    before = train_iterator(Records(5), PLAIN, 2, seed=2)
    take(before, 3)
    after = train_iterator(Records(5), PLAIN, 2, seed=2, overlay=SomeAnswers())
    after.set_state(before.get_state())
    for old, new in zip(take(before, 3), take(after, 3), strict=True):
        np.testing.assert_array_equal(old["index"], new["index"])
        np.testing.assert_array_equal(old["image"], new["image"])


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_lay_out_the_batch_of_one_process(processes):
    whole = take(train_iterator(Records(7), LOUD, 8, seed=3), 4)
    parts = [
        take(
            train_iterator(Records(7), LOUD, 8, seed=3, process_index=p, process_count=processes),
            4,
        )
        for p in range(processes)
    ]
    together = [
        {key: np.concatenate([b[key] for b in step]) for key in step[0]}
        for step in zip(*parts, strict=True)
    ]
    assert_same(together, whole)


def test_worker_processes_give_the_same_batches():
    expected = take(train_iterator(Records(5), LOUD, 4, seed=2, overlay=SomeAnswers()), 5)
    workers = train_iterator(
        CachedRecords(Records(5)), LOUD, 4, seed=2, threads=1, workers=2, overlay=SomeAnswers()
    )
    workers.set_state({"step": 1})
    try:
        found = take(workers, 2)  # one of each
        for child in multiprocessing.active_children():  # as Ctrl-C does, which the run hears too
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(child.pid, number)
        assert_same(found + take(workers, 2), expected[1:])
        assert take(workers, 8)  # beyond what was prepared when the signals came
    finally:
        workers.close()


RUN = """
import multiprocessing, time
from jax_labor.data import pipeline

def work():
    pipeline._live_with_the_run()
    print("works", flush=True)
    time.sleep(600)

multiprocessing.get_context("fork").Process(target=work).start()
time.sleep(600)
"""


def test_a_worker_ends_with_a_run_that_is_killed():
    """It would hold the run's standard output open, and a study would wait for it."""
    run = subprocess.Popen([sys.executable, "-c", RUN], stdout=subprocess.PIPE, text=True)
    assert run.stdout.readline() == "works\n"
    run.kill()
    assert run.communicate(timeout=30) == ("", None)


class Broken(Records):
    def __getitem__(self, index):
        record = super().__getitem__(index)
        record["label"] = record["label"][:, 1:]
        return record


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": 2}, {"workers": 1}])
def test_a_label_of_another_size_names_its_record(options):
    iterator = train_iterator(Broken(3), PLAIN, 2, seed=0, **options)
    try:
        with pytest.raises(UserError, match=r"r\d: the image has \(24, 32\).*\(24, 31\)"):
            next(iterator)
    finally:
        iterator.close()


def test_overlay_replaces_the_labels():
    for batch in take(train_iterator(Records(6), PLAIN, 3, seed=0, overlay=SomeAnswers()), 4):
        for index, label in zip(batch["index"], batch["label"], strict=True):
            answers = SomeAnswers()(int(index))
            if answers is None:
                assert (label == IGNORE).all()
            else:
                np.testing.assert_array_equal(label, resize_sparse(answers, (12, 16)))
                assert (label == index).sum() == 3  # columns 5..8 lie in three cells of two


def test_flip_moves_overlay_and_image_together():
    view = TrainView((24, 32), normalize="unit")
    seen = set()
    for batch in take(train_iterator(Records(1), view, 1, seed=0, overlay=SomeAnswers()), 12):
        image = np.rint((batch["image"][0] + 1) * 127.5)
        flipped = not np.array_equal(image, Records(1)[0]["image"])
        answers = SomeAnswers()(0)
        np.testing.assert_array_equal(batch["label"][0], answers[:, ::-1] if flipped else answers)
        np.testing.assert_array_equal(image[:, ::-1] if flipped else image, Records(1)[0]["image"])
        seen.add(flipped)
    assert seen == {False, True}


@pytest.mark.parametrize("labelled", [False, True])
def test_without_labels_everything_is_ignored(labelled):
    records = Records(3, labelled=labelled)
    batch = next(train_iterator(records, LOUD, 3, seed=0, use_labels=not labelled))
    assert (batch["label"] == IGNORE).all()


def test_answers_of_another_size_name_their_record():
    iterator = train_iterator(
        Records(3), PLAIN, 1, seed=0, overlay=lambda i: np.zeros((12, 16), np.uint8)
    )
    with pytest.raises(UserError, match=r"r\d: its answers have \(12, 16\)"):
        next(iterator)


@pytest.mark.parametrize("overlay", [None, SomeAnswers()])
def test_cache_changes_nothing_but_the_number_of_reads(overlay):
    view = TrainView((12, 16), brightness=0.2)
    records = Records(6)
    cached = CachedRecords(records, (12, 16))
    expected = take(train_iterator(Records(6), view, 3, seed=0, overlay=overlay), 8)
    assert_same(
        take(train_iterator(cached, view, 3, seed=0, threads=0, overlay=overlay), 8), expected
    )
    assert records.reads == 6
    whole = CachedRecords(Records(6))
    expected = take(train_iterator(Records(6), LOUD, 3, seed=0, overlay=overlay), 4)
    assert_same(take(train_iterator(whole, LOUD, 3, seed=0, overlay=overlay), 4), expected)


def test_cache_keeps_within_its_bytes():
    records = Records(6)
    cached = CachedRecords(records, (12, 16), max_bytes=2 * 12 * 16 * 4 + 1)
    for _ in range(3):
        for index in range(6):
            assert cached[index]["image"].shape == (12, 16, 3)
    assert records.reads == 2 + 3 * 4
    assert len(cached) == 6 and cached.size(0) == (24, 32)


def test_a_resized_cache_cannot_serve_crops_or_evaluation():
    cached = CachedRecords(Records(3), (12, 16))
    with pytest.raises(UserError, match="size=None"):
        next(train_iterator(cached, LOUD, 1, seed=0, threads=0))
    with pytest.raises(ValueError, match="native size"):
        next(iter(eval_batches(cached, EvalView(), 1, threads=0)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"records": Records(0), "name": "target/train"}, "target/train is empty"),
        ({"batch_size": 3, "process_count": 2}, "batch_size=3 .* 2 processes"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_bad_requests_name_their_setting(changes, words):
    request = {"records": Records(3), "view": PLAIN, "batch_size": 2, "seed": 0, **changes}
    with pytest.raises(UserError, match=words):
        train_iterator(**request)


def test_padding_needs_a_size():
    with pytest.raises(UserError, match='resize="pad" needs view.size'):
        TrainView(resize="pad")


def test_image_that_is_not_rgb8_names_itself():
    grey = [{"image": np.zeros((4, 4), np.uint8), "name": "grey.png"}]
    with pytest.raises(UserError, match="grey.png"):
        next(train_iterator(grey, PLAIN, 1, seed=0, threads=0))


def test_evaluation_is_one_ordered_padded_pass():
    batches = eval_batches(Records(5), EvalView((12, 16), normalize="unit"), 2)
    assert len(batches) == 3
    first, _, last = list(batches)
    np.testing.assert_array_equal(
        np.stack([b["index"] for b in batches]), [[0, 1], [2, 3], [4, -1]]
    )
    record = Records(5)[1]
    np.testing.assert_array_equal(first["label"][1], record["label"])
    resized = transforms.resize_image(record["image"], (12, 16))
    np.testing.assert_array_equal(first["image"][1], transforms.normalize(resized, "unit"))
    assert (last["label"][1] == IGNORE).all() and (last["image"][1] == 0).all()
    assert {k: v.dtype for k, v in last.items()} == {k: v.dtype for k, v in first.items()}


@pytest.mark.parametrize("processes", [2, 4])
def test_evaluation_processes_agree_on_batches_of_mixed_sizes(processes):
    records = Records(11, sizes=((24, 32), (24, 32), (20, 30)))
    whole = list(eval_batches(records, EvalView(scale=0.5), 4))
    parts = [
        list(eval_batches(records, EvalView(scale=0.5), 4, p, processes)) for p in range(processes)
    ]
    together = [
        {key: np.concatenate([b[key] for b in batch]) for key in batch[0]}
        for batch in zip(*parts, strict=True)
    ]
    assert_same(together, whole)
    seen = np.concatenate([b["index"] for b in whole])
    np.testing.assert_array_equal(np.sort(seen[seen >= 0]), np.arange(11))
    assert len({b["label"].shape for b in whole}) == 2


def test_groups_hold_equal_sizes_up_to_the_batch():
    a, b = (2, 3), (4, 5)
    assert group_by_size([a, b, a, a, b, a], 3) == [[0, 2, 3], [5], [1, 4]]
    assert group_by_size([b] * 5, 2) == [[0, 1], [2, 3], [4]]


def test_evaluation_asks_the_records_for_sizes_where_it_can():
    class Sized(Records):
        def size(self, index):
            return (24, 32)

    records = Sized(4)
    batches = eval_batches(records, EvalView(), 2)
    assert records.reads == 0
    assert len(list(batches)) == 2 and records.reads == 4


def test_evaluation_without_labels_and_bad_requests():
    (batch,) = eval_batches(Records(2, labelled=False), EvalView((12, 16)), 2)
    assert batch["label"].shape == (2, 24, 32) and (batch["label"] == IGNORE).all()
    with pytest.raises(UserError, match="val is empty"):
        eval_batches(Records(0), EvalView(), 1)
    with pytest.raises(UserError, match="batch_size=3"):
        eval_batches(Records(2), EvalView(), 3, 0, 2)
