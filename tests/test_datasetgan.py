"""DatasetGAN end to end: from a generator and answers to a data set and a segmenter."""

import dataclasses
import json
import re
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import forked
import jax
import numpy as np
import optax
import pytest
import tensorflow_datasets as tfds
from PIL import Image
from small import ROOT, environment
from small_factory import FLAGS, SIZE, config, make_generator

from configs import datasetgan as datasetgan_card
from configs import segmentation, spl
from jax_labor import experiments
from jax_labor.classes import get_table
from jax_labor.data import catalogue
from jax_labor.engine.signals import StopFlag
from jax_labor.errors import UserError
from jax_labor.experiments import (
    datasetgan,
    factory,
    factory_blocks,
    kept_generator,
    sample_files,
    samples,
)
from jax_labor.experiments.annotators import Waiting
from jax_labor.experiments.generator_file import open_generator, save_generator
from jax_labor.experiments.maker import Maker
from jax_labor.experiments.run_session import Stopped
from jax_labor.files import read_json, write_json
from jax_labor.labels import oracle
from jax_labor.labels.store import SKIPPED, Answer, Round
from jax_labor.models.pixel_ensemble import PixelClassifier
from jax_labor.steps.pixel_ensemble import create_ensemble
from jax_labor.steps.samples import LABELLED, draw_latents

TABLE = get_table("ccp8")
pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return make_generator(tmp_path_factory.mktemp("generator"))


def launch(workdir, data, generator, *flags, status=0):
    """Runs the card as a user does, small; returns what it printed on stderr."""
    line = [sys.executable, str(ROOT / "launch/main.py")]
    line += [f"--config={ROOT}/configs/datasetgan.py:demo", f"--workdir={workdir}", *FLAGS]
    line += [f"--config.data.dir={data}", f"--compilation_cache={data}/compiled"]
    line += [f"--config.generator.path={generator}", *flags]
    done = forked.run(line, env=environment())
    assert done.returncode == status, done.stderr[-3000:]
    return done.stderr


def bands(name):
    """An answer that has every class: bands of rows."""
    rows = np.arange(SIZE[0]) * TABLE.num_classes // SIZE[0]
    return np.repeat(rows[:, None], SIZE[1], 1).astype(np.uint8)


def written(folder) -> dict:
    """Every file of a finished data set, by name."""
    paths = sorted(Path(folder, "generated").rglob("*"))
    return {p.name: p.read_bytes() for p in paths if p.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, data, generator):
    """A run from the command line, to its end."""
    workdir = tmp_path_factory.mktemp("run") / "run"
    launch(workdir, data, generator)
    return workdir


def test_a_run_leaves_what_it_promises(finished, data, generator):
    results = json.loads((finished / "results.json").read_text())
    assert results["annotator"] == "segmenter"
    assert results["labelled_images"] == 3
    assert (results["dataset"]["images"], results["dataset"]["candidates"]) == (11, 14)
    assert set(results["iou_by_class"]) == set(TABLE.names)
    card = json.loads((finished / "dataset/card.json").read_text())
    assert (len(card["scores"]["kept"]), len(card["scores"]["dropped"])) == (11, 3)
    assert max(card["scores"]["kept"]) <= min(card["scores"]["dropped"])
    card = (finished / "dataset/README.md").read_text()
    assert "11 images of a generator" in card
    assert "`generated/1.0.0/metadata.json`" in card
    assert read_json(finished / "dataset/generated/1.0.0/metadata.json")["classes"]["colors"]
    for name in ("sheet", "labelled", "scores"):
        with Image.open(finished / f"dataset/{name}.png") as picture:
            assert np.asarray(picture).std() > 5
    assert (finished / "oracle/results.json").exists()
    # Started again it trains nothing and writes the same data set.
    before = written(finished / "dataset")
    launch(finished, data, generator)
    assert written(finished / "dataset") == before


