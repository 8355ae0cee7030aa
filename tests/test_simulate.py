import contextlib
import io
import logging
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from jax_labor.classes import ClassTable
from jax_labor.errors import UserError
from jax_labor.labels.effort import summary
from jax_labor.labels.simulate import check_url, read_segments, simulate
from jax_labor.labels.simulated import Person, bands, runs
from jax_labor.labels.store import Query, Round

pytestmark = pytest.mark.usefixtures("quick_compilation")

ROOT = Path(__file__).resolve().parents[1]
NAMES = ("a", "b", "c", "d")
TABLE = ClassTable("t", NAMES, ((0, 0, 0),) * 4, (0, 1, 2, 3), (255,), "")
SHAPE = (20, 24)
SERVE = "import sys; from jax_labor.labels.page.serve import serve; serve(sys.argv[1], port=0)"


@contextlib.contextmanager
def serving(workdir):
    """(url, token) of a page that serves the newest round in `workdir`."""
    command = [sys.executable, "-c", SERVE, str(workdir)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = next(line for line in process.stdout if "#token=" in line).strip()
        url, _, token = address.partition("#token=")
        yield url, token
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def draw_scene(rng):
    """uint8[H, W], a few rectangles of classes and some void."""
    scene = np.zeros(SHAPE, np.uint8)
    for value in (1, 2, 3, 255):
        top, left = rng.integers(0, 14, 2)
        scene[top : top + 7, left : left + 9] = value
    return scene


def open_round(workdir, kind, images, rng):
    """(round, truth by name) of a new run's first round."""
    round_ = Round(workdir, 0)
    truth = {f"{kind} {i}": draw_scene(rng) for i in range(images)}
    for name in truth:
        guess = rng.integers(0, 4, SHAPE).astype(np.uint8)
        asked = rng.random(SHAPE) < (0.03 if kind == "points" else 0.3)
        guess = np.where(asked, guess, 255).astype(np.uint8)
        points = rng.permutation(np.argwhere(asked)) if kind == "points" else np.zeros((0, 2), int)
        round_.write_query(Query(name, guess, kind, points))
        round_.write_image(name, np.zeros((*SHAPE, 3), np.uint8), lossless=True)
    round_.open(kind, truth, TABLE)
    return round_, truth


@pytest.mark.parametrize(("kind", "people"), [("points", 3), ("mask", 2), ("full", 1)])
def test_the_truth_arrives_whole(tmp_path, kind, people, rng):
    round_, truth = open_round(tmp_path, kind, 4, rng)
    how = {"annotators": people, "undo": 0.2, "seconds": 2.0, "real_time": 0.0}
    with serving(tmp_path) as (url, token):
        figures = simulate(url, token, truth=truth.get, **how)
    assert round_.unanswered() == []
    for name, scene in truth.items():
        asked = round_.read_query(name).asked
        np.testing.assert_array_equal(round_.read_answer(name), np.where(asked, scene, 255))
    assert (figures["images"], figures["lost"], figures["retries"]) == (4, 0, 0)
    assert figures["routes"]["finish"]["count"] == 4
    assert figures["routes"]["answers"]["count"] == figures["answers"] + figures["undone"]
    effort = summary([round_])
    assert 1 <= effort["annotators"] <= people
    assert effort["seconds"] == pytest.approx(figures["simulated_seconds"], rel=0.01) != 0
    assert effort["unsure"] == figures["unsure"]
    assert ("segments" in figures["routes"]) == (kind == "mask")


def test_what_is_said_depends_on_neither_people_nor_order(tmp_path):
    maps = []
    how = {"error": 0.3, "unsure": 0.2, "undo": 0.2, "seconds": 0.0, "seed": 5}
    for people in (1, 3):
        workdir = tmp_path / str(people)
        round_, truth = open_round(workdir, "points", 3, np.random.default_rng(7))
        with serving(workdir) as (url, token):
            simulate(url, token, truth=truth.get, annotators=people, **how)
        maps.append([round_.read_answer(name) for name in truth])
    np.testing.assert_array_equal(*maps)
    wrong = [(m != 255) & (m != t) for m, t in zip(maps[0], truth.values(), strict=True)]
    assert np.any(wrong)


def test_time_passes_when_asked_to_and_requests_are_not_logged(tmp_path, rng, caplog):
    _, truth = open_round(tmp_path, "full", 1, rng)
    with serving(tmp_path) as (url, token), caplog.at_level(logging.INFO):
        how = {"seconds": 3.0, "spread": 0.0, "real_time": 0.1}
        figures = simulate(url, token, truth=truth.get, **how)
    assert figures["simulated_seconds"] == 3.0
    assert figures["seconds"] > 0.3
    assert caplog.records == []


def test_refusals_are_one_clear_sentence(tmp_path, rng):
    _, truth = open_round(tmp_path, "points", 1, rng)
    small = np.zeros((2, 2), np.uint8)
    cases = [
        ({"token": "wrong"}, "refused \\(403\\)"),
        ({"truth": lambda _: small}, "is \\(2, 2\\), its query"),
        ({"truth": lambda name: truth[name] // 255 * 7}, "has class 7"),
        ({"confusions": {0: [9]}}, "class 9; the round has 4"),
        ({"annotators": 0}, "at least one"),
    ]
    with serving(tmp_path) as (url, token):
        for how, message in cases:
            arguments = {"token": token, "truth": truth.get} | how
            with pytest.raises(UserError, match=message):
                simulate(url, arguments.pop("token"), **arguments)


def test_a_server_that_is_not_there(monkeypatch):
    monkeypatch.setattr("jax_labor.labels.simulate._FIRST_PAUSE", 0.0)
    with pytest.raises(UserError, match="does not answer"):
        simulate("http://127.0.0.1:9", "token", truth=lambda name: None)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/#token=x", "http://127.0.0.9:1", "http://[::1]:1", "https://a.b"]
)
def test_addresses_that_are_allowed(url):
    assert check_url(url) == url.split("/#")[0]


@pytest.mark.parametrize("url", ["http://10.0.0.1", "http://a.b:1", "http://localhost.a.b"])
def test_addresses_in_the_open_are_refused(url):
    with pytest.raises(UserError, match="unencrypted"):
        check_url(url)


@pytest.mark.parametrize("url", ["", "ftp://localhost", "localhost:80", "http://[::1", "http://"])
def test_what_is_no_address(url):
    with pytest.raises(UserError, match="give the page's address"):
        check_url(url)


def say(person, name, item, class_, guess=None, size=1):
    truth = np.full((size, size), class_, np.uint8)
    return person.answer(name, item, truth, np.full((size, size), True), (0, 0), guess)


def test_errors_doubts_and_times_have_the_set_rates():
    person = Person(4, error=0.25, unsure=0.1, undo=0.3, seconds=2.0, spread=0.7, seed=3)
    said = [say(person, "x", i, 2, guess=2) for i in range(4000)]
    classes = Counter(a.class_ for a in said)
    assert classes[None] / 4000 == pytest.approx(0.1, abs=0.02)
    given = 4000 - classes[None]
    assert 1 - classes[2] / given == pytest.approx(0.25, abs=0.03)
    for wrong in (0, 1, 3):  # evenly over the other classes
        assert classes[wrong] / given == pytest.approx(0.25 / 3, abs=0.02)
    assert np.mean([a.undone is not None for a in said]) == pytest.approx(0.3, abs=0.03)
    assert all(a.undone != a.class_ for a in said if a.undone is not None)
    assert all(a.accepted == (a.class_ == 2) for a in said)
    logs = np.log([a.seconds for a in said])
    assert np.median(logs) == pytest.approx(np.log(2.0), abs=0.05)
    assert np.std(logs) == pytest.approx(0.7, abs=0.05)


def test_errors_go_to_the_confusable_classes():
    person = Person(4, error=1.0, confusions={2: [0, 1], 3: []})
    assert {say(person, "x", i, 2).class_ for i in range(100)} == {0, 1}
    assert {say(person, "x", i, 3).class_ for i in range(20)} == {3}  # never mistaken
    assert {say(person, "x", i, 0).class_ for i in range(100)} == {1, 2, 3}
    assert say(Person(1, error=1.0), "x", 0, 0).class_ == 0  # nothing else to say


def test_void_is_unsure_and_several_classes_are_painted(rng):
    assert say(Person(4), "x", 0, 255).action == "unsure"
    truth = np.array([[0, 0, 1], [2, 255, 1]], np.uint8)
    pixels = np.array([[True, False, True], [True, True, False]])
    answered = Person(4).answer("x", 1, truth, pixels, (5, 7), 0)
    (patch,) = answered.patches
    assert {k: patch[k] for k in ("top", "left", "height", "width")} == {
        "top": 5,
        "left": 7,
        "height": 2,
        "width": 3,
    }
    assert patch["runs"] == [0, 1, 255, 1, 1, 1, 2, 1, 255, 2]
    assert not answered.accepted


def test_patches_tile_the_area(rng):
    label = rng.choice([0, 1, 255], (600, 3)).astype(np.uint8)
    painted = np.full((610, 9), 9, np.uint8)
    for patch in bands(label, (10, 5)):
        values, counts = np.reshape(patch["runs"], (-1, 2)).T
        block = np.repeat(values, counts).reshape(patch["height"], patch["width"])
        rows = slice(patch["top"], patch["top"] + patch["height"])
        painted[rows, patch["left"] : patch["left"] + patch["width"]] = block
    np.testing.assert_array_equal(painted[10:, 5:8], label)
    assert (painted[:10] == 9).all()
    assert runs(np.zeros((3, 2), np.uint8)) == [0, 6]


def test_segments_are_read_as_they_were_numbered(rng):
    ids = rng.integers(0, 2**24, (5, 6)).astype(np.int32)
    buffer = io.BytesIO()
    channels = np.stack([ids >> 16 & 255, ids >> 8 & 255, ids & 255], -1).astype(np.uint8)
    Image.fromarray(channels).save(buffer, "PNG")
    np.testing.assert_array_equal(read_segments(buffer.getvalue()), ids)


def test_an_image_left_half_done_is_answered_whole(tmp_path, rng):
    round_, truth = open_round(tmp_path, "points", 2, rng)
    with serving(tmp_path) as (url, token):
        # What a run that was killed leaves: a claim, and an answer to be taken back.
        with httpx.Client(base_url=url, headers={"X-Labor": "1"}, trust_env=False) as client:
            client.post("api/login", json={"token": token, "annotator": "simulated 01"})
            claim = client.post("api/claim", json={}).json()["claim"]
            first = claim["items"][0]
            wrong = (int(truth[claim["name"]][first["row"], first["column"]]) + 1) % 4
            answer = {"id": str(uuid.uuid4()), "item": 0, "action": "class", "class": wrong}
            body = {"claim": claim["claim"], "answers": [answer]}
            assert client.post("api/answers", json=body).is_success
        figures = simulate(url, token, truth=truth.get, seconds=0.0)
    assert figures["images"] == 2
    for name, scene in truth.items():
        expected = np.where(round_.read_query(name).asked, scene, 255)
        np.testing.assert_array_equal(round_.read_answer(name), expected)
