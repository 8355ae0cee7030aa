import json
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_data
from ml_collections import ConfigDict
from PIL import Image

from configs import spl
from jax_labor.classes import get_table
from jax_labor.errors import UserError
from jax_labor.experiments.kept_rounds import check_kept, check_opened
from jax_labor.experiments.labor import AnswersByIndex, _answered_round, _check_names
from jax_labor.experiments.phases import labor_phases
from jax_labor.labels import oracle
from jax_labor.labels.budget import check_budget, round_budget, share_of
from jax_labor.labels.ledger import Ledger
from jax_labor.labels.store import LONGEST_NAME, SKIPPED, Answer, Query, Round


def make_query(name, asked, rng, kind="mask"):
    guess = np.where(asked, rng.integers(0, 5, asked.shape), 255).astype(np.uint8)
    return Query(
        name, guess, kind, np.argwhere(asked) if kind == "points" else np.zeros((0, 2), int)
    )


def open_round(workdir, number, asked, rng):
    round_ = Round(workdir, number)
    for name, mask in asked.items():
        round_.write_query(make_query(name, mask, rng))
    round_.open("spl", asked, get_table("camvid11"))
    return round_


def test_a_query_comes_back_equal(tmp_path, rng):
    round_ = Round(tmp_path, 3)
    query = make_query("a.b-1", rng.random((6, 9)) < 0.2, rng, "points")
    round_.write_query(query)
    back = round_.read_query("a.b-1")
    np.testing.assert_array_equal(back.guess, query.guess)
    np.testing.assert_array_equal(back.points, query.points)
    assert back.kind == "points"
    assert not round_.is_open


