import contextlib
import io
import os
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
from page_rounds import HEADERS, Person, make_page, open_round, page, paint, say, served
from PIL import Image

from jax_labor.errors import UserError
from jax_labor.labels.page import checks, rounds
from jax_labor.labels.page.auth import Auth
from jax_labor.labels.page.cache import Cache
from jax_labor.labels.page.database import Database
from jax_labor.labels.page.log import Log
from jax_labor.labels.page.refusal import Refusal
from jax_labor.labels.page.serve import Connection, serve
from jax_labor.labels.store import FULL, MASK, POINTS, SKIPPED, Answer, Query

ROOT = Path(__file__).resolve().parents[1]


def all_at_once(*calls):
    """The results of calls that start together in threads."""
    gate = threading.Barrier(len(calls))

    def run(call):
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def pixels_of(round_, claim, item):
    """bool[H, W] of an item, from what a page is given."""
    asked = round_.read_query(claim["name"]).asked
    where = np.zeros(asked.shape, bool)
    if claim["kind"] == FULL:
        where[:] = True
    elif claim["kind"] == POINTS:
        where[claim["items"][item]["row"], claim["items"][item]["column"]] = True
    else:
        box = claim["items"][item - 1]
        inside = slice(box["top"], box["bottom"]), slice(box["left"], box["right"])
        where[inside] = asked[inside]  # the blocks are squares
    return where


def random_answer(round_, claim, rng):
    """(answer, its effect on a label map) for a random item."""
    item = int(rng.choice([i["item"] for i in claim["items"]]))
    where = pixels_of(round_, claim, item)
    action = str(rng.choice(["class", "unsure", "skip", "patch", "patch"]))
    if action != "patch":
        class_ = int(rng.integers(0, 11)) if action == "class" else None
        value = 255 if class_ is None else class_
        return say(item, class_, action=action), lambda label: np.where(where, value, label)
    top, left = rng.integers(0, where.shape[0]), rng.integers(0, where.shape[1])
    height = rng.integers(1, where.shape[0] - top + 1)
    width = rng.integers(1, where.shape[1] - left + 1)
    box = slice(top, top + height), slice(left, left + width)
    block = np.where(where[box], rng.choice([0, 3, 10, 255], (height, width)), 255)

    def effect(label):
        label = label.copy()
        label[box] = np.where(where[box], block, label[box])
        return label

    return paint(item, int(top), int(left), block), effect


@pytest.mark.parametrize("kind", [POINTS, MASK, FULL])
def test_a_label_map_is_the_fold_of_what_stands(tmp_path, rng, kind):
    round_ = open_round(tmp_path, ["a"], kind)
    with page(tmp_path, "ann") as (_, ann):
        claim = ann.claim()
        said, stands = [], {}
        for _ in range(40):
            if said and rng.random() < 0.4:
                answer, _ = said[rng.integers(len(said))]
                action = "undo" if rng.random() < 0.6 else "redo"
                stands[answer["id"]] = action == "redo"
                back = say(answer["item"], None, action=action, target=answer["id"])
                assert ann.answer(claim, back).status_code == 200
            else:
                said.append(random_answer(round_, claim, rng))
                stands[said[-1][0]["id"]] = True
                assert ann.answer(claim, said[-1][0]).status_code == 200
        again = ann.claim()
        assert again["claim"] == claim["claim"]
        assert [a["id"] for a in again["answers"]] == [answer["id"] for answer, _ in said]
        assert [not a["undone"] for a in again["answers"]] == list(stands.values())
        left = {i["item"] for i in claim["items"]} - {
            a["item"] for a in again["answers"] if not a["undone"]
        }
        if left:
            reply = ann.finish(claim)
            assert (reply.status_code, reply.json()["reason"]) == (409, "incomplete")
            for item in left:
                said.append((say(item, None, action="unsure"), lambda label: label))
                stands[said[-1][0]["id"]] = True
                where = pixels_of(round_, claim, item)
                said[-1] = said[-1][0], lambda label, where=where: np.where(where, 255, label)
                ann.answer(claim, said[-1][0])
        assert ann.finish(claim).json() == {"done": 1, "total": 1}
    expected = np.full(round_.read_query("a").guess.shape, 255)
    for answer, effect in said:
        expected = effect(expected) if stands[answer["id"]] else expected
    np.testing.assert_array_equal(round_.read_answer("a"), expected)


def test_effort_counts_what_was_undone_too(tmp_path):
    round_ = open_round(tmp_path, ["a"], MASK)
    with page(tmp_path, "ann") as (_, ann):
        claim = ann.claim()
        wrong = say(1, 2, ms=1500, clicks=2, keys=0, accepted=True)
        undo = say(1, None, action="undo", target=wrong["id"], ms=100, clicks=0, keys=1)
        right = say(1, 4, ms=2000, clicks=1, keys=1, shown=False)
        rest = [say(item, None, action="skip", ms=10, clicks=0, keys=1) for item in (2, 3, 4)]
        reply = ann.answer(claim, wrong, undo, right, *rest)
        assert reply.json()["answered"] == reply.json()["total"] == 4
        overview = ann.get("round").json()
        assert (overview["items_by_me"], overview["seconds_by_me"]) == (4, 3.63)
        ann.finish(claim)
    facts = round_.answer_facts("a")
    assert facts["items"][0] == {
        "item": 1,
        "action": "class",
        "class": 4,
        "seconds": 3.6,
        "clicks": 3,
        "keys": 2,
        "shown": False,
        "accepted": False,
        "size": 25,
        "corrected": True,
    }
    assert (facts["seconds"], facts["clicks"], facts["keys"]) == (pytest.approx(3.63), 3, 5)
    assert (facts["annotator"], facts["labelled"]) == ("ann", 25)