def test_the_data_set_is_read_by_tfds_alone(finished):
    folder = finished / "dataset/generated/1.0.0"
    builder = tfds.builder_from_directory(str(folder))
    source = builder.as_data_source("train")
    assert len(source) == 11
    assert source[0]["image"].shape == (*SIZE, 3)
    assert source[0]["label"].shape == (*SIZE, 1)
    assert len(builder.as_data_source("labelled")) == 3


def test_labelled_samples_stay_with_their_images(finished):
    records = catalogue.load(
        "generated", root=str(finished / "dataset"), split="labelled", classes="ccp8"
    )
    round_ = Round(finished, 0)
    assert list(records.names) == round_.names()
    for index, name in enumerate(records.names):
        np.testing.assert_array_equal(records[index]["image"], round_.read_image(name))
        np.testing.assert_array_equal(records.label(index)[..., 0], round_.read_answer(name))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, data, generator):
    """The workdir of a run up to its data set, on all devices, and the files of that."""
    workdir = tmp_path_factory.mktemp("whole")
    return workdir, _until_the_dataset(workdir, config(data, generator))


@pytest.fixture
def maker_as_compiled_for_users(monkeypatch):
    """The one program for all devices; compiled quickly, those for one and for four round apart."""
    make = Maker.make

    def compiled(self, numbers):
        jax.config.update("jax_disable_most_optimizations", False)
        try:
            return make(self, numbers)
        finally:
            jax.config.update("jax_disable_most_optimizations", True)

    monkeypatch.setattr(Maker, "make", compiled)


@pytest.mark.usefixtures("maker_as_compiled_for_users")
def test_the_same_bytes_on_any_number_of_devices(tmp_path, data, generator, monkeypatch):
    first = _until_the_dataset(tmp_path / "all", config(data, generator))
    devices = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda *args, **kwargs: devices)
    monkeypatch.setattr(jax, "local_device_count", lambda *args, **kwargs: 1)
    second = _until_the_dataset(tmp_path / "one", config(data, generator))
    assert len(first) > 4
    assert second == first


@pytest.mark.parametrize("stops", [1, 3, 5])
def test_stopped_and_resumed_is_undisturbed(tmp_path, data, generator, stops, whole, monkeypatch):
    """A stop after each number of looks: in the ensemble's training, and between blocks."""
    undisturbed, files = whole
    looks = []

    def check_stop(self):
        looks.append(1)
        if len(looks) == stops:
            raise Stopped("now")

    with monkeypatch.context() as patched:
        patched.setattr(datasetgan.Preparation, "check_stop", check_stop)
        with pytest.raises(Stopped):
            _until_the_dataset(tmp_path / "cut", config(data, generator))
    assert not (tmp_path / "cut/dataset/generated").exists()
    assert _until_the_dataset(tmp_path / "cut", config(data, generator)) == files
    lines = [(w / "ensemble/metrics.jsonl").read_text() for w in (tmp_path / "cut", undisturbed)]
    assert lines[0] == lines[1]


def _until_the_dataset(workdir, settings) -> dict:
    """Runs the part before the segmenter with answers of bands; returns the data set's files."""
    settings.annotator = "people"
    opened = open_generator(settings.generator.path)
    try:
        datasetgan._make_dataset(settings, str(workdir), opened, False)
    except Waiting as waiting:
        oracle.answer(waiting.round, bands, "anna")
        datasetgan._make_dataset(settings, str(workdir), opened, False)
    return written(workdir / "dataset")


def test_it_is_a_source_domain(tmp_path, data, finished):
    """LabOR and a segmentation card both train on the data set."""
    place = {"data.source.root": str(finished / "dataset"), "data.source.name": "generated"}
    place |= {"data.source.split": "train"}
    shared = config(data, "", **{"data.eval.options.test": 4})
    for card, preset in ((segmentation, "source,figures"), (spl, "factory")):
        settings = card.get_config(preset)
        settings.data.dir = str(data)
        for role in ("target", "eval"):
            settings.data[role] = shared.data[role]
        same = ("model", "optimizer", "eval")
        for name in same:
            settings[name].update(shared[name])
        changes = {name: shared.data[name] for name in ("source_batch", "target_batch")}
        settings.data.update({**changes, "eval_batch": 4})
        settings.update_from_flattened_dict(
            place
            | {"data.source_view.size": SIZE, "data.target_view.size": SIZE, "train.steps": 4}
            | {"train.tensorboard": False, "train.eval_every": 0, "train.checkpoint_every": 2}
            | {"rounds.warmup": 1, "rounds.every": 1, "rounds.count": 2, "eval.folds": 0}
        )
        results = experiments.run(settings, str(tmp_path / preset.replace(",", "-")))
        assert "generated" in results["data"]["source"]
        assert results["steps"] == 4