def test_the_longest_name(tmp_path, rng):
    name = "ä" * (LONGEST_NAME // 2)
    _check_names([name])
    Round(tmp_path, 0).write_query(make_query(name, np.ones((2, 2), bool), rng))
    with pytest.raises(UserError, match="ä has 251 bytes.*take 250: shorten it"):
        _check_names(["a", "a" + name])


def test_the_oracle_answers_only_what_was_asked(tmp_path, rng):
    asked = {"a": rng.random((5, 7)) < 0.5, "b": np.zeros((4, 4), bool)}
    truth = {name: rng.integers(0, 5, mask.shape).astype(np.uint8) for name, mask in asked.items()}
    truth["a"][asked["a"]] = np.where(
        rng.random(asked["a"].sum()) < 0.5, 255, truth["a"][asked["a"]]
    )
    round_ = open_round(tmp_path, 0, asked, rng)
    assert round_.unanswered() == ["a", "b"]
    oracle.answer(round_, truth.get)
    assert round_.unanswered() == []
    for name, mask in asked.items():
        np.testing.assert_array_equal(round_.read_answer(name), np.where(mask, truth[name], 255))
    ledger = Ledger(tmp_path, 1)
    # Void pixels were asked: they count although they teach nothing.
    answered = (round_.read_answer("a") != 255).sum()
    assert ledger.asked("a") == asked["a"].sum() > answered == ledger.answered("a") > 0
    assert ledger.total == sum(m.sum() for m in asked.values())


def test_answers_by_index_are_the_ledgers(tmp_path, rng):
    asked = {"a": rng.random((5, 7)) < 0.5, "b": np.zeros((4, 4), bool)}
    round_ = open_round(tmp_path, 0, asked, rng)
    oracle.answer(round_, lambda name: rng.integers(0, 5, asked[name].shape).astype(np.uint8))
    ledger = Ledger(tmp_path, 1)
    answers = AnswersByIndex(ledger, ["b", "a", "c"])
    for index, name in [(0, "b"), (1, "a"), (1, "a")]:
        np.testing.assert_array_equal(answers(index), ledger.label(name), strict=True)
    assert answers(2) is None


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_round_without_a_question_is_warned_of(tmp_path, rng, caplog, share):
    """A mask may be empty where the classifiers agree; training then goes on without labels."""
    round_ = open_round(tmp_path, 0, {"a": np.arange(20).reshape(4, 5) < 20 * share}, rng)
    oracle.answer(round_, lambda _: np.zeros((4, 5), np.uint8))
    session = SimpleNamespace(workdir=tmp_path, config=ConfigDict({"annotator": "oracle"}))
    _answered_round(session, SimpleNamespace(round=0))
    assert ("round 0 asked about no pixel" in caplog.text) == (share == 0)


def test_the_ledger_joins_rounds_and_ignores_later_ones(tmp_path, rng):
    shape = (8, 6)
    everything = rng.permutation(48).reshape(shape)
    masks = [everything < 10, (everything >= 10) & (everything < 25), everything >= 40]
    truth = rng.integers(0, 5, shape).astype(np.uint8)
    for number, mask in enumerate(masks):
        oracle.answer(open_round(tmp_path, number, {"a": mask}, rng), lambda _: truth)
    ledger = Ledger(tmp_path, 2)
    np.testing.assert_array_equal(ledger.label("a"), np.where(masks[0] | masks[1], truth, 255))
    np.testing.assert_array_equal(ledger.asked_mask("a", shape), masks[0] | masks[1])
    assert ledger.by_round == (10, 15)
    report = ledger.report(images=2, pixels=100)
    assert report["asked_pixels_per_image"] == 12.5
    assert report["asked_share"] == 0.25
    assert ledger.label("never asked") is None


def test_a_skipped_query_labels_nothing_but_was_asked(tmp_path, rng):
    round_ = open_round(tmp_path, 0, {"a": np.ones((3, 3), bool)}, rng)
    round_.write_answer(Answer("a", np.zeros((3, 3), np.uint8), SKIPPED, "someone"))
    assert (Ledger(tmp_path, 1).label("a") == 255).all()
    assert Ledger(tmp_path, 1).total == 9
    facts = json.loads((tmp_path / "rounds/000/answers/a.json").read_text())
    assert facts["annotator"] == "someone"


def test_an_answer_of_another_size_is_refused(tmp_path, rng):
    round_ = open_round(tmp_path, 0, {"a": np.ones((3, 3), bool)}, rng)
    with pytest.raises(UserError, match="answer at the query's size"):
        round_.write_answer(Answer("a", np.zeros((3, 4), np.uint8)))
    assert round_.unanswered() == ["a"]


@pytest.mark.parametrize("damage", ["queries/a.png", "queries/a.json"])
def test_a_damaged_file_is_named(tmp_path, damage, rng):
    round_ = open_round(tmp_path, 0, {"a": np.ones((30, 30), bool)}, rng)
    path = round_.folder / damage
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(UserError, match=damage.replace(".", r"\.") + ".* remove .*round.json"):
        round_.read_query("a")
    round_.close()  # removing anything would lose what has been answered
    with pytest.raises(UserError, match=damage.replace(".", r"\.") + ".*restore the file"):
        round_.read_query("a")


@pytest.mark.parametrize("damage", ["answers/a.b.png", "answers/a.b.json"])
def test_of_a_damaged_answer_its_own_image_is_asked_again(tmp_path, damage, rng):
    round_ = open_round(tmp_path, 0, {"a.b": np.ones((30, 30), bool)}, rng)
    oracle.answer(round_, lambda _: np.zeros((30, 30), np.uint8))
    (round_.folder / damage).write_bytes(b"?")
    with pytest.raises(UserError, match=rf"remove .*{round_.folder}/answers/a.b.json, and"):
        round_.read_answer("a.b")
    (round_.folder / "answers/a.b.json").unlink()
    assert round_.unanswered() == ["a.b"]


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_any_tool_that_writes_ids_is_an_annotator(tmp_path, rng, mode):
    round_ = open_round(tmp_path, 0, {"a": np.ones((9, 7), bool)}, rng)
    label = rng.integers(0, 5, (9, 7)).astype(np.uint8)
    oracle.answer(round_, lambda _: label)
    path = round_.folder / "answers/a.png"
    if mode == "P":
        tiny_data.save_palette(path, label)
    else:
        Image.fromarray(label.astype({"L": "u1", "I;16": "u2"}[mode])).save(path)
    found = round_.read_answer("a")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, label)


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (Image.new("RGB", (7, 9)), "pixels of type RGB"),
        (Image.new("LA", (7, 9)), "pixels of type LA"),
        (Image.new("I;16", (7, 9), 256), "ids from 256 to 256"),
    ],
)
def test_colours_are_no_answer(tmp_path, rng, picture, words):
    round_ = open_round(tmp_path, 0, {"a": np.ones((9, 7), bool)}, rng)
    oracle.answer(round_, lambda _: np.zeros((9, 7), np.uint8))
    picture.save(round_.folder / "answers/a.png")
    with pytest.raises(UserError, match=rf"answers/a\.png .*{words}.*class ids"):
        round_.read_answer("a")


def test_what_another_tool_wrote_beside_the_question_does_not_count(tmp_path, rng):
    asked = rng.random((6, 7)) < 0.3
    round_ = open_round(tmp_path, 0, {"a": asked}, rng)
    oracle.answer(round_, lambda _: np.zeros((6, 7), np.uint8))
    Image.fromarray(np.full((6, 7), 4, np.uint8)).save(round_.folder / "answers/a.png")
    np.testing.assert_array_equal(Ledger(tmp_path, 1).label("a"), np.where(asked, 4, 255))
    round_.check_answers()