def test_who_takes_back_anothers_answer_loses_none_of_their_own(tmp_path):
    open_round(tmp_path, ["a"])
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        claim = ann.claim()
        said = [say(item) for item in range(4)]
        ann.answer(claim, *said)
        ann.post("release", claim=claim["claim"])
        claim = bob.claim()
        undo = [say(0, None, action="undo", target=said[0]["id"]) for _ in range(2)]
        bob.answer(claim, *undo, say(0, 5))
        assert (pace(ann), pace(bob)) == ((3, 2.0), (1, 1.5))
        bob.answer(claim, say(0, None, action="redo", target=said[0]["id"]))
        assert (pace(ann), pace(bob)) == ((4, 2.0), (1, 2.0))


def test_a_log_is_read_a_few_times_and_not_once_an_item():
    class Counted(list):
        times = 0

        def __iter__(self):
            Counted.times += 1
            return super().__iter__()

    entries = Counted(checks.entries({"answers": [say(item, accepted=True) for item in range(50)]}))
    items = Log(50, entries, [False] * 50).items(SimpleNamespace(size=lambda item: 1))
    assert [item["item"] for item in items] == list(range(50))
    assert Counted.times < 5


def test_people_who_ask_at_once_get_different_images(tmp_path):
    open_round(tmp_path, [f"n{i}" for i in range(8)])
    names = [f"p{i}" for i in range(10)]
    with page(tmp_path, *names) as (_, *people):
        claims = all_at_once(*(p.claim for p in people))
        got = [claim["name"] for claim in claims if claim]
        assert sorted(got) == [f"n{i}" for i in range(8)]  # and two people have nothing to do


def test_one_of_two_who_want_the_same_image_gets_it(tmp_path):
    open_round(tmp_path)
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        replies = all_at_once(*(lambda p=p: p.post("claim", name="b") for p in (ann, bob)))
        assert sorted(reply.status_code for reply in replies) == [200, 409]


def test_many_people_lose_and_double_nothing(tmp_path):
    names = [f"n{i:02d}" for i in range(12)]
    round_ = open_round(tmp_path, names)
    people = [f"p{i}" for i in range(5)]
    given = {}

    def work(one):
        while claim := one.claim():
            for item in claim["items"]:
                class_ = (item["row"] + len(one.name) + int(one.name[1:])) % 11
                assert one.answer(claim, say(item["item"], class_)).status_code == 200
                given[claim["name"], item["row"], item["column"]] = class_
            assert one.finish(claim).status_code == 200

    with page(tmp_path, *people) as (app, *all_people):
        all_at_once(*(lambda one=one: work(one) for one in all_people))
        assert app.database.row("SELECT COUNT(*) AS n FROM answers")["n"] == 12 * 4
        assert ann_images(all_people[0])["done"] == 12
    assert round_.unanswered() == []
    for name in names:
        label = round_.read_answer(name)
        assert (label != 255).sum() == 4
        for row, column in np.argwhere(label != 255).tolist():
            assert given[name, row, column] == label[row, column]


def ann_images(one):
    return one.get("round").json()["images"]


def pace(one):
    about = one.get("round").json()
    return about["items_by_me"], about["seconds_by_me"]


def test_an_expired_claim_stays_until_somebody_takes_it(tmp_path):
    round_ = open_round(tmp_path, ["a"])
    with page(tmp_path, "ann", "bob", claim_seconds=0.05) as (app, ann, bob):
        mine = ann.claim()
        assert ann.answer(mine, say(0, 1)).status_code == 200
        time.sleep(0.1)
        assert ann_images(ann)["free"] == 1
        assert ann.answer(mine, say(1, 2)).status_code == 200  # renewed without a word
        time.sleep(0.1)
        taken = bob.claim()
        assert taken["name"] == "a"
        assert taken["claim"] != mine["claim"]
        assert [a["class"] for a in taken["answers"]] == [1, 2]  # nobody's work is lost
        before = app.database.rows("SELECT * FROM answers")
        for reply in (
            ann.answer(mine, say(2, 5)),
            ann.finish(mine),
            ann.post("heartbeat", claim=mine["claim"]),
        ):
            assert (reply.status_code, reply.json()["reason"]) == (409, "claim_lost")
        assert ann.post("release", claim=mine["claim"]).status_code == 204
        assert app.database.rows("SELECT * FROM answers") == before
        assert bob.answer(taken, say(2, 3), say(3, 4)).json()["answered"] == 4
        assert bob.finish(taken).status_code == 200
    points = round_.read_query("a").points
    assert round_.read_answer("a")[tuple(points.T)].tolist() == [1, 2, 3, 4]
    assert round_.answer_facts("a")["annotator"] == "bob"


def test_a_sign_of_life_keeps_an_image(tmp_path):
    open_round(tmp_path, ["a"])
    with page(tmp_path, "ann", "bob", claim_seconds=0.4) as (_, ann, bob):
        claim = ann.claim()
        for _ in range(4):
            time.sleep(0.15)
            assert ann.post("heartbeat", claim=claim["claim"]).json() == {"expires_in": 0.4}
            assert bob.claim() is None


def test_the_same_answer_sent_at_once_is_stored_once(tmp_path):
    open_round(tmp_path, ["a"])
    with page(tmp_path, *["ann"] * 6) as (app, *tabs):
        claim = tabs[0].claim()
        assert all(tab.claim()["claim"] == claim["claim"] for tab in tabs)
        answers = [say(0, 1), say(1, 2)]
        replies = all_at_once(*(lambda t=t: t.answer(claim, *answers) for t in tabs))
        assert {reply.status_code for reply in replies} == {200}
        assert all(r.json()["saved"] == [a["id"] for a in answers] for r in replies)
        assert app.database.row("SELECT COUNT(*) AS n FROM answers")["n"] == 2
        assert tabs[0].get("round").json()["items_by_me"] == 2