@pytest.fixture(scope="module")
def maker(generator):
    """Random classifiers on the generator's features, and what makes images with them."""
    opened = open_generator(generator)
    model = PixelClassifier(TABLE.num_classes, (4,))
    channels = sum(shape[-1] for shape in opened.network.feature_sizes.values())
    state = create_ensemble(model, optax.sgd(0.1), jax.random.key(0), channels, range(2))
    params = jax.tree.map(lambda x: 6 * x, state.params)  # or they would hardly diverge
    ensemble = {"params": params, "batch_stats": state.batch_stats}
    return Maker(config("", generator), opened, jax.device_get(ensemble))


def test_weights_lie_on_every_device_before_any_candidate(maker):
    with jax.transfer_guard_device_to_device("disallow"):
        made = maker.make(np.arange(9))
    assert made["image"].shape == (9, *SIZE, 3)


def test_the_score_is_that_of_the_map_that_is_kept(maker):
    made = maker.make(np.arange(3))
    assert made["divergence"].dtype == np.uint8 and made["divergence"].any()
    worst = np.sort(made["divergence"].reshape(3, -1))[:, -(SIZE[0] * SIZE[1] // 10) :]
    assert made["divergence"].max() < 255  # nothing is cut off
    np.testing.assert_allclose(made["score"], worst.mean(1) / 500, atol=0.00101)


def _blank(numbers):
    """What a Maker makes, without its images."""
    label = np.zeros((len(numbers), *SIZE), np.uint8)
    images = {"image": np.zeros((*label.shape, 3), np.uint8), "label": label, "divergence": label}
    return images | {"score": np.zeros(len(numbers))}


TWELVE = config("", "x", **{"factory.count": 12, "factory.drop": 0.0}).factory  # in three blocks


@pytest.mark.parametrize(("process", "own"), [(0, [0, 2]), (1, [1])])
def test_every_process_looks_for_a_stop_as_often(tmp_path, monkeypatch, process, own):
    """Three blocks for two processes, of which the second has nothing left in the second round."""
    looks = []
    desk = SimpleNamespace(is_main=process == 0, check_stop=lambda: looks.append(1))
    maker = SimpleNamespace(settings=TWELVE, make=_blank)
    monkeypatch.setattr(jax, "process_index", lambda: process)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(factory_blocks.multihost_utils, "sync_global_devices", lambda name: None)
    assert factory_blocks.write_blocks(desk, maker, 12, tmp_path, TABLE.num_classes) == 3
    assert sorted(p.name for p in (tmp_path / "parts").iterdir()) == [
        f"block-00000{i}" for i in own
    ]
    assert len(looks) == 2


def test_a_block_is_written_while_the_next_is_made(tmp_path, monkeypatch):
    begun, write = [threading.Event() for _ in range(4)], factory_blocks.generated.write_block
    begun[3].set()  # nothing follows the last

    def make(numbers):
        begun[numbers[0] // 4].set()
        return _blank(numbers)

    def write_late(folder, block, *rest):
        assert begun[block + 1].wait(20)
        if (block, tmp_path / "full") == (2, folder):
            raise UserError("the disk is full")
        write(folder, block, *rest)

    monkeypatch.setattr(factory_blocks.generated, "write_block", write_late)
    desk = SimpleNamespace(is_main=True, check_stop=lambda: None)
    maker = SimpleNamespace(settings=TWELVE, make=make)
    factory_blocks.write_blocks(desk, maker, 12, tmp_path / "run", TABLE.num_classes)
    assert all(factory_blocks.generated.block_done(tmp_path / "run", block) for block in range(3))
    with pytest.raises(UserError, match="the disk is full"):
        factory_blocks.write_blocks(desk, maker, 12, tmp_path / "full", TABLE.num_classes)


def test_blocks_of_another_maker_are_refused(tmp_path, maker):
    def write(opened=maker.generator, ensemble=maker.ensemble, **changes):
        preparation = datasetgan.Preparation(
            config("", "x", **changes), str(tmp_path), True, SimpleNamespace(set=True)
        )
        factory.write_dataset(preparation, opened, ensemble, None, TABLE)

    for _ in range(2):
        with pytest.raises(Stopped):
            write()
    other = open_generator(make_generator(tmp_path / "other", seed=1))
    ensemble = jax.tree.map(lambda x: 2 * x, maker.ensemble)
    changes = {"factory.voting": "hard", "generator.psi": 0.5, "seed": 7}
    with pytest.raises(UserError, match=f"remove {tmp_path}/dataset/parts") as refused:
        write(other, ensemble, **changes)
    lines = [line.split(":")[0] for line in str(refused.value).splitlines() if line[0] == "-"]
    changed = ("ensemble.sha256", "factory.voting", "generator.psi", "generator.sha256", "seed")
    assert lines == [f"- {name}" for name in changed]
    # Blocks of a version that kept no maps of uncertainty.
    facts = read_json(tmp_path / "dataset/parts/maker.json")
    write_json(tmp_path / "dataset/parts/maker.json", facts | {"pictures": ["image", "label"]})
    with pytest.raises(UserError, match="pictures: was .*label.*, now .*divergence"):
        write()
    shutil.rmtree(tmp_path / "dataset/parts")
    with pytest.raises(Stopped):
        write(other)


def test_a_finished_data_set_stays_with_what_made_it(tmp_path, maker):
    def write(**changes):
        settings = config("", "x", **changes)
        preparation = datasetgan.Preparation(settings, str(tmp_path), True, SimpleNamespace(set=0))
        return factory.write_dataset(preparation, maker.generator, maker.ensemble, None, TABLE)

    first = write()
    with pytest.raises(
        UserError, match=r"factory.voting: was .*soft, now hard[^/]*/.*dataset, and"
    ):
        write(**{"factory.voting": "hard"})
    assert write() == first
    # Of a version that did not say what made it: the figures are those of the data set.
    Path(tmp_path, "dataset/generated/1.0.0/maker.json").unlink()
    assert write(**{"factory.count": 40}) == first
    assert (first["images"], first["candidates"]) == (11, 14)


def test_a_signal_while_the_card_is_drawn_is_not_lost(tmp_path, monkeypatch, maker):
    preparation = datasetgan.Preparation(config("", "x"), str(tmp_path), True, StopFlag())
    monkeypatch.setattr(factory.generated, "is_finished", lambda folder: True)
    monkeypatch.setattr(factory, "write_card", lambda *_: setattr(preparation.stop, "set", True))
    with pytest.raises(Stopped):
        factory.write_dataset(preparation, maker.generator, maker.ensemble, None, TABLE)


def test_candidates():
    settings = config("", "x").factory
    for count, drop, expected in ((11, 0.2, 14), (900, 0.1, 1000), (5, 0.0, 5), (1, 0.9, 10)):
        settings.update(count=count, drop=drop)
        assert factory.candidates(settings) == expected


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"factory.drop": 1.0}, "config.factory.drop"),
        ({"factory.count": 0}, "config.factory.count"),
        ({"factory.block": 3}, "config.factory.block=3 is no multiple"),
        ({"factory.voting": "loud"}, "hard or soft"),
        ({"annotator": "oracle"}, "use segmenter or people"),
        ({"samples.count": 0}, "config.samples.count"),
        ({"generator.cutoff": -1}, "config.generator.cutoff is -1"),
        ({"generator.path": ""}, "config.generator.path is empty"),
        ({"generator.path": "nowhere.npz"}, "nowhere.npz"),
        ({"ensemble.members": 0}, "config.ensemble.members"),
        ({"ensemble.dropout": (0.1,)}, "config.ensemble.dropout has 1 rates for 2"),
        ({"ensemble.dropout": ("a", "b")}, "config.ensemble.dropout is .*: rates are"),
    ],
)
def test_settings_that_cannot_be(tmp_path, data, generator, change, words):
    settings = config(data, generator, annotator="people")
    settings.update_from_flattened_dict(change)
    with pytest.raises(UserError, match=words):
        _answered_run(settings, tmp_path)