@pytest.mark.parametrize(
    ("label", "words"),
    [
        (np.full((6, 7), 11, np.uint8), "has the id 11, but the classes are 0 to 10 .sky, "),
        (np.zeros((7, 6), np.uint8), "is 7x6 pixels, its query 6x7"),
    ],
)
def test_answers_that_fit_no_question_are_refused(tmp_path, rng, label, words):
    asked = {"a": np.ones((6, 7), bool), "b": np.ones((6, 7), bool)}
    round_ = open_round(tmp_path, 0, asked, rng)
    oracle.answer(round_, lambda _: np.zeros((6, 7), np.uint8))
    Image.fromarray(label).save(round_.folder / "answers/b.png")
    with pytest.raises(UserError, match=rf"answers/b\.png {words}"):
        round_.check_answers()


def test_a_few_bits_of_grey_are_no_ids(tmp_path, rng):
    """Pillow would read the ids 0 and 1 of a file of four bits as 0 and 17."""
    round_ = open_round(tmp_path, 0, {"a": np.ones((1, 2), bool)}, rng)
    oracle.answer(round_, lambda _: np.zeros((1, 2), np.uint8))
    Image.fromarray(np.uint8([[0, 17]])).save(round_.folder / "answers/a.png", bits=4)
    with pytest.raises(UserError, match="4 bits of grey"):
        round_.read_answer("a")


def test_an_empty_fact_file_says_that_an_image_is_answered(tmp_path, rng):
    round_ = open_round(tmp_path, 0, {"a": np.ones((4, 5), bool)}, rng)
    oracle.answer(round_, lambda _: np.eye(4, 5, dtype=np.uint8) * 254 + 1)
    (round_.folder / "answers/a.json").write_text("{}")
    assert (round_.read_answer("a") == 1).sum() == 16
    effort = Ledger(tmp_path, 1).report(images=1, pixels=20)["effort"]
    assert (effort["images_answered"], effort["labelled_pixels"]) == (1, 16)
    assert (effort["images_timed"], effort["annotators"]) == (0, 1)


def test_an_answer_file_full_of_null_is_counted_under_its_own_name(tmp_path, rng):
    round_ = open_round(tmp_path, 0, {"a": np.ones((4, 5), bool)}, rng)
    oracle.answer(round_, lambda _: np.ones((4, 5), np.uint8))
    keys = ("seconds", "clicks", "keys", "labelled", "items", "reviewer", "review", "agreement")
    said = {"name": "a.png"} | dict.fromkeys(keys)
    (round_.folder / "answers/a.json").write_text(json.dumps(said))
    assert round_.answer_facts("a")["name"] == "a"
    assert Ledger(tmp_path, 1).report(images=1, pixels=20)["effort"]["labelled_pixels"] == 20


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"status": "done"}', "status 'done'"),
        ("[]", "a list, no object"),
        ('{"seconds": "41.5"}', "seconds '41.5': write a number"),
        ('{"seconds": -1}', "seconds '-1'"),
        ('{"keys": true}', "keys 'True'"),
        ('{"annotator": null}', "annotator 'None': write a name"),
        ('{"items": [{"item": 0, "class": 1}]}', "items .*: write a list of {item, action"),
        ('{"items": 3}', "items '3'"),
        ('{"labelled": "many"}', "labelled 'many': write a number"),
        ('{"reviewer": 3}', "reviewer '3': write a name, or null"),
        ('{"review": {"seconds": -1}}', "review .*: write {seconds, clicks, keys}, or null"),
        ('{"agreement": {}}', "agreement '{}': write {pixels, agree, kappa}, or null"),
        ('{"agreement": {"pixels": 3, "agree": null, "kappa": null}}', "agreement "),
        ('{"agreement": {"pixels": null, "agree": 1, "kappa": null}}', "agreement "),
        ('{"agreement": {"pixels": 3, "agree": 1, "kappa": "1"}}', "agreement "),
        (
            '{"items": [{"item": 0, "action": "class", "class": 77, "seconds": 1, "clicks": 0,'
            ' "keys": 0, "shown": false, "accepted": false}]}',
            "items of class 77; the classes are 0 to",
        ),
    ],
)
def test_fact_files_that_cannot_be(tmp_path, rng, content, words):
    round_ = open_round(tmp_path, 0, {"a": np.ones((4, 5), bool)}, rng)
    (round_.folder / "answers").mkdir()
    (round_.folder / "answers/a.json").write_text(content)
    with pytest.raises(UserError, match=rf"answers/a\.json .*{words}"):
        round_.answer_facts("a")


