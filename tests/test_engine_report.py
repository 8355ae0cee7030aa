"""What a run tells: rates, lines, tables, pictures, and when it must stop."""

import importlib.metadata
import json
import logging
import math

import jax
import numpy as np
import pytest
from PIL import Image

from jax_labor.engine import pictures, report
from jax_labor.engine.clock import Clock, as_time
from jax_labor.engine.finite import NonFiniteLoss, check_finite, check_finite_state
from jax_labor.engine.profile import Profiler, parse_range
from jax_labor.engine.report import Progress, Reporter
from jax_labor.engine.results import write_results
from jax_labor.errors import UserError
from jax_labor.tables import table


class Time:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_clock_leaves_out_compilation_and_pauses():
    time = Time()
    clock = Clock(time)
    assert clock.rates(10).steps_per_second is None and clock.rates(10).eta_seconds is None
    time.now += 30  # compiles
    clock.tick(8)
    for _ in range(4):
        time.now += 0.25
        with clock.pause():
            time.now += 7
        time.now += 0.25
        clock.tick(8)
    rates = clock.rates(10)
    assert (rates.steps_per_second, rates.images_per_second, rates.eta_seconds) == (2, 16, 5)
    assert rates.total_seconds == 30 + 4 * 7.5
    clock.start()
    time.now += 100  # compiles anew
    clock.tick(2)
    assert clock.rates().steps_per_second is None
    time.now += 1
    clock.tick(2)
    assert clock.rates(3).steps_per_second == 1 and clock.rates(3).eta_seconds == 3
    assert clock.mean_images_per_second() == (32 + 2) / 3