def test_a_bucket_is_refused_at_once(data, generator):
    with pytest.raises(UserError, match="not to a bucket"):
        experiments.run(config(data, generator), "gs://bucket/run")


def _answered_run(settings, workdir, truth=bands):
    try:
        experiments.run(settings, str(workdir))
    except Waiting as waiting:
        oracle.answer(waiting.round, truth)
        experiments.run(settings, str(workdir))


def _asked(workdir, data, generator):
    """A run that waits for answers: its settings and its round."""
    settings = config(data, generator, annotator="people")
    with pytest.raises(Waiting) as waiting:
        experiments.run(settings, str(workdir))
    return settings, waiting.value.round


def _put(path, label):
    Image.fromarray(label).save(path)


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (np.zeros((5, 5), np.uint8), "5x5 pixels, its query 24x16"),
        (np.full(SIZE, 9, np.uint8), "has the id 9, but the classes are 0 to 7"),
    ],
)
def test_answers_that_do_not_fit(tmp_path, data, generator, label, words):
    settings, round_ = _asked(tmp_path, data, generator)
    oracle.answer(round_, bands)
    _put(round_.folder / "answers/sample-0001.png", label)
    with pytest.raises(UserError, match=f"sample-0001.png.*{words}"):
        experiments.run(settings, str(tmp_path))
    assert not round_.is_closed


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        (lambda name: np.minimum(bands(name), 5), r"of feet \(0 pixels\), item \(0 .* 3 samples"),
        (lambda name: np.full(SIZE, 255, np.uint8), "no pixel is labelled"),
    ],
)
def test_labels_that_will_not_do_can_be_mended(tmp_path, data, generator, truth, words):
    settings, round_ = _asked(tmp_path, data, generator)
    settings.ensemble.smallest = 1
    oracle.answer(round_, truth)
    with pytest.raises(UserError, match=f"{words}.* The round is still open: label more of it"):
        experiments.run(settings, str(tmp_path))
    assert not round_.is_closed
    round_.close()  # as versions did that looked only then
    with pytest.raises(UserError, match="Remove .*closed.json to open the round again"):
        experiments.run(settings, str(tmp_path))


