import io
import json
import os

import numpy as np
import pytest
from PIL import Image

from jax_labor.classes import ClassTable
from jax_labor.errors import UserError
from jax_labor.labels import oracle
from jax_labor.labels.answer_checks import PROGRAMS
from jax_labor.labels.effort import figures, pictures, summary, write_report
from jax_labor.labels.effort.report import duration, read
from jax_labor.labels.store import ANSWERED, SKIPPED, Answer, Query, Round
from jax_labor.tables import table

NAMES = ("road", "car", "$\\bad{ class", "_sky")
TABLE = ClassTable("t", NAMES, ((0, 0, 0),) * 4, (0, 1, 2, 3), (255,), "")
SHAPE = (6, 8)


def item(number, action="class", class_=0, seconds=1.0, **more):
    entry = {"item": number, "action": action, "class": class_, "seconds": seconds}
    entry |= {"clicks": 0, "keys": 1, "shown": True, "accepted": False, "size": 1}
    return entry | more


def open_round(workdir, number, names, kind="points"):
    round_ = Round(workdir, number)
    guess = np.full(SHAPE, 255 if kind == "full" else 1, np.uint8)
    points = np.argwhere(guess == 1) if kind == "points" else np.zeros((0, 2), int)
    for name in names:
        round_.write_query(Query(name, guess, kind, points))
    round_.open(kind, names, TABLE)
    return round_


def give(round_, name, items=(), annotator="anna", when=None, **more):
    facts = {key: sum(i[key] for i in items) for key in ("seconds", "clicks", "keys")} | more
    label = np.full(SHAPE, 255, np.uint8)
    label[0, : len(items)] = 1
    round_.write_answer(Answer(name, label, annotator=annotator, items=tuple(items), **facts))
    if when is not None:
        os.utime(round_.folder / "answers" / f"{name}.json", (when, when))


def random_round(workdir, number, images, rng, kind="points", people=("anna", "bert")):
    names = [f"{kind}{i:03d}" for i in range(images)]
    round_ = open_round(workdir, number, names, kind)
    for i, name in enumerate(names):
        items = []
        for k in range(int(rng.integers(1, 6))):
            action = rng.choice(["class", "class", "unsure", "skip", "patch", None])
            class_ = int(rng.integers(0, 4)) if action == "class" else None
            shown = bool(rng.random() < 0.8)
            accepted = shown and action == "class" and bool(rng.random() < 0.6)
            more = {"shown": shown, "accepted": accepted, "clicks": int(rng.integers(0, 3))}
            items.append(item(k, action, class_, float(rng.lognormal()), **more))
        status = SKIPPED if rng.random() < 0.2 else ANSWERED
        give(round_, name, items, people[i % len(people)], 1000 + i, status=status)
    return round_


def test_totals_count_what_stands_in_the_files(tmp_path, rng):
    rounds = [random_round(tmp_path, n, 9, rng) for n in range(2)]
    facts = [r.answer_facts(n) for r in rounds for n in r.names()]
    items = [i for f in facts for i in f["items"]]
    got = summary(rounds)
    assert got["images_answered"] == sum(f["status"] == ANSWERED for f in facts)
    assert got["images_skipped"] == sum(f["status"] == SKIPPED for f in facts) > 0
    assert (got["annotators"], got["images_timed"], got["images_reviewed"]) == (2, 18, 0)
    assert got["items"] == len(items)
    assert got["unsure"] == sum(i["action"] == "unsure" for i in items)
    assert got["skipped"] == sum(i["action"] == "skip" for i in items)
    assert got["shown"] == sum(i["shown"] for i in items)
    assert got["accepted"] == sum(i["accepted"] for i in items)
    for key in ("seconds", "clicks", "keys"):
        assert got[key] == pytest.approx(sum(f[key] for f in facts))
    labelled = sum(f["labelled"] for f in facts if f["status"] == ANSWERED)
    assert got["labelled_pixels"] == labelled
    assert got["pixels_per_second"] == pytest.approx(labelled / got["seconds"])


def test_groups_add_up_to_the_whole(tmp_path, rng):
    for number, kind in enumerate(["points", "mask", "full"]):
        random_round(tmp_path, number, 8, rng, kind)
    images = read(tmp_path)
    total = figures.totals(images)
    for key, values in (
        ("kind", ["full", "mask", "points"]),
        ("annotator", ["anna", "bert"]),
        ("round", ["0", "1", "2"]),
    ):
        groups = figures.by(images, key)
        assert list(groups) == values
        for column in ("images_answered", "items", "seconds", "accepted", "keys"):
            assert sum(g[column] for g in groups.values()) == pytest.approx(total[column])
    seconds = [f["seconds"] for f in images if f["kind"] == "mask" and f["status"] == ANSWERED]
    mask = figures.by(images, "kind")["mask"]
    assert mask["seconds_per_image"] == pytest.approx(np.quantile(seconds, [0.25, 0.5, 0.75]))
    assert mask["hours_per_1000_images"] == pytest.approx(1000 * np.mean(seconds) / 3600)
    classes = figures.by_class(images)
    assert sum(row["items"] for row in classes.values()) == total["items"]
    assert set(classes) == {
        *NAMES,
        *("(unsure)", "(skipped)", "(several classes)", "(taken back)"),
    }
    assert sum(map(len, figures.by_suggestion(images).values())) == total["items"]