def test_a_request_is_stored_whole_or_not_at_all(tmp_path):
    open_round(tmp_path, ["a"])
    with page(tmp_path, "ann") as (app, ann):
        claim = ann.claim()
        bad = say(1, None, action="undo", target=say(0)["id"])
        assert ann.answer(claim, say(0, 1), bad).status_code == 422
        assert app.database.rows("SELECT * FROM answers") == []
        assert app.database.rows("SELECT * FROM paces") == []


def test_lost_replies_may_be_asked_for_again(tmp_path):
    round_ = open_round(tmp_path, ["a", "b"])
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        claim = ann.claim()
        answers = [say(item) for item in range(4)]
        first = ann.answer(claim, *answers).json()
        assert ann.finish(claim).json() == ann.finish(claim).json() == {"done": 1, "total": 2}
        written = round_.answer_facts("a")
        assert ann.answer(claim, *answers).json()["saved"] == first["saved"]
        reply = ann.answer(claim, answers[0], say(0, 5))
        assert (reply.status_code, reply.json()["reason"]) == (409, "finished")
        assert "You have finished this image already" in reply.json()["error"]
        reply = ann.post("heartbeat", claim=claim["claim"])
        assert "You have finished this image already" in reply.json()["error"]
        assert bob.finish(claim).status_code == 409
        assert round_.answer_facts("a") == written


def test_what_is_acknowledged_before_a_finish_is_in_the_file(tmp_path):
    round_ = open_round(tmp_path, ["a", "b", "c"])
    with page(tmp_path, "ann", "ann", "ann") as (_, ann, tab, other):
        for _ in range(3):
            claim = ann.claim()
            ann.answer(claim, *(say(item, 0) for item in range(4)))
            kept = []

            def change(claim=claim, kept=kept):
                for class_ in range(1, 11):
                    if tab.answer(claim, say(2, class_)).status_code == 200:
                        kept.append(class_)

            _, *replies = all_at_once(
                change, lambda c=claim: ann.finish(c), lambda c=claim: other.finish(c)
            )
            assert {r.status_code for r in replies} == {200}
            row, column = (claim["items"][2][key] for key in ("row", "column"))
            assert round_.read_answer(claim["name"])[row, column] == (kept or [0])[-1]


class Died(BaseException):
    """The server's process is gone at this point."""


@pytest.mark.parametrize("moment", ["before", "png", "json"])
def test_a_server_that_dies_while_it_finishes_loses_nothing(tmp_path, monkeypatch, moment):
    round_ = open_round(tmp_path, ["a", "b"])
    app = make_page(tmp_path)
    claim = app.desk.claim("ann", None, False)
    entries = checks.entries({"answers": [say(item, 6) for item in range(4)]})
    app.desk.answers("ann", claim["claim"], entries)

    def die(*_):
        raise Died

    target = {
        "before": "jax_labor.labels.store.write_png",
        "png": "jax_labor.labels.store.write_json",
        "json": "jax_labor.labels.page.finish._let_go",
    }[moment]
    with monkeypatch.context() as patch:
        patch.setattr(target, die)
        with pytest.raises(Died):
            app.desk.finish("ann", claim["claim"], "answered")
    assert round_.unanswered() == (["b"] if moment == "json" else ["a", "b"])
    app.database.close()

    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        assert bob.claim()["name"] == "b"  # ann's image is hers, done or not
        if moment == "json":  # the file is the truth: done
            assert ann.claim() is None
        assert ann.finish(claim).json() == {"done": 1, "total": 2}
        assert ann.claim() is None
    assert (round_.read_answer("a") == 6).sum() == 4


@contextlib.contextmanager
def started(workdir, *flags, **settings):
    """A server in a process of its own; yields (process, address, token)."""
    line = [sys.executable, "launch/annotate.py", "serve", f"--workdir={workdir}", "--port=0"]
    process = subprocess.Popen(
        [*line, *flags],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **settings,
    )
    try:
        process.stdout.readline()
        address, _, token = process.stdout.readline().strip().partition("/#token=")
        yield process, address, token
    finally:
        process.kill()
        process.communicate()


def test_a_killed_server_remembers_what_it_acknowledged(tmp_path):
    round_ = open_round(tmp_path, ["a"])
    with httpx.Client() as client:
        with started(tmp_path) as (process, address, token):
            client.base_url = address
            ann = Person(client, token, "ann")
            claim = ann.claim()
            saved = ann.answer(claim, say(0, 1), say(1, 2)).json()["saved"]
            process.send_signal(signal.SIGKILL)
            process.wait()
        with started(tmp_path) as (process, address, again):
            assert again == token
            client.base_url = address
            reopened = ann.claim()  # still logged in
            assert reopened["claim"] == claim["claim"]
            assert [a["id"] for a in reopened["answers"]] == saved
            assert ann.answer(claim, say(2, 3), say(3, 4)).json()["answered"] == 4
            assert ann.finish(claim).status_code == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == -signal.SIGTERM
            assert "stopped" in process.stderr.read()
    assert sorted(np.unique(round_.read_answer("a"))) == [1, 2, 3, 4, 255]


def test_ctrl_c_is_a_clean_end(tmp_path):
    with started(tmp_path) as (process, address, _):
        assert httpx.get(address + "/api/round").status_code == 401
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert "Traceback" not in process.stderr.read()


def limit_file_size(process, size):
    hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)[1]
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, hard))