def test_answers_stay_while_the_samples_are_made_again(tmp_path, generator, monkeypatch):
    """That takes minutes; and a review may come in the moment before the round is closed."""
    settings, opened = config("", generator, annotator="people"), open_generator(generator)
    round_ = samples.write_samples(settings, opened, TABLE, tmp_path)
    oracle.answer(round_, bands)
    render, close = samples._render, Round.close

    def review_and_close(self):
        _put(self.folder / "answers/sample-0001.png", np.zeros(SIZE, np.uint8))
        close(self)

    def render_closed(*args, **kwargs):
        assert round_.is_closed
        return render(*args, **kwargs)

    monkeypatch.setattr(Round, "close", review_and_close)
    monkeypatch.setattr(samples, "_render", render_closed)
    preparation = datasetgan.Preparation(settings, str(tmp_path), True, StopFlag())
    labelled, _ = datasetgan._labelled_samples(preparation, opened, TABLE)
    for name, label in zip(labelled.names, labelled.labels, strict=True):
        np.testing.assert_array_equal(label, round_.read_answer(name))


def test_skipped_samples_are_left_out(tmp_path, data, generator):
    settings, round_ = _asked(tmp_path, data, generator)
    nothing = np.full(SIZE, 255, np.uint8)
    round_.write_answer(Answer("sample-0000", nothing, SKIPPED))
    oracle.answer(round_, bands)
    assert experiments.run(settings, str(tmp_path))["labelled_images"] == 2