def test_an_accepted_answer_that_was_corrected(tmp_path):
    round_ = open_round(tmp_path, 0, ["a"])
    log = [
        item(0, seconds=1.0, accepted=True),
        item(1, seconds=2.0, accepted=True),
        item(0, seconds=4.0, class_=2, keys=3),  # the first one again: another class
        item(2, seconds=0.5, corrected=True),  # an annotator that keeps its own account
        item(1, seconds=0.25, accepted=True),  # again, and again as suggested
    ]
    give(round_, "a", log)
    (facts,) = read(tmp_path)
    by_item = {i["item"]: i for i in facts["items"]}
    assert [by_item[k]["corrected"] for k in (0, 1, 2)] == [True, False, True]
    assert [by_item[k]["seconds"] for k in (0, 1, 2)] == [5.0, 2.25, 0.5]
    assert (by_item[0]["class"], by_item[0]["keys"]) == (2, 4)
    got = summary([round_])
    assert (got["items"], got["accepted"], got["corrected"]) == (3, 1, 2)


def test_an_import_without_times_is_unknown_not_free(tmp_path):
    round_ = open_round(tmp_path, 0, ["a", "b", "c"])
    give(round_, "a", annotator="tool")
    got = summary([round_])
    assert got["images_answered"] == 1
    assert [got[k] for k in ("seconds", "clicks", "keys", "pixels_per_second")] == [None] * 4
    assert "nobody's time is known" in write_report(tmp_path, tmp_path / "out")
    give(round_, "b", [item(0, seconds=3.0), item(1, seconds=5.0)])
    got = summary([round_])
    assert (got["seconds"], got["images_timed"], got["pixels_per_second"]) == (8.0, 1, 0.25)
    assert figures.image_seconds(read(tmp_path)) == [8.0]
    # An answer by another program, with no more than the least.
    facts = {"name": "c", "status": "answered", "annotator": "script", "labelled": 0}
    (round_.folder / "answers" / "c.json").write_text(json.dumps(facts))
    assert summary([round_])["images_answered"] == 3


def test_a_tool_that_says_how_long_but_not_how(tmp_path):
    round_ = open_round(tmp_path, 0, ["a", "b"])
    give(round_, "a", [item(0, seconds=3.0), item(1, seconds=5.0)], clicks=4)
    give(round_, "b")
    facts = {"status": "answered", "annotator": "script", "seconds": 2, "items": None}
    (round_.folder / "answers" / "b.json").write_text(json.dumps(facts))
    got = summary([round_])
    assert (got["seconds"], got["images_timed"], got["clicks"], got["keys"]) == (10.0, 2, 4, 2)
    text = write_report(tmp_path, tmp_path / "out")
    assert "10 s, 4 clicks, 2 keys (images timed: 2)" in text
    (round_.folder / "answers" / "a.json").write_text(json.dumps(facts))
    assert "4 s (images timed: 2)" in write_report(tmp_path, tmp_path / "out")
    by = figures.by(read(tmp_path), "kind")["points"]
    assert (by["clicks"], by["clicks_per_image"]) == (None, None)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_is_nobody(tmp_path, program):
    round_ = open_round(tmp_path, 0, ["a"])
    oracle.answer(round_, lambda _: np.zeros(SHAPE, np.uint8), program)
    got = summary([round_])
    assert (got["annotators"], got["images_answered"], got["seconds"]) == (0, 0, None)
    assert "ground truth" in write_report(tmp_path, tmp_path / "out")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["effort.json", "effort.txt"]


def test_pace_follows_the_clock_not_the_names(tmp_path):
    round_ = open_round(tmp_path, 0, list("abcdefghij"))
    for when, name in enumerate("jihgfedcba"):
        give(round_, name, [item(k, seconds=10.0 - when) for k in range(3)], when=5000 + when)
    images = read(tmp_path)
    assert figures.pace(images) == {"anna": [10, 9, 8, 7, 6, 5, 4, 3, 2, 1]}
    gain = figures.gain(figures.pace(images)["anna"])
    assert gain == {"first_quarter": 9.5, "last_quarter": 1.5}
    assert figures.gain([1.0] * 7) is None
    other = open_round(tmp_path, 1, ["z"], "full")
    give(other, "z", [item(0, "patch", None, 60.0)])
    assert set(figures.pace(read(tmp_path))) == {"anna, points", "anna, full"}


