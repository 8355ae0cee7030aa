"""A run whose rounds people answer: it stops, says what to do, and goes on."""

import contextlib
import json
import shlex
import shutil
import threading
import time

import numpy as np
import pytest
from PIL import Image
from small import config, launch

from jax_labor import experiments
from jax_labor.errors import UserError
from jax_labor.experiments import annotators, restored
from jax_labor.labels import oracle
from jax_labor.labels.page.task import load_task
from jax_labor.labels.store import Round

pytestmark = pytest.mark.usefixtures("quick_compilation")
PEOPLE = "--config.annotator=people"
AT_ONCE = {"rounds.warmup": 0}  # the first round, without any training


def answer(workdir, number):
    """What a person does, by the truth."""
    oracle.answer(Round(workdir, number), restored.target_truth(workdir))


def test_a_run_of_people_ends_as_one_of_the_oracle(tmp_path, data):
    flags = ["--config.train.eval_every=0"]
    launch(tmp_path / "oracle", data, *flags)
    printed = launch(tmp_path / "people", data, *flags, PEOPLE, status=75)
    lines = [line.strip() for line in printed.splitlines()]
    label = next(line for line in lines if line.startswith("to label:"))
    assert f"annotate.py serve --workdir {tmp_path / 'people'}" in label
    on = next(line for line in lines if line.startswith("to go on:"))
    assert PEOPLE in shlex.split(on)
    # Not answered: it says so again, and asks nothing anew.
    first = (tmp_path / "people/rounds/000/round.json").stat().st_mtime_ns
    launch(tmp_path / "people", data, *flags, PEOPLE, status=75)
    assert (tmp_path / "people/rounds/000/round.json").stat().st_mtime_ns == first
    answer(tmp_path / "people", 0)
    launch(tmp_path / "people", data, *flags, PEOPLE, status=75)
    assert Round(tmp_path / "people", 0).is_closed
    assert not Round(tmp_path / "people", 1).is_closed
    answer(tmp_path / "people", 1)
    # A wrong answer is named before training takes any, and may be mended.
    path = next((tmp_path / "people/rounds/001/answers").glob("*.png"))
    right = path.read_bytes()
    Image.fromarray(np.full((32, 48), 77, np.uint8)).save(path)
    assert "has the id 77" in launch(tmp_path / "people", data, *flags, PEOPLE, status=2)
    assert not Round(tmp_path / "people", 1).is_closed
    path.write_bytes(right)
    launch(tmp_path / "people", data, *flags, PEOPLE)
    ours, theirs = (
        json.loads((tmp_path / name / "results.json").read_text()) for name in ("people", "oracle")
    )
    for key in ("miou", "asked_pixels", "iou_by_class"):
        assert ours[key] == theirs[key]


def test_people_see_the_picture_and_the_classes(tmp_path, data):
    settings = config(data, annotator="people", **AT_ONCE)
    with pytest.raises(annotators.Waiting) as waiting:
        experiments.run(settings, str(tmp_path))
    round_ = waiting.value.round
    assert waiting.value.left == len(round_.names()) == 6
    assert [c["name"] for c in round_.facts()["classes"]][:2] == ["sky", "building"]
    name = round_.names()[0]
    with Image.open(round_.image_path(name)) as photo:
        assert photo.size[::-1] == round_.read_query(name).guess.shape


def test_a_run_may_wait_in_place(tmp_path, data, monkeypatch):
    monkeypatch.setattr(annotators, "POLL_SECONDS", 0.05)
    settings = config(data, annotator="people", annotator_wait=True)

    def person():
        for number in range(settings.rounds.count):
            while not Round(tmp_path, number).is_open:
                time.sleep(0.05)
            answer(tmp_path, number)

    thread = threading.Thread(target=person)
    thread.start()
    results = experiments.run(settings, str(tmp_path))
    thread.join()
    assert results["asked_pixels"] > 0


def test_small_pieces_can_be_left_out(tmp_path, data):
    shares = {}
    for smallest in (0, 6):
        workdir = tmp_path / str(smallest)
        settings = config(data, annotator="people", **AT_ONCE)
        settings.rounds.smallest, settings.rounds.specks = smallest, "leave"
        with pytest.raises(annotators.Waiting):
            experiments.run(settings, str(workdir))
        round_ = Round(workdir, 0)
        facts = [round_.query_facts(name) for name in round_.names()]
        shares[smallest] = sum(f["asked"] for f in facts), sum(f["left_out"] for f in facts)
        for name in round_.names():
            guess = round_.read_query(name).guess
            assert round_.query_facts(name)["asked"] == np.sum(guess != 255)
    assert shares[0][1] == 0 < shares[6][1]
    assert sum(shares[6]) == shares[0][0]


def test_pixels_drawn_at_random_are_not_left_out_as_specks(tmp_path, data):
    settings = config(data, annotator="people", **AT_ONCE)
    settings.rounds.update(smallest=6, specks="leave", strategy="random")
    with pytest.raises(annotators.Waiting):
        experiments.run(settings, str(tmp_path))
    round_ = Round(tmp_path, 0)
    facts = [round_.query_facts(name) for name in round_.names()]
    assert all(f["asked"] > 0 and f["left_out"] == 0 for f in facts)
    opened = round_.facts()
    for name in round_.names():  # and people are asked about all of them
        task = load_task(round_, name, opened["smallest"], opened["specks"])
        assert (task.ids > 0).sum() == round_.query_facts(name)["asked"]


def test_a_warm_up_of_another_run_may_go_while_people_label(tmp_path, data):
    settings = config(data, annotator="people")
    for name in ("other", "own"):
        if name == "own":
            settings.start_from = str(tmp_path / "other/warmup")
        with pytest.raises(annotators.Waiting):
            experiments.run(settings, str(tmp_path / name))
    shutil.rmtree(tmp_path / "other")
    for number in range(settings.rounds.count):
        answer(tmp_path / "own", number)
        with contextlib.suppress(annotators.Waiting):
            results = experiments.run(settings, str(tmp_path / "own"))
    assert results["asked_pixels"] > 0


def test_no_warm_up_is_nothing_to_take(tmp_path, data):
    settings = config(data, annotator="people", start_from=str(tmp_path / "nowhere"))
    settings.rounds.warmup = 0
    with pytest.raises(annotators.Waiting):
        experiments.run(settings, str(tmp_path / "run"))
    assert not (tmp_path / "run/warmup").exists()


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [("annotator", "somebody", "config.annotator"), ("rounds.specks", "drop", "config.rounds")],
)
def test_settings_are_checked_before_any_work(tmp_path, data, setting, value, words):
    settings = config(data, **{setting: value})
    with pytest.raises(UserError, match=words):
        experiments.run(settings, str(tmp_path))
    assert not (tmp_path / "rounds").exists()