def test_a_full_disk_is_told_and_nothing_is_half_stored(tmp_path):
    round_ = open_round(tmp_path, ["a"])
    with (
        started(tmp_path) as (process, address, token),
        httpx.Client(base_url=address) as client,
    ):
        ann = Person(client, token, "ann")
        claim = ann.claim()
        answers = [say(item, 5) for item in range(4)]
        limit_file_size(process, 20_000)  # the database's log cannot grow any more
        reply = ann.answer(claim, *answers)
        assert (reply.status_code, reply.json()["reason"]) == (507, "disk_full")
        limit_file_size(process, 10**9)
        assert ann.answer(claim, *answers).json()["answered"] == 4
        limit_file_size(process, 10)
        assert ann.finish(claim).status_code == 507
        assert not list((round_.folder / "answers").glob("*"))
        limit_file_size(process, 10**9)
        assert ann.finish(claim).json() == {"done": 1, "total": 1}
    with contextlib.closing(sqlite3.connect(tmp_path / "annotate.sqlite")) as database:
        assert database.execute("SELECT COUNT(*) FROM answers").fetchone() == (4,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_nothing_changes_in_a_closed_round(tmp_path):
    round_ = open_round(tmp_path)
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        ann.do(ann.claim())
        mine = ann.claim(name="a")  # opened again
        other = bob.claim()
        bob.answer(other, *(say(item) for item in range(4)))
        before = round_.answer_facts("a")
        round_.close()
        for reply in (
            ann.answer(mine, say(0, 7)),
            ann.finish(mine),
            bob.answer(other, say(0, 7)),
            bob.finish(other),
            bob.post("claim", name="c"),
        ):
            assert (reply.status_code, reply.json()["reason"]) == (409, "round_closed")
        assert bob.claim() is None
        assert ann.get("round").json()["closed"] is True
    assert round_.answer_facts("a") == before
    assert round_.unanswered() == ["b", "c"]


def test_the_page_waits_for_a_round_and_takes_up_the_next(tmp_path):
    with page(tmp_path / "run", "ann", database=tmp_path / "db") as (_, ann):
        overview = ann.get("round").json()
        assert (overview["round"], overview["images"]["total"]) == (None, 0)
        assert ann.claim() is None
        assert ann.post("claim", name="a").status_code == 404
        round_ = open_round(tmp_path / "run", ["a"])
        assert ann.get("round").json()["round"] == 0
        claim = ann.claim()
        ann.do(claim)
        round_.close()
        open_round(tmp_path / "run", ["a", "b"], MASK, number=1)
        time.sleep(1.1)  # the folder is looked at once a second
        overview = ann.get("round").json()
        assert (overview["round"], overview["kind"], overview["closed"]) == (1, MASK, False)
        assert overview["images"]["total"] == 2
        assert overview["items_by_me"] == 0
        again = ann.claim()
        assert (again["round"], again["name"], again["answers"]) == (1, "a", [])
        assert ann.answer(claim, say(0)).status_code == 409


def test_one_image_a_person(tmp_path):
    open_round(tmp_path)
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        first = ann.claim()
        second = ann.claim(name="c")
        assert ann_images(ann)["free"] == 2
        assert ann.answer(first, say(0)).status_code == 409
        assert bob.claim()["name"] == "a"
        ann.do(second)
        third = ann.claim()
        assert (third["name"], third["previous"]) == ("b", "c")
        assert ann_images(ann)["free"] == 0
        assert ann.post("release", claim=third["claim"]).status_code == 204
        assert ann_images(ann)["free"] == 1


def test_an_image_is_free_while_others_review(tmp_path):
    open_round(tmp_path)
    with page(tmp_path, "ann", "bob", "cid") as (_, ann, bob, cid):
        ann.do(ann.claim())
        bob.do(bob.claim())
        held = cid.claim()
        assert bob.claim(review=True)["name"] == "a"
        assert ann_images(ann)["free"] == 0
        cid.post("release", claim=held["claim"])
        assert ann_images(ann)["free"] == 1
        assert ann.claim()["name"] == "c"


def test_done_is_done(tmp_path):
    open_round(tmp_path, ["a", "b"])
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        ann.do(ann.claim())
        assert bob.post("claim", name="a").json()["reason"] == "done"
        skipped = bob.claim()
        assert bob.finish(skipped, SKIPPED).json() == {"done": 2, "total": 2}
        assert ann_images(bob) == {
            "total": 2,
            "done": 2,
            "skipped": 1,
            "free": 0,
            "mine": 1,
            "to_review": 1,
        }
        assert bob.claim() is None
        again = ann.claim(name="a")  # one's own may be changed
        assert ann.claim()["name"] == "a"
        assert len(again["answers"]) == 4
        ann.answer(again, say(1, 9))
        ann.finish(again)
        assert ann.claim() is None


def decoded(content):
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def test_a_review_starts_from_the_first_answer_and_replaces_it(tmp_path):
    round_ = open_round(tmp_path, ["a", "b"], MASK)
    with page(tmp_path, "ann", "bob", "cid") as (_, ann, bob, cid):
        ann.do(ann.claim(), 3)
        first = round_.read_answer("a")
        assert ann.claim(review=True) is None  # not one's own
        review = bob.claim(review=True)
        assert (review["name"], review["answers"]) == ("a", [])
        assert review["review"]["annotator"] == "ann"
        np.testing.assert_array_equal(
            decoded(bob.client.get(review["review"]["label"]).content), first
        )
        assert ann.post("claim", name="a").json()["reason"] == "claimed"
        bob.answer(review, say(2, 8), say(3, 3))
        assert bob.finish(review).status_code == 200
        label = round_.read_answer("a")
        np.testing.assert_array_equal(label != first, label == 8)
        facts = round_.answer_facts("a")
        assert (facts["annotator"], facts["reviewer"]) == ("ann", "bob")
        assert facts["agreement"]["agree"] == pytest.approx(1 - 16 / 54)
        assert facts["seconds"] == 4 * 0.5
        assert facts["review"] == {"seconds": 2 * 0.5, "clicks": 2, "keys": 2}
        assert [i["class"] for i in facts["items"]] == [3, 8, 3, 3]
        assert [i["seconds"] for i in facts["items"]] == [0.5] * 4
        assert not any(i["corrected"] for i in facts["items"])
        # The reviewer may go over it again, against the same first answer; nobody else may.
        assert ann.post("claim", name="a").json()["reason"] == "reviewed"
        assert cid.post("claim", name="a", review=True).json()["reason"] == "reviewed"
        again = bob.claim(name="a", review=True)
        np.testing.assert_array_equal(
            decoded(bob.client.get(again["review"]["label"]).content), first
        )
        bob.answer(again, say(2, 3))
        bob.finish(again)
        np.testing.assert_array_equal(round_.read_answer("a"), first)
        assert round_.answer_facts("a")["agreement"]["agree"] == 1


def by_another_tool(round_, name, label, palette=False):
    """An answer as a tool writes it that knows the PNG only."""
    path = round_.folder / "answers" / f"{name}.png"
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(np.asarray(label, np.uint8))
    if palette:
        image.putpalette([(7 * i + 50) % 256 for i in range(768)])
    image.save(path)
    (path.parent / f"{name}.json").write_text('{"seconds": null, "items": null}')


def test_a_palette_answer_of_another_tool_is_reviewed_by_its_ids(tmp_path):
    round_ = open_round(tmp_path, ["a"], MASK)
    by_another_tool(round_, "a", np.full((12, 16), 2), palette=True)
    with page(tmp_path, "bob") as (_, bob):
        review = bob.claim(review=True)
        shown = decoded(bob.client.get(review["review"]["label"]).content)
        np.testing.assert_array_equal(shown, np.where(round_.read_query("a").asked, 2, 255))
        bob.answer(review, say(1, 5))
        assert bob.finish(review).status_code == 200
    assert round_.answer_facts("a")["agreement"]["agree"] == pytest.approx(1 - 25 / 54)


def test_an_answer_that_does_not_fit_its_query_is_not_reviewed(tmp_path):
    names = ["id", "png", "right", "size"]
    round_ = open_round(tmp_path, names, MASK)
    for name, label in (
        ("id", np.full((12, 16), 77)),
        ("png", np.zeros((12, 16))),
        ("right", np.zeros((12, 16))),
        ("size", np.zeros((5, 5))),
    ):
        by_another_tool(round_, name, label)
    (round_.folder / "answers" / "png.png").unlink()
    with page(tmp_path, "bob") as (_, bob):
        assert ann_images(bob)["to_review"] == 4
        reply = bob.post("claim", name="size", review=True)
        assert (reply.status_code, reply.json()["reason"]) == (409, "unreadable")
        assert "size.png is 5x5 pixels, its query 12x16" in reply.json()["error"]
        reply = bob.get("rounds/0/images/id/label")
        assert (reply.status_code, reply.json()["reason"]) == (409, "unreadable")
        review = bob.claim(review=True)
        assert review["name"] == "right"  # and "png" was left out on the way
        assert ann_images(bob)["to_review"] == 1
        by_another_tool(round_, "id", np.zeros((12, 16)))
        time.sleep(1.1)
        assert ann_images(bob)["to_review"] == 2


def test_a_first_answer_that_goes_bad_refuses_the_end_of_its_review(tmp_path):
    round_ = open_round(tmp_path, ["a"], MASK)
    by_another_tool(round_, "a", np.zeros((12, 16)))
    with page(tmp_path, "bob") as (_, bob):
        review = bob.claim(review=True)
        by_another_tool(round_, "a", np.full((12, 16), 77))
        (round_.folder / "answers" / "a.json").write_text("{}")
        bob.answer(review, say(1, 5))
        reply = bob.finish(review)
        assert (reply.status_code, reply.json()["reason"]) == (409, "unreadable")


def test_an_image_that_a_page_cannot_show_is_left_out(tmp_path):
    round_ = open_round(tmp_path, ["a", "b"])
    photo = round_.image_path("a")
    whole = photo.read_bytes()
    photo.write_bytes(whole[:100])
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        claim = ann.claim()
        assert claim["name"] == "a"
        assert bob.post("broken", claim=claim["claim"]).status_code == 204  # not bob's to say
        assert ann.claim()["name"] == "a"
        for _ in range(2):
            assert ann.post("broken", claim=claim["claim"]).status_code == 204
        assert ann.claim()["name"] == "b"
        (broken,) = ann.get("round").json()["broken"]
        assert (broken["name"], broken["done"]) == ("a", False)
        assert "a.jpg is no readable picture" in broken["sentence"]
        assert bob.post("claim", name="a").json()["error"] == broken["sentence"]
        photo.write_bytes(whole)
        time.sleep(1.1)
        claim = bob.claim()
        assert claim["name"] == "a"
        bob.post("broken", claim=claim["claim"])  # although nothing is wrong with its files
        assert bob.claim() is None


def test_a_suggestion_taken_and_then_given_up_is_corrected(tmp_path):
    round_ = open_round(tmp_path, ["a"])
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        claim = ann.claim()
        ann.answer(claim, *(say(item, 3, accepted=item < 2) for item in range(4)))
        ann.answer(claim, say(0, 5))
        ann.finish(claim)
        facts = round_.answer_facts("a")
        assert [i["corrected"] for i in facts["items"]] == [True, False, False, False]
        review = bob.claim(review=True)
        bob.answer(review, say(1, 7), say(2, 7))
        bob.finish(review)
        facts = round_.answer_facts("a")
        assert [i["corrected"] for i in facts["items"]] == [True, True, False, False]


def test_a_server_that_dies_in_a_review_keeps_the_first_answer(tmp_path, monkeypatch):
    round_ = open_round(tmp_path, ["a"], MASK)
    with page(tmp_path, "ann", "bob") as (app, ann, bob):
        ann.do(ann.claim(), 3)
        first = round_.read_answer("a")
        review = bob.claim(review=True)
        bob.answer(review, say(2, 8))

        def die(*_):
            raise Died

        with monkeypatch.context() as patch:
            patch.setattr("jax_labor.labels.store.write_json", die)
            with pytest.raises(Died):
                app.desk.finish("bob", review["claim"], "answered")
        assert (round_.read_answer("a") == 8).any()  # the PNG was written, its JSON was not
    with page(tmp_path, "bob") as (_, bob):
        again = bob.claim(review=True)
        assert (again["claim"], len(again["answers"])) == (review["claim"], 1)
        shown = decoded(bob.client.get(again["review"]["label"]).content)
        np.testing.assert_array_equal(shown, first)
        bob.finish(again)
    assert round_.answer_facts("a")["agreement"]["agree"] == pytest.approx(1 - 16 / 54)


def test_a_blind_review_knows_nothing_of_the_first_answer(tmp_path):
    round_ = open_round(tmp_path, ["a", "b"], MASK)
    with page(tmp_path, "ann", "bob", "cid", blind_review=True) as (_, ann, bob, cid):
        ann.do(ann.claim(), 3)
        passed = cid.claim(review=True)
        before = round_.answer_facts("a")
        assert cid.finish(passed, SKIPPED).status_code == 200
        assert round_.answer_facts("a") == before
        assert cid.claim(review=True) is None  # offered to others only
        review = bob.claim(review=True)
        assert review["review"] == {"annotator": "ann", "label": None}
        path = f"/api/rounds/0/images/{review['name']}/label"
        assert bob.client.get(path).status_code == 403
        assert ann.client.get(path).status_code == 200
        assert bob.finish(review).json()["reason"] == "incomplete"
        bob.answer(review, say(1, 3), say(2, 4), say(3, None, action="unsure"), say(4, 3))
        assert bob.finish(review).status_code == 200
    facts = round_.answer_facts("a")
    assert facts["agreement"]["pixels"] == 25 + 16 + 4
    assert facts["agreement"]["agree"] == pytest.approx(29 / 45)


def test_an_answer_from_elsewhere_is_not_written_over(tmp_path):
    round_ = open_round(tmp_path, ["a"])
    with page(tmp_path, "ann") as (_, ann):
        claim = ann.claim()
        ann.answer(claim, *(say(item) for item in range(4)))
        label = np.zeros(round_.read_query("a").guess.shape, np.uint8)
        round_.write_answer(Answer("a", label, annotator="import"))
        reply = ann.finish(claim)
        assert (reply.status_code, reply.json()["reason"]) == (409, "done")
        assert round_.answer_facts("a")["annotator"] == "import"
        time.sleep(1.1)
        assert ann.claim() is None
        assert ann_images(ann)["done"] == 1


def test_an_answer_that_changes_elsewhere_is_read_again(tmp_path):
    round_ = open_round(tmp_path, ["a", "b"])
    with page(tmp_path, "ann", "bob") as (_, ann, bob):
        ann.do(ann.claim())
        ann.finish(ann.claim(), SKIPPED)
        assert (ann_images(bob)["skipped"], ann_images(bob)["to_review"]) == (1, 1)
        label = np.zeros(round_.read_query("b").guess.shape, np.uint8)
        round_.write_answer(Answer("b", label, annotator="ann"))
        (round_.folder / "answers" / "a.json").write_text("{")
        time.sleep(1.1)
        images = ann_images(bob)
        assert (images["done"], images["skipped"], images["to_review"]) == (1, 0, 1)
        assert bob.claim(review=True)["name"] == "b"
        assert [one["name"] for one in bob.get("round").json()["broken"]] == ["a"]


def test_of_answers_in_a_bucket_a_few_are_looked_at_in_turn(tmp_path, monkeypatch):
    names = [f"n{i}" for i in range(10)]
    round_ = open_round(tmp_path, names)
    for name in names:
        round_.write_answer(Answer(name, np.zeros((12, 16), np.uint8), annotator="ann"))
    monkeypatch.setattr(rounds, "is_remote", lambda _: True)
    monkeypatch.setattr(rounds, "_REFRESH_SECONDS", {True: 0})
    monkeypatch.setattr(rounds, "_LOOKS", 4)
    board = rounds.Board(round_)
    board.refresh()
    looked = []
    look = board._answer_stamp
    monkeypatch.setattr(board, "_answer_stamp", lambda name: (looked.append(name), look(name))[1])
    for _ in range(3):
        board.refresh()
    assert sorted(looked) == names


def test_a_finish_after_a_restart_counts_what_was_done_before(tmp_path):
    open_round(tmp_path)
    with page(tmp_path, "ann") as (_, ann):
        ann.do(ann.claim())
        claim = ann.claim()
        ann.answer(claim, *(say(item["item"]) for item in claim["items"]))
    with page(tmp_path, "ann") as (_, ann):
        assert ann.finish(claim).json() == {"done": 2, "total": 3}


def test_old_answers_do_not_fit_new_questions(tmp_path):
    round_ = open_round(tmp_path, ["a"])
    with page(tmp_path, "ann") as (_, ann):
        claim = ann.claim()
        ann.answer(claim, *(say(item) for item in range(4)))
        guess = np.full((12, 16), 255, np.uint8)
        guess[2:4, 2:4] = 1
        time.sleep(1.1)  # a file's time has seconds
        round_.write_query(Query("a", guess, POINTS, np.argwhere(guess != 255)))
        for reply in (ann.answer(claim, say(0)), ann.finish(claim)):
            assert (reply.status_code, reply.json()["reason"]) == (409, "query_changed")
        fresh = ann.claim()
        assert fresh["claim"] != claim["claim"]
        assert fresh["answers"] == []
        ann.do(fresh)
    assert (round_.read_answer("a") == 3).sum() == 4


def test_paint_does_not_fit_a_new_sample_of_the_same_name(tmp_path):
    for seed in range(2):
        open_round(tmp_path, ["a"], FULL, seed=seed)
        with page(tmp_path, "ann") as (_, ann):
            claim = ann.claim()
            assert claim["answers"] == []
            ann.answer(claim, paint(0, 2, 2, np.full((3, 3), 5)))
            assert len(ann.claim()["answers"]) == 1
        shutil.rmtree(tmp_path / "rounds")  # to be written anew, of another generator


def test_an_unreadable_query_stops_nobody(tmp_path):
    round_ = open_round(tmp_path)
    (round_.folder / "queries" / "a.png").write_bytes(b"no picture")
    round_.image_path("b").unlink()
    with page(tmp_path, "ann") as (_, ann):
        assert ann.claim()["name"] == "c"
        reply = ann.post("claim", name="a")
        assert (reply.status_code, reply.json()["reason"]) == (409, "unreadable")
        assert "a.png" in reply.json()["error"]


@pytest.mark.parametrize("content", ['{"status": "done"}', '{"status": "answ'])
def test_a_malformed_answer_file_stops_nobody(tmp_path, caplog, content):
    round_ = open_round(tmp_path)
    path = round_.folder / "answers" / "b.json"
    path.parent.mkdir()
    with page(tmp_path, "ann") as (_, ann):
        claim = ann.claim()
        path.write_text(content)
        time.sleep(1.1)
        with caplog.at_level("ERROR", "jax_labor"):
            ann.do(claim)
            assert ann.claim()["name"] == "c"  # neither done nor handed out
            time.sleep(1.1)
            assert ann_images(ann)["done"] == 1
        (line,) = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
        assert "b.json" in line
        reply = ann.post("claim", name="b")
        assert (reply.status_code, reply.json()["reason"]) == (409, "unreadable")
        assert "b.json" in reply.json()["error"]
        path.unlink()
        time.sleep(1.1)
        assert ann.claim(name="b")["name"] == "b"


def test_the_next_image_is_made_ready_ahead(tmp_path, monkeypatch):
    open_round(tmp_path, kind=MASK)
    made = []
    load = rounds.load_task
    monkeypatch.setattr(
        rounds, "load_task", lambda r, name, *a: (made.append(name), load(r, name, *a))[1]
    )
    with page(tmp_path, "ann") as (_, ann):
        claim = ann.claim()
        deadline = time.monotonic() + 5
        while set(made) < {"a", "b", "c"} and time.monotonic() < deadline:
            time.sleep(0.01)
        assert sorted(made) == ["a", "b", "c"]
        ann.do(claim)
        ann.claim()
        assert sorted(made) == ["a", "b", "c"]


def test_pictures_are_what_the_claim_says(tmp_path):
    round_ = open_round(tmp_path, ["a"], MASK)
    with page(tmp_path, "ann") as (_, ann):
        claim = ann.claim()
        photo = ann.client.get(claim["image"])
        assert photo.content == round_.image_path("a").read_bytes()
        assert photo.headers["content-type"] == "image/jpeg"
        guess = decoded(ann.client.get(claim["guess"]).content)
        np.testing.assert_array_equal(guess, round_.read_query("a").guess)
        reply = ann.client.get(claim["segments"])
        ids = decoded(reply.content).astype(int) @ (65536, 256, 1)
        for item in claim["items"]:
            np.testing.assert_array_equal(
                ids == item["item"], pixels_of(round_, claim, item["item"])
            )
        tag = {"If-None-Match": reply.headers["etag"]}
        unchanged = ann.client.get(claim["segments"], headers=tag)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert ann.client.get("/api/rounds/0/images/a/label").status_code == 404
        ann.do(claim)
        label = ann.client.get("/api/rounds/0/images/a/label")
        assert label.headers["cache-control"] == "no-store"
        np.testing.assert_array_equal(decoded(label.content), round_.read_answer("a"))


def test_a_restarted_server_knows_its_pages_but_not_after_a_new_password(tmp_path):
    open_round(tmp_path)
    with httpx.Client() as client:
        for secret, status in ((None, 200), (None, 200), ("another password", 401)):
            with served(make_page(tmp_path, secret=secret)) as address:
                client.base_url = address
                if not client.cookies:
                    token = make_page(tmp_path).token
                    ann = Person(client, token, "ann")
                assert ann.get("round").status_code == status


def test_logging_out_ends_the_session(tmp_path):
    open_round(tmp_path)
    with page(tmp_path, "ann") as (_, ann):
        cookies = dict(ann.client.cookies)
        assert ann.post("logout").status_code == 204
        assert ann.get("round").status_code == 401
        reply = httpx.get(ann.client.base_url.join("/api/round"), cookies=cookies)
        assert reply.status_code == 401


def test_a_taken_port_is_one_clear_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"cannot listen on 127.0.0.1:{port}.*--port"):
            serve(tmp_path, port=port)


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nHost: 127"])
def test_a_connection_that_does_not_get_its_head_out_is_closed(tmp_path, monkeypatch, said):
    monkeypatch.setattr("jax_labor.labels.page.serve._IDLE_SECONDS", 0.2)
    with (
        served(make_page(tmp_path), http=Connection) as address,
        socket.create_connection(("127.0.0.1", httpx.URL(address).port), timeout=10) as idle,
        contextlib.closing(HTTPConnection("127.0.0.1", httpx.URL(address).port)) as talking,
    ):
        idle.sendall(said)
        for _ in range(2):
            talking.request("GET", "/")
            assert talking.getresponse().read()
            assert idle.recv(1) == b""
        talking.sock.sendall(b"GET / HT")  # as its third request
        talking.sock.settimeout(10)
        assert talking.sock.recv(1) == b""