def test_all_skipped_is_a_mistake(tmp_path, data, generator):
    settings, round_ = _asked(tmp_path, data, generator)
    for name in round_.names():
        round_.write_answer(Answer(name, np.full(SIZE, 255, np.uint8), SKIPPED))
    with pytest.raises(UserError, match="every sample was skipped. The round is still open"):
        experiments.run(settings, str(tmp_path))
    assert not round_.is_closed


def test_another_generator_is_refused(tmp_path, data, generator):
    settings, round_ = _asked(tmp_path / "run", data, generator)
    oracle.answer(round_, bands)
    settings.generator.path = make_generator(tmp_path / "other", seed=1)
    for _ in ("by the copy of the first", "by the manifest of a run that kept none"):
        with pytest.raises(UserError, match="name the generator that made them"):
            experiments.run(settings, str(tmp_path / "run"), force=True)
        shutil.rmtree(tmp_path / "run/samples", ignore_errors=True)


def _trained_on(folder):
    """The generator of `folder` with other weights, as of a training that goes on."""
    opened = open_generator(folder)
    variables = jax.tree.map(lambda x: np.float32(1.01) * x, opened.variables)
    save_generator(folder, opened.network, variables, 2)


def test_labels_outlive_the_training_of_their_generator(tmp_path, data):
    source = make_generator(tmp_path / "generator")
    settings = config(data, source, annotator="people")
    workdir, first = tmp_path / "run", kept_generator.open_samples_generator(settings, tmp_path)
    # A start was killed before it asked, with weights that are gone since.
    older = open_generator(make_generator(tmp_path / "older", seed=1))
    samples.write_samples(settings, older, TABLE, workdir).folder.joinpath("round.json").unlink()
    round_ = samples.write_samples(settings, first, TABLE, workdir)
    oracle.answer(round_, bands)
    _trained_on(source)
    kept = kept_generator.open_samples_generator(settings, workdir)
    assert (kept.checksum, kept.source) == (first.checksum, source)
    assert samples.read_samples(kept, round_).names == tuple(round_.names())
    # A work directory of a version that kept no copy says what to do.
    shutil.rmtree(workdir / "samples")
    with pytest.raises(UserError, match="its training has gone on.*later steps of checkpoints/"):
        samples.read_samples(kept_generator.open_samples_generator(settings, workdir), round_)


def test_a_copy_of_any_generator_is_the_same(tmp_path):
    opened = open_generator("figures")
    kept_generator.keep_generator(tmp_path, opened)
    assert open_generator(kept_generator.kept_generator(tmp_path)).checksum == opened.checksum


def test_a_changed_picture_is_found(tmp_path, data, generator):
    settings, round_ = _asked(tmp_path, data, generator)
    oracle.answer(round_, bands)
    first, second = (round_.image_path(f"sample-000{i}") for i in (0, 1))
    first.write_bytes(second.read_bytes())
    with pytest.raises(UserError, match="sample-0000.png was changed: sample-0000 is not what"):
        experiments.run(settings, str(tmp_path))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory, generator):
    """The generator, and round 0 of three samples of it."""
    opened = open_generator(generator)
    settings = config("", generator)
    return opened, samples.write_samples(settings, opened, TABLE, tmp_path_factory.mktemp("s"))


def test_the_manifest_says_which_of_the_candidates_were_chosen(sampled):
    opened, round_ = sampled
    settings = config("", "x").samples
    listed = read_json(round_.folder / "samples.json")["samples"]
    numbers = [sample["number"] for sample in listed]
    assert len(set(numbers)) == settings.count == 3
    assert max(numbers) < settings.candidates * 3
    latents = sample_files.read_latents(round_, opened.network, 3)
    drawn = draw_latents(opened.network, 0, LABELLED, np.array(numbers))
    np.testing.assert_array_equal(latents.z, drawn.z)
    np.testing.assert_array_equal(*(jax.random.key_data(x.keys) for x in (latents, drawn)))