def test_reviews_by_pair(tmp_path):
    round_ = open_round(tmp_path, 0, ["a", "b", "c"])
    fact = {"pixels": 10, "agree": 0.9, "kappa": 0.8}
    give(round_, "a", [item(0)], reviewer="bert", agreement=fact)
    give(round_, "b", [item(0)], "cleo", reviewer="bert", agreement=fact | {"agree": 0.5})
    give(round_, "c", [item(0)])
    got = figures.reviews(read(tmp_path))
    assert set(got) == {"anna / bert", "cleo / bert", "all"}
    assert got["all"] == {"images": 2, "pixels": 20, "agree": 0.7, "kappa": pytest.approx(0.8)}
    assert summary([round_])["images_reviewed"] == 2


def test_a_review_is_its_reviewers_work(tmp_path):
    round_ = open_round(tmp_path, 0, ["a", "b", "c"])
    review = {"seconds": 60.0, "clicks": 5, "keys": 0}
    give(round_, "a", [item(0, seconds=2.0)], reviewer="bert", review=review)
    give(round_, "b", [item(0, seconds=4.0)], "bert")
    give(round_, "c", [item(0, seconds=8.0)], reviewer="bert")  # as it was written before `review`
    images = read(tmp_path)
    total = figures.totals(images)
    assert (total["annotators"], total["images_reviewed"], total["seconds"]) == (2, 2, 74.0)
    rows = figures.by_annotator(images)
    assert {who: (row["images_answered"], row["seconds"]) for who, row in rows.items()} == {
        "anna": (2, 10.0),
        "bert": (1, 4.0),
        "bert (review)": (2, 60.0),
    }
    assert rows["anna"]["annotators"] == rows["bert (review)"]["annotators"] == 1
    assert rows["bert (review)"]["items"] == 0
    assert figures.pace(images)["anna"] == [2.0, 8.0]
    assert "bert (review)" in write_report(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("images", [1, 16])
def test_report_writes_figures_and_pictures(tmp_path, images, rng):
    random_round(tmp_path, 0, images, rng, people=("$x_{", "_hidden", "anna <b>"))
    text = write_report(tmp_path, tmp_path / "out")
    assert "points" in text
    assert "\nroad " in text or images == 1
    assert (tmp_path / "out/effort.txt").read_text() == text + "\n"
    content = json.loads((tmp_path / "out/effort.json").read_text())
    assert content["total"] == summary([Round(tmp_path, 0)])
    for name in ["images", "answers", "pace"][: 3 if images > 1 else 2]:
        with Image.open(io.BytesIO((tmp_path / "out" / f"{name}.png").read_bytes())) as picture:
            assert min(picture.size) > 100
            assert len(np.unique(np.asarray(picture.convert("L")))) > 10


def test_runs_beside_each_other_compare_kinds_of_query(tmp_path, rng):
    random_round(tmp_path / "ppl", 0, 4, rng)
    random_round(tmp_path / "spl", 0, 4, rng, "mask")
    write_report(tmp_path / "ppl", tmp_path / "out", beside=[tmp_path / "spl"])
    assert set(json.loads((tmp_path / "out/effort.json").read_text())["by_kind"]) == {
        "points",
        "mask",
    }


def test_many_people_and_zero_seconds_can_be_drawn(tmp_path):
    round_ = open_round(tmp_path, 0, [f"i{k:02d}" for k in range(24)])
    for k, name in enumerate(round_.names()):
        give(round_, name, [item(0, seconds=0.0), item(1, seconds=2.0)], f"p{k % 12}")
    assert set(pictures.draw(read(tmp_path))) == {"images", "answers", "pace"}


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match="workdir of a run"):
        write_report(tmp_path / "nothing", tmp_path / "out")


def test_ticks_are_round_and_apart(rng):
    for _ in range(200):
        lower = float(np.exp(rng.uniform(np.log(0.05), np.log(5000))))
        upper = lower * float(np.exp(rng.uniform(np.log(8), np.log(1e5))))
        got = pictures.ticks(lower, upper)
        assert got == sorted(got)
        assert 1 <= len(got) <= 13
        assert all(lower <= tick <= upper for tick in got)
        gaps = np.diff(np.log(got)) / np.log(upper / lower)
        assert (gaps > 1 / 12 - 1e-9).all()
    assert pictures.ticks(0.5, 30) == [0.5, 1, 2, 3, 5, 10, 20, 30]


def test_running_median_is_the_median_of_a_window(rng):
    for size in (1, 2, 9, 57):
        curve = rng.lognormal(size=size)
        reach = max(1, size // 10)
        slow = [
            np.median([curve[j] for j in range(size) if abs(i - j) <= reach]) for i in range(size)
        ]
        np.testing.assert_allclose(pictures.running_median(curve), slow)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations(seconds, said):
    assert duration(seconds) == said


def test_a_table_is_aligned():
    text = table([["a", 1.0, None], ["bcd", 12, "x"]], ["who", "n", "what"])
    assert text.splitlines() == [
        "who     n  what",
        "---  ----  ----",
        "a    1.00  -",
        "bcd    12  x",
    ]