@pytest.mark.parametrize("reads", [False, True])
def test_who_takes_no_reply_is_let_go_and_who_is_slow_is_not(tmp_path, monkeypatch, reads):
    monkeypatch.setattr("jax_labor.labels.page.serve._IDLE_SECONDS", 0.5)
    monkeypatch.setattr("jax_labor.labels.page.app._HEADERS", {"X-Long": "x" * 2**24})
    made, limits = Connection.connection_made, []

    def noted(self, transport):
        made(self, transport)
        limits.append(transport.get_write_buffer_limits())

    monkeypatch.setattr(Connection, "connection_made", noted)
    with (
        served(make_page(tmp_path), http=Connection) as address,
        socket.create_connection(("127.0.0.1", httpx.URL(address).port), timeout=10) as client,
    ):
        client.sendall(b"GET /api/round HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        time.sleep(0 if reads else 1.5)
        size = 0
        while got := client.recv(2**18):
            size += len(got)
            time.sleep(0.02)
        assert (size > 2**24) == reads
    assert limits == [(0, 1)]  # of a reply that is nearly taken, too


def test_a_slow_body_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr("jax_labor.labels.page.serve._IDLE_SECONDS", 0.1)
    app = make_page(tmp_path)
    with served(app, http=Connection) as address, httpx.Client(base_url=address) as client:

        def slowly():
            for part in ('{"annotator": "ann", ', f'"token": "{app.token}"', "}"):
                time.sleep(0.15)
                yield part.encode()

        headers = HEADERS | {"Content-Type": "application/json"}
        assert client.post("/api/login", content=slowly(), headers=headers).status_code == 204


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workdir": "gs://bucket/run"}, "--database=PATH"),
        ({"database": "gs://bucket/db"}, "local disk"),
        ({"database": "."}, "labelling database"),
        ({"certificate": "cert.pem"}, "both --certificate and --key"),
        ({"certificate": "cert.pem", "key": "key.pem"}, "not a PEM certificate"),
        ({"password_file": "absent"}, "cannot be read"),
        ({"password_file": "short"}, "8 characters"),
        ({"claim_seconds": 0}, "positive"),
        ({"workdir": "typo"}, "--workdir=typo: no such folder"),
        ({"port": 99999}, "--port=99999: give a port from 1 to 65535, or 0"),
        ({"port": -1}, "--port=-1: "),
        ({"host": "no.such.host.invalid"}, "--host"),
    ],
)
def test_mistakes_in_settings_are_named(tmp_path, monkeypatch, settings, message):
    monkeypatch.chdir(tmp_path)
    for name in ("cert.pem", "key.pem", "short"):
        (tmp_path / name).write_text("secret\n")
    with pytest.raises(UserError, match=message):
        serve(**({"workdir": tmp_path} | settings))
    assert not (tmp_path / "typo").exists()