@pytest.mark.parametrize(("candidates", "most"), [(1, 8192), (16, 3)])
def test_without_a_choice_the_first_are_labelled(
    tmp_path, generator, candidates, most, monkeypatch
):
    monkeypatch.setattr(samples, "_MOST", most)
    settings = config("", "x", **{"samples.candidates": candidates})
    round_ = samples.write_samples(settings, open_generator(generator), TABLE, tmp_path)
    listed = read_json(round_.folder / "samples.json")["samples"]
    assert [sample["number"] for sample in listed] == [0, 1, 2]


def test_classes_edited_while_people_label_are_refused(sampled):
    """With the ids of the answers as they are, every label would be another class."""
    opened, round_ = sampled
    workdir, names = round_.folder.parent.parent, TABLE.names
    other = dataclasses.replace(TABLE, names=names[::-1])
    first, second = ", ".join(names), ", ".join(names[::-1])
    words = f"round.json has the classes {first}, but .* has {second}: put back"
    with pytest.raises(UserError, match=words):
        samples.write_samples(config("", "x"), opened, other, workdir)


def _cut_short(path):
    path.write_bytes(path.read_bytes()[:-30])


def _fewer(path):
    with np.load(path) as arrays:
        fewer = {name: array[:2] for name, array in arrays.items()}
    np.savez(path, **fewer)


def _one_array(path):
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))


@pytest.mark.parametrize(
    "damage",
    [
        _cut_short,
        _fewer,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK no zip"),
        _one_array,
        lambda path: np.savez(path, z=np.zeros((3, 4), np.float32), noise=np.zeros((3, 5))),
        lambda path: path.unlink(),
    ],
)
def test_damaged_latents_are_named(tmp_path, sampled, damage):
    opened, round_ = sampled
    copy = Round(shutil.copytree(round_.folder.parent.parent, tmp_path / "run"), 0)
    whole = sample_files.read_latents(copy, opened.network, 3)
    assert whole.z.shape == (3, opened.network.z_dim)
    damage(Path(copy.folder / "latents.npz"))
    with pytest.raises(UserError, match=r"000/latents\.npz: .*: restore it"):
        sample_files.read_latents(copy, opened.network, 3)


@pytest.mark.parametrize("lost", ["generator", "psi", "cutoff", "samples"])
def test_a_damaged_manifest_is_named(tmp_path, sampled, lost):
    opened, round_ = sampled
    copy = Round(shutil.copytree(round_.folder.parent.parent, tmp_path / "run"), 0)
    path = sample_files.manifest_path(copy)
    content = read_json(path)
    del content[lost]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=rf"samples\.json: damaged \(KeyError\('{lost}'\)"):
        samples.read_samples(opened, copy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("sample-0002", "sample-0009"), "its samples are not those of"),
        (lambda text: json.dumps(json.loads(text) | {"samples": []}), "its samples are not those"),
        (
            lambda text: json.dumps(json.loads(text) | {"psi": 0.1}),
            "or latents.npz beside it was changed: sample-0000 is not what the generator makes",
        ),
    ],
)
def test_a_manifest_of_other_samples_is_named(tmp_path, sampled, change, words):
    """Not the pictures or the answers, which are as they were."""
    opened, round_ = sampled
    copy = Round(shutil.copytree(round_.folder.parent.parent, tmp_path / "run"), 0)
    oracle.answer(copy, bands)
    path = sample_files.manifest_path(copy)
    path.write_text(change(path.read_text()))
    with pytest.raises(UserError, match=rf"samples\.json.* {words}"):
        samples.read_samples(opened, copy)