def test_clock_goes_on_over_a_resume():
    time = Time()
    clock = Clock(time)
    for _ in range(3):
        time.now += 2
        clock.tick(4)
    state = json.loads(json.dumps(clock.state()))
    time.now = 5000
    again = Clock(time)
    time.now += 50
    again.load(state)
    assert again.total_seconds() == 6
    time.now += 60
    again.tick(4)
    time.now += 2
    again.tick(4)
    assert again.total_seconds() == 68 and again.mean_images_per_second() == 2
    assert again.rates().steps_per_second == 0.5


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(None, "?"), (0, "0:00"), (54.4, "0:54"), (59.6, "1:00"), (3725, "1:02:05")],
)
def test_as_time(seconds, words):
    assert as_time(seconds) == words


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def test_metrics_of_a_resumed_run_read_as_one_undisturbed(tmp_path):
    def run(first, last, workdir):
        reporter = Reporter(workdir, first, tensorboard=False)
        for step in range(first + 1, last + 1):
            reporter.write(step, {"loss": np.float32(step) / 2, "miou": math.nan})
        return reporter

    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    run(0, 9, whole).close()
    killed = run(0, 7, cut)  # never closed, and its last line cut short
    assert len(lines(cut)) == 7
    with open(cut / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 8, "lo')
    run(4, 9, cut).close()
    assert (cut / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()
    assert lines(cut)[0] == {"step": 1, "loss": 0.5, "miou": None}
    killed.close()
    run(0, 2, cut).close()  # no checkpoint was kept
    assert [line["step"] for line in lines(cut)] == [1, 2]


def test_a_line_that_a_resume_repeats_is_written_once(tmp_path):
    for start, lines in ((0, [{"loss": 1}]), (4, [{"miou": 0.5}]), (4, [{"miou": 0.5}])):
        reporter = Reporter(tmp_path, start, tensorboard=False)
        for line in lines:
            reporter.write(4, line)
        reporter.close()
    kept = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in kept] == [{"step": 4, "loss": 1}, {"step": 4, "miou": 0.5}]


def test_only_the_main_process_reports(tmp_path):
    reporter = Reporter(tmp_path, is_main=False)
    reporter.write(1, {"loss": 1.0})
    reporter.image(1, "a", np.zeros((4, 4, 3), np.uint8))
    reporter.close()
    assert not list(tmp_path.iterdir())


def test_tensorboard_gets_scalars_and_pictures(tmp_path):
    reporter = Reporter(tmp_path)
    reporter.write(1, {"loss": 1.0})
    reporter.image(1, "sheet", np.zeros((8, 12, 3), np.uint8))
    reporter.close()
    events = b"".join(path.read_bytes() for path in (tmp_path / "tensorboard").iterdir())
    assert b"loss" in events and b"sheet" in events and b"PNG" in events


def test_a_full_disk_is_one_error_at_the_line_and_at_the_end():
    lines = report._LocalLines("/dev/full")
    for act in (lambda: lines.append("{}"), lines.close):
        with pytest.raises(UserError, match="/dev/full: the disk is full"):
            act()


def test_bucket_lines_are_written_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(report.files, "is_remote", lambda path: True)
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\n{"step": 5}\n')
    reporter = Reporter(tmp_path, 1, tensorboard=False)
    reporter.write(2, {"a": 1})
    assert len(lines(tmp_path)) == 1
    reporter.close()
    assert lines(tmp_path) == [{"step": 1}, {"step": 2, "a": 1.0}]


def test_progress_line_and_cadence(caplog):
    time = Time()
    clock = Clock(time)
    for _ in range(11):
        time.now += 0.25
        clock.tick(8)
    progress = Progress(400, clock, every_seconds=10, now=time)
    words = "step 120/400 30.0% | 4 steps/s 32 img/s | ETA 1:10 | loss 1.235 lr 2.5e-05"
    with caplog.at_level(logging.INFO, "jax_labor"):
        assert progress.update(120, {"loss": np.float32(1.23456), "lr": 2.5e-5})
        time.now += 9
        assert not progress.update(121, {"loss": None})
        time.now += 1
        assert progress.update(122, {})
        assert progress.update(400, {})
        assert not Progress(400, clock, is_main=False).update(400, {})
    assert [record.message for record in caplog.records][0] == words
    assert len(caplog.records) == 3
    assert Progress(5, Clock(time)).line(0, {}) == "step 0/5 0.0% | ETA ?"


def test_results_say_what_made_them(tmp_path):
    content = write_results(tmp_path, {"miou": np.float32(0.5), "iou": [math.nan, 1.0], "seed": 3})
    assert content == json.loads((tmp_path / "results.json").read_text())
    assert (content["miou"], content["iou"], content["seed"]) == (0.5, [None, 1.0], 3)
    assert {"python", "jax", "jaxlib", "flax", "numpy", "jax_labor"} <= content["versions"].keys()
    assert content["devices"] == {"kind": "cpu", "count": 4, "processes": 1}
    assert content["date"].endswith("Z")


def test_results_are_written_where_the_project_is_not_installed(tmp_path, monkeypatch):
    def version(name, known=importlib.metadata.version):
        if name == "jax_labor":
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = write_results(tmp_path, {"seed": 3})["versions"]
    assert found["jax_labor"] == "not installed"
    assert found["jax"] == jax.__version__


def test_table_is_aligned():
    rows = [["road", 91.234, 10], ["bicyclist", math.nan, None], ["mean", "91.2 ± 0.3", 2000]]
    assert table(rows, ["class", "IoU", "pixels"]).splitlines() == [
        "class             IoU  pixels",
        "---------  ----------  ------",
        "road            91.23      10",
        "bicyclist           -       -",
        "mean       91.2 ± 0.3    2000",
    ]
    assert table([], ["a", "bc"]) == "a  bc\n-  --"
    with pytest.raises(ValueError):
        table([[1]], ["a", "b"])


def test_non_finite_names_step_and_terms():
    check_finite(3, {"a": 1.0, "b": np.float32(2)})
    bad = {"loss/source": np.float32("nan"), "loss/d": np.float32(1), "total": -math.inf}
    with pytest.raises(NonFiniteLoss, match="step 17: loss/source = nan, total = -inf") as caught:
        check_finite(17, bad)
    assert isinstance(caught.value, UserError) and caught.value.step == 17
    assert "loss/d" not in str(caught.value) and "learning rate" in str(caught.value)


@pytest.mark.parametrize("value", [np.nan, -np.inf, 1e25])
def test_a_wrecked_state_is_named(value):
    good = np.linspace(-1e4, 1e4, 9, dtype=np.float32).reshape(3, 3)
    check_finite_state(5, {"a": good, "count": np.array(2**62), "empty": good[:0], "zero": good[1]})
    bad = good.copy()
    bad[1, 2] = value
    with pytest.raises(NonFiniteLoss, match="step 5: b = ") as caught:
        check_finite_state(5, {"a": good, "b": bad})
    np.testing.assert_equal(caught.value.terms["b"], float(np.float32(value)))


@pytest.mark.parametrize("spec", ["10", "10:", ":5", "10:10", "15:10", "a:b", "-1:5", "1:2:3"])
def test_profile_range_refused(spec):
    with pytest.raises(UserError, match=r"config.train.profile=.*for example 10:15"):
        parse_range(spec)


def test_profiler_traces_its_steps_only(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr("jax.profiler.start_trace", lambda folder: calls.append(folder))
    monkeypatch.setattr("jax.profiler.stop_trace", lambda: calls.append("stop"))

    def run(spec, steps):
        calls.clear()
        profiler = Profiler(spec, tmp_path)
        for step in steps:
            profiler.before(step)
            calls.append(step)
        profiler.close()
        return list(calls)

    folder = str(tmp_path)
    assert run("1:3", range(5)) == [0, folder, 1, 2, "stop", 3, 4]
    assert run("1:9", range(3, 5)) == [folder, 3, 4, "stop"]
    assert run("1:3", range(7, 9)) == [7, 8]
    assert run("", range(2)) == [0, 1]


def test_one_queried_pixel_is_seen_in_a_small_sheet():
    image = np.full((1024, 2048, 3), 90, np.uint8)
    marks = np.zeros((1024, 2048), bool)
    plain = pictures.sheet([[pictures.Panel(image, marks=marks)]], ["one"], height=120)
    marks[517, 1203] = True
    sheet = pictures.sheet([[pictures.Panel(image, marks=marks)]], ["one"], height=120)
    seen = (sheet == pictures.MARK).all(-1)
    assert not (plain == pictures.MARK).all(-1).any() and seen.sum() >= 9
    y, x = np.argwhere(seen).mean(0)
    left = 8 + 8 + 1  # margin, gap, empty row name
    assert abs(x - left - 1203 * 240 / 2048) < 1.5
    assert abs((y - (sheet.shape[0] - 120 - 8)) - 517 * 120 / 1024) < 1.5
    whole = pictures.overlay_mask(image, marks)
    assert whole.shape == image.shape and (whole == pictures.MARK).all(-1).sum() > 100


@pytest.mark.parametrize("count", [50, 500, 2000, 20_000])
def test_every_one_of_many_marks_is_seen(count):
    rng = np.random.default_rng(count)
    marks = np.zeros((512, 1024), bool)
    marks[rng.integers(0, 512, count), rng.integers(0, 1024, count)] = True
    out = pictures.overlay_mask(np.zeros((128, 256, 3), np.uint8), marks)
    ys, xs = np.nonzero(marks)
    assert (out[ys // 4, xs // 4] == pictures.MARK).all()
    assert not (out == pictures.MARK).all(-1).all()


def test_small_masks_are_enlarged_exactly():
    marks = np.random.default_rng(0).random((30, 40)) < 0.6
    out = pictures.overlay_mask(np.zeros((90, 120, 3), np.uint8), marks)
    np.testing.assert_array_equal((out == pictures.MARK).all(-1), marks.repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize("size", [(40, 50), (10, 12), (400, 500)])
@pytest.mark.parametrize("share", [0.05, 0.6])
def test_marks_have_the_colours_of_their_pixels(size, share):
    """As circles, squares and areas: what is drawn at a mark's place is a mark's colour."""
    rng = np.random.default_rng(0)
    marks = rng.random(size) < share
    colours = np.array([[200, 0, 0], [0, 0, 220]], np.uint8)[rng.integers(0, 2, size)]
    panel = pictures.Panel(np.full((*size, 3), 90, np.uint8), marks=marks, colour=colours)
    drawn = pictures.sheet([[panel]], ["x"], height=100)[-108:-8].reshape(-1, 3)
    red, blue = ((drawn == c).all(-1).sum() for c in ([200, 0, 0], [0, 0, 220]))
    assert min(red, blue) > 20
    assert set(map(tuple, drawn[drawn.max(1) > drawn.min(1)].tolist())) <= {
        (200, 0, 0),
        (0, 0, 220),
        (190, 194, 200),  # the frame
    }


def test_letters_of_other_languages_are_drawn():
    """Each as itself: a font without them draws one box for all."""
    names = ["a", "ö", "ß", "é", "ñ", "д", "ж", "λ", "–", "\n"]  # no line break, but drawn
    image = np.zeros((10, 10, 3), np.uint8)
    drawn = {pictures.sheet([[image]], [name], height=100).tobytes() for name in names}
    assert len(drawn) == len(names)


def test_label_panels_keep_their_colours_and_the_sheet_its_sizes(tmp_path):
    palette = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint8)
    label = np.random.default_rng(1).integers(0, 4, (37, 53)).astype(np.int32)
    coloured = pictures.colourise(label, palette)
    assert coloured.shape == (37, 53, 3) and (coloured[3, 5] == palette[label[3, 5]]).all()
    panel = pictures.Panel(coloured, smooth=False)
    sheet = pictures.sheet([[panel]], ["x"], height=100)
    used = {tuple(row) for row in palette[:4].tolist()}
    inside = sheet[-100:-20, 40:120].reshape(-1, 3)
    assert {tuple(row) for row in inside.tolist()} <= used
    legend = {f"class {i}": (i, i, i) for i in range(30)}
    big = pictures.save_sheet(
        tmp_path / "new" / "s.png",
        [[panel, coloured], [None, label.astype(np.uint8)]],
        ["left", "right"],
        ["first", "a longer name"],
        legend,
        "title",
        height=100,
    )
    assert big.shape[0] > sheet.shape[0] + 100 and big.shape[1] > 2 * round(53 * 100 / 37)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "s.png")), big)
    with pytest.raises(ValueError, match="every row needs 2 pictures"):
        pictures.sheet([[panel]], ["a", "b"])