def test_a_database_of_something_else_is_refused(tmp_path):
    (tmp_path / "annotate.sqlite").write_text("hello " * 100)
    with pytest.raises(UserError, match="annotate.sqlite.*--database"):
        serve(tmp_path)


def test_a_password_file_instead_of_a_token(tmp_path):
    open_round(tmp_path)
    secret = tmp_path / "password"
    secret.write_text("eight or more\n")
    secret.chmod(0o600)
    with started(tmp_path, f"--password_file={secret}") as (_, address, token):
        assert token == ""
        with httpx.Client(base_url=address) as client:
            assert (
                client.post(
                    "/api/login", json={"token": "guess", "annotator": "x"}, headers=HEADERS
                ).status_code
                == 403
            )
            assert Person(client, "eight or more", "ann").claim()["name"] == "a"


def test_tls_makes_the_cookie_secure(tmp_path):
    open_round(tmp_path)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        + ["-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext"]
        + ["subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True,
        capture_output=True,
    )
    with started(tmp_path, f"--certificate={cert}", f"--key={key}") as (_, address, token):
        assert address.startswith("https://")
        context = ssl.create_default_context(cafile=cert)
        with httpx.Client(base_url=address, verify=context) as client:
            ann = Person(client, token, "ann")
            assert [cookie.secure for cookie in client.cookies.jar] == [True]
            assert ann.claim()["name"] == "a"