def test_a_generator_that_is_not_finite(tmp_path, data, monkeypatch):
    # Not saved by a training: that refuses it.
    monkeypatch.setattr("jax_labor.engine.checkpoint.check_finite_state", lambda *_: None)
    blown = make_generator(tmp_path / "generator", scale=1e30)
    with pytest.raises(UserError, match="sample-0000 is not finite"):
        experiments.run(config(data, blown, annotator="people"), str(tmp_path / "run"))
    assert not Round(tmp_path / "run", 0).is_open


def test_labels_changed_after_training_are_found(tmp_path, data, generator):
    settings = config(data, generator)
    _until_the_dataset(tmp_path, settings)
    _put(tmp_path / "rounds/000/answers/sample-0001.png", np.zeros(SIZE, np.uint8))
    with pytest.raises(UserError, match="was trained on other labels"):
        datasetgan._make_dataset(settings, str(tmp_path), open_generator(generator), False)


LATE = [
    ("samples.count", 0, "config.samples.count is 0: use 1"),
    ("samples.candidates", 0, "config.samples.candidates is 0: use 1"),
    ("generator.psi", float("nan"), "config.generator.psi is nan: use 0"),
    ("generator.cutoff", -1, "config.generator.cutoff is -1: use 0"),
    ("ensemble.lr", -0.1, "config.ensemble.lr is -0.1: use more than 0"),
    ("ensemble.hidden", (0, 3), "config.ensemble.hidden is"),
    ("ensemble.batch", 3, "config.ensemble.batch is 3, but 8 classes"),
    ("ensemble.weights", "/nowhere", "/nowhere"),
    ("oracle.run", "/nowhere", "/nowhere/config.json is missing"),
    ("eval.folds", 50, "config.eval.folds is 50"),
    ("weights", "nowhere.npz", "nowhere.npz"),
    ("model.backbone", "resnet99", "config.model.backbone is 'resnet99': use"),
    ("model.dtype", "float8", "float8"),
    ("optimizer.name", "adem", "adem"),
    ("optimizer.schedule", "linear", "config.optimizer.schedule is 'linear'"),
    ("data.source_batch", 0, "config.data.source_batch"),
    ("data.source.name", "figures", "config.data.source.name is 'figures'"),
    ("start_from", "/nowhere", "config.start_from: this training has no warm-up"),
    ("loss.pseudo_start", 2.0, "config.loss.pseudo_start is 2.0"),
    ("loss.target", 0.5, "config.loss.target is above 0"),
    ("data.source.split", "train+val", "config.data.source.split is 'val': use train or labelled"),
    ("data.source_view.resize", "random_crop", "config.data.source_view.crop_height"),
    ("ensemble.smallest", -5, "config.ensemble.smallest is -5: use 0"),
    ("generator.psi", float("inf"), "config.generator.psi is inf: use 0"),
]


@pytest.mark.parametrize(("setting", "value", "message"), LATE, ids=[name for name, *_ in LATE])
def test_no_part_begins_that_a_later_part_would_refuse(
    tmp_path, data, generator, setting, value, message
):
    """People label in between; and a start that was refused may be corrected."""
    bad = config(data, generator, **{"annotator": "segmenter", setting: value})
    with pytest.raises(UserError, match=re.escape(message)):
        experiments.run(bad, str(tmp_path / "run"))
    left = [path.name for path in (tmp_path / "run").glob("*")]
    assert not {"config.json", "rounds", "dataset"} & set(left)


def test_the_papers_segmenter_is_as_large_as_the_generators_images(tmp_path, data, generator):
    settings = config(data, generator, annotator="people")
    settings.data.source_view.size = settings.data.target_view.size = settings.eval.size = ()
    with pytest.raises(Waiting):
        experiments.run(settings, str(tmp_path))
    written = json.loads((tmp_path / "config.json").read_text())
    views = written["data"]["source_view"], written["data"]["target_view"], written["eval"]
    assert [view["size"] for view in views] == [list(SIZE)] * 3
    card = datasetgan_card.get_config()
    assert (card.data.source_view.size, card.eval.size) == ((), ())
    assert (card.model.head, card.optimizer.name, card.data.source_batch) == ("v3", "adam", 8)