def test_budgets_add_up_and_roll_over(rng):
    for _ in range(50):
        pixels, rounds = int(rng.integers(1, 5000)), int(rng.integers(1, 7))
        share, points = (0.0, int(rng.integers(1, 99))) if rng.random() < 0.5 else (rng.random(), 0)
        total, asked = points or int(share * pixels), 0
        for number in range(rounds):
            budget = round_budget(pixels, share, points, number, rounds, asked)
            assert 0 <= budget <= total - asked
            asked += int(rng.integers(0, budget + 1)) if number < rounds - 1 else budget
        assert asked == total


def test_a_budget_is_spread_evenly_over_the_rounds():
    spent = [
        round_budget(100, 0, 10, number, 4, asked) for number, asked in enumerate((0, 2, 5, 7))
    ]
    assert spent == [2, 3, 2, 3]
    assert round_budget(100, 0, 10, 2, 4, 1) == 6  # with what two rounds left


@pytest.mark.parametrize(("pixels", "share"), [(172800, 0.35), (172800, 0.175), (1000, 0.001)])
def test_a_share_is_the_decimal_number_as_it_is_written(pixels, share):
    assert share_of(pixels, share) == int(Decimal(str(share)) * pixels)
    assert round_budget(pixels, share, 0, 0, 1, 0) == round(share * pixels)


@pytest.mark.parametrize(
    ("share", "points"), [(0, 0), (0.1, 3), (-0.1, 0), (1.01, 0), (0, -1), (float("nan"), 0)]
)
def test_bad_budgets_name_the_setting(share, points):
    with pytest.raises(UserError, match="config.rounds"):
        check_budget(share, points)


@pytest.mark.parametrize(("share", "points"), [(1.0, 0), (0.022, 0), (0, 40)])
def test_good_budgets_pass(share, points):
    check_budget(share, points)


@pytest.fixture
def kept(tmp_path, rng):
    """A workdir with a closed and an open round, and the settings that they were made with."""
    rounds = spl.get_config("demo").rounds
    rounds.count, rounds.share = 3, 0.6
    asked = {name: np.arange(40).reshape(5, 8) < 8 for name in "ab"}
    closed = open_round(tmp_path, 0, asked, rng)
    oracle.answer(closed, lambda _: np.zeros((5, 8), np.uint8))
    closed.close()
    open_round(tmp_path, 1, asked, rng)
    return tmp_path, rounds


def test_rounds_of_the_same_settings_are_kept(kept):
    workdir, rounds = kept
    check_kept(workdir, rounds, get_table("camvid11"))
    rounds.share, rounds.points = 0.0, 30  # as many pixels; only ppl's queries are of points
    check_kept(workdir, rounds, get_table("camvid11"))


@pytest.mark.parametrize(
    ("changes", "table", "message"),
    [
        ({"strategy": "random"}, "camvid11", "000: .* by 'spl', .*strategy is 'random': go back"),
        ({}, "cityscapes19", "round.json has the classes sky, .*classes has road.*: put back"),
        (
            {"share": 0.5},
            "camvid11",
            r"000/queries/[ab].json: 8 pixels .*config.rounds.share is 0.5",
        ),
        ({"share": 0.0, "points": 3}, "camvid11", r"pixels were asked \(mask\).* points is 3"),
    ],
)
def test_rounds_of_other_settings_are_refused(changes, table, message, kept):
    workdir, rounds = kept
    rounds.update(changes)
    with pytest.raises(UserError, match=message):
        check_kept(workdir, rounds, get_table(table))


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("000/round.json", "{"),
        ("000/queries/a.json", "{"),
        ("000/queries/a.png", None),
        ("000/answers/b.json", ""),
        ("000/answers/b.png", None),
        ("001/queries/b.json", None),
    ],
)
def test_a_damaged_round_is_named_at_the_start(path, content, kept):
    workdir, rounds = kept
    damaged = workdir / "rounds" / path
    damaged.unlink() if content is None else damaged.write_text(content)
    with pytest.raises(UserError, match=f"{damaged} is missing"):
        check_kept(workdir, rounds, get_table("camvid11"))


def test_a_round_that_is_gone_is_named(kept):
    workdir, _ = kept
    phases = labor_phases(spl.get_config("demo"))
    opens = [phase.start for phase in phases if phase.round is not None]
    check_opened(workdir, phases, opens[2])
    with pytest.raises(UserError, match="rounds/002 is gone, but training is past its opening"):
        check_opened(workdir, phases, opens[2] + 1)