def test_the_cache_holds_its_bound_and_makes_a_value_once():
    cache, made = Cache(100), []

    def make(key, size):
        return cache.get(key, lambda: (made.append(key), time.sleep(0.01), size)[2], lambda v: v)

    assert all_at_once(*(lambda: make("a", 60) for _ in range(5))) == [60] * 5
    assert made == ["a"]
    make("b", 30)
    make("a", 60)
    make("c", 30)  # b was used longest ago
    assert ("a" in cache, "b" in cache, "c" in cache) == (True, False, True)
    make("huge", 1000)
    assert cache.nbytes <= 100

    def fail():
        raise OSError("broken")

    for _ in range(2):
        with pytest.raises(OSError, match="broken"):
            cache.get("bad", fail, len)
    assert cache.get("bad", lambda: "x", len) == "x"


def test_a_session_ends(tmp_path, monkeypatch):
    with_database = Database(tmp_path / "page.sqlite")
    auth = Auth(with_database, "secret", secure=False)
    value, attributes = auth.login("here", "secret", "ann")
    request = SimpleNamespace(cookies={attributes["key"]: value})
    assert auth.annotator(request) == "ann"
    later = time.time() + attributes["max_age"] + 1
    monkeypatch.setattr("jax_labor.labels.page.auth.time.time", lambda: later)
    with pytest.raises(Refusal) as refused:
        auth.annotator(request)
    assert refused.value.status == 401


@pytest.mark.parametrize(
    "words, message",
    [
        (["serve", "--workdir=~/none"], "--workdir=/home/ann/none: no such folder"),
        (["--workdr=x", "serve"], "'workdr'. Did you mean: workdir ?"),
        (["serve", "--workdir=x", "more"], "name one command: serve | report"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(words, message):
    line = [sys.executable, "launch/annotate.py", *words]
    environment = {**os.environ, "HOME": "/home/ann"}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr
