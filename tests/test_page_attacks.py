"""What bad input and attacks are met with: the right status, a line in the log, nothing changed."""

import contextlib
import hashlib
import http.client
import json
import logging
import threading
import time
import uuid
from types import SimpleNamespace
from urllib.parse import quote, urlsplit

import httpx
import pytest
from page_rounds import HEADERS, Person, open_round, page, paint, say

from jax_labor.classes import ClassTable
from jax_labor.labels.page import auth
from jax_labor.labels.page.auth import Failures
from jax_labor.labels.page.refusal import Refusal
from jax_labor.labels.store import MASK

STATE = ("answers", "claims", "finishes", "paces", "firsts")


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A page with one person who holds image "a" of a round of masks."""
    workdir = tmp_path_factory.mktemp("attacked")
    round_ = open_round(workdir, kind=MASK)
    secret = workdir / "secret.png"
    secret.write_text("not to be served")
    with page(workdir, "ann") as (app, ann):
        claim = ann.claim()
        assert ann.answer(claim, say(1, 2)).status_code == 200
        yield SimpleNamespace(app=app, ann=ann, claim=claim, round=round_, workdir=workdir)


def state(desk):
    """Everything that an attack must not change."""
    rows = {t: [tuple(r) for r in desk.app.database.rows(f"SELECT * FROM {t}")] for t in STATE}
    rows["claims"] = [row[:-1] for row in rows["claims"]]  # but for the time left
    files = {p: hashlib.sha256(p.read_bytes()).digest() for p in desk.workdir.rglob("*.*g")}
    files |= {p: p.read_text() for p in desk.workdir.rglob("*.json")}
    return rows, files


@pytest.fixture
def unchanged(desk, caplog):
    """After the test nothing has changed and the refusal stands in the log, on one line."""
    before = state(desk)
    with caplog.at_level(logging.WARNING, "jax_labor"):
        yield
    assert state(desk) == before
    lines = [record.getMessage() for record in caplog.get_records("call")]
    assert lines
    assert all(line.startswith("refused ") and "\n" not in line for line in lines)


def refused(reply, status, reason):
    assert (reply.status_code, reply.json()["reason"]) == (status, reason), reply.text
    assert reply.json()["error"]


def raw(desk, method, path, headers=(), body=None):
    """(status, headers, body) of a request exactly as written, with ann's cookie."""
    connection = http.client.HTTPConnection(urlsplit(desk.app.address).netloc, timeout=10)
    cookie = "; ".join(f"{k}={v}" for k, v in desk.ann.client.cookies.items())
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Cookie": cookie, **dict(headers)})
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()


POSTS = ("claim", "answers", "finish", "release", "broken", "heartbeat", "logout")
GETS = ("round", *(f"rounds/0/images/a/{what}" for what in ("photo", "guess", "segments", "label")))


@pytest.mark.parametrize("cookie", [None, "", "wrong", "x" * 5000, "ünï"])
def test_nothing_without_a_login(desk, unchanged, cookie):
    name = next(iter(desk.ann.client.cookies))
    headers = {"Cookie": f"{name}={cookie}".encode()} if cookie is not None else {}
    with httpx.Client(base_url=desk.app.address, headers=headers) as client:
        for path in GETS:
            refused(client.get(f"/api/{path}"), 401, "login")
        for path in POSTS:
            body = {"claim": desk.claim["claim"]}
            refused(client.post(f"/api/{path}", json=body, headers=HEADERS), 401, "login")


@pytest.mark.parametrize("token", ["", "wrong", "x" * 1024, "ünï"])
def test_a_wrong_token(desk, unchanged, token):
    with httpx.Client(base_url=desk.app.address) as client:
        body = {"token": token, "annotator": "mallory"}
        reply = client.post("/api/login", json=body, headers=HEADERS)
        refused(reply, 403, "wrong_token")
        assert "set-cookie" not in reply.headers


def test_guessing_is_slowed_down(tmp_path, caplog):
    open_round(tmp_path)
    with (
        page(tmp_path, secret="a password") as (app,),
        httpx.Client(base_url=app.address) as client,
    ):
        for expected in [403] * 10 + [429] * 2:
            body = {"token": "guess", "annotator": "mallory"}
            reply = client.post("/api/login", json=body, headers=HEADERS)
            assert reply.status_code == expected
        assert 0 < int(reply.headers["retry-after"]) <= 61
        body = {"token": app.token, "annotator": "ann"}  # the right one does not tell it is right
        assert client.post("/api/login", json=body, headers=HEADERS).status_code == 429


def test_who_guesses_a_token_shuts_nobody_out(tmp_path):
    open_round(tmp_path)
    with page(tmp_path) as (app,), httpx.Client(base_url=app.address) as client:
        for _ in range(12):
            body = {"token": "guess", "annotator": "mallory"}
            reply = client.post("/api/login", json=body, headers=HEADERS)
            refused(reply, 403, "wrong_token")
        Person(client, app.token, "ann")


def test_wrong_tries_are_forgotten_and_kept_within_bounds(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(auth.time, "monotonic", lambda: now[0])
    failures = Failures()
    for _ in range(10):
        failures.add("here")
    with pytest.raises(Refusal):
        failures.check("here")
    failures.check("there")
    for i in range(3000):
        failures.add(f"address {i}")
    assert len(failures._times) <= 1024
    with pytest.raises(Refusal):
        failures.check("there")  # too many, from wherever
    now[0] += 61
    failures.check("here")


@pytest.mark.parametrize(
    "annotator",
    [
        "",
        "  ",
        "x" * 65,
        "segmenter",
        "line\nbreak",
        "bell\x07",
        "\ud800",
        "\u202eevil",
        5,
        None,
        [],
    ],
)
def test_a_name_that_is_no_name(desk, unchanged, annotator):
    body = json.dumps({"token": desk.app.token, "annotator": annotator})
    with httpx.Client(base_url=desk.app.address) as client:
        headers = HEADERS | {"Content-Type": "application/json"}
        refused(client.post("/api/login", content=body, headers=headers), 422, "invalid")


FORGED_NAMES = [
    "../../secret",
    "..%2f..%2fsecret",
    "%2e%2e/%2e%2e/secret",
    "..%252f..%252fsecret",
    "..%5c..%5csecret",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "a%00",
    "a.png",
    "A",
    "a/../a",
    "%ff%fe",
    "nosuch",
    "x" * 3000,
]


@pytest.mark.parametrize("name", FORGED_NAMES, ids=range(len(FORGED_NAMES)))
def test_a_forged_image_name(desk, unchanged, name):
    for what in ("photo", "guess", "label"):
        status, headers, body = raw(desk, "GET", f"/api/rounds/0/images/{name}/{what}")
        assert status == 404
        assert json.loads(body)["reason"] == "no_image"
        assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    "name", ["../../secret", "..\\a", "a\0", "/etc/passwd", "", "A", "\U0001f600"]
)
def test_a_forged_image_name_in_a_claim(desk, unchanged, name):
    refused(desk.ann.post("claim", name=name), 404, "no_image")


@pytest.mark.parametrize(
    "number", ["1", "999999", "-1", "0x0", "00/../0", "1e3", "9" * 50, "%D9%A3", "0%00", "..", " "]
)
def test_a_forged_round(desk, unchanged, number):
    status, _, body = raw(desk, "GET", f"/api/rounds/{quote(number, safe='%/')}/images/a/photo")
    assert status == 404
    assert json.loads(body)["reason"] in ("no_round", "no_page")


@pytest.mark.parametrize(
    "path",
    ["/static/../app.py", "/static/%2e%2e/app.py", "/static/..%2fapp.py", "/static//etc/passwd"]
    + ["/static/", "/api", "/api/rounds/0/images/a/answers", "/docs", "/.git/config"],
)
def test_no_other_file_is_served(desk, unchanged, path):
    status, _, body = raw(desk, "GET", path)
    assert status == 404
    assert b"import" not in body


WRONG_ANSWERS = {
    "item below": (say(0), "unknown_item"),
    "item above": (say(5), "unknown_item"),
    "class outside the table": (say(1, 11), "unknown_class"),
    "class of ignored pixels": (say(1, 255), "invalid"),
    "class missing": (say(1, None), "invalid"),
    "pixel not asked": (paint(1, 0, 0, [[3]]), "not_asked"),
    "pixel of another item": (paint(1, 1, 9, [[3]]), "not_asked"),
    "painted over the edge of the item": (paint(1, 1, 1, [[3] * 6]), "not_asked"),
    "class outside the table in a patch": (paint(1, 1, 1, [[3, 11]]), "unknown_class"),
    "patch below the image": (paint(1, 12, 0, [[255]]), "invalid"),
    "patch beside the image": (paint(1, 0, 15, [[255, 255]]), "invalid"),
    "undo of nothing": (
        say(1, None, action="undo", target="12345678-1234-5678-1234-567812345678"),
        "unknown_target",
    ),
}


@pytest.mark.parametrize("case", WRONG_ANSWERS)
def test_an_answer_to_what_was_not_asked(desk, unchanged, case):
    answer, reason = WRONG_ANSWERS[case]
    refused(desk.ann.answer(desk.claim, say(2, 1), answer), 422, reason)


def patch(**changes):
    block = {"top": 1, "left": 1, "height": 1, "width": 2, "runs": [3, 2]} | changes
    return say(1, None, action="patch", patch=block)


MALFORMED = {
    "no id": say(1, id=None),
    "id no uuid": say(1, id="1; DROP TABLE answers"),
    "id a number": say(1, id=7),
    "item text": say("1"),
    "item true": say(True),
    "item half": say(1.5),
    "item negative": say(-1),
    "item huge": say(10**30),
    "class text": say(1, "3"),
    "class a list": say(1, [3]),
    "class true": say(1, True),
    "class negative": say(1, -1),
    "class huge": say(1, 2**64),
    "action unknown": say(1, action="delete"),
    "action a list": say(1, action=["class"]),
    "ms negative": say(1, ms=-1),
    "ms huge": say(1, ms=2**63),
    "ms text": say(1, ms="5"),
    "shown a number": say(1, shown=1),
    "undo without target": say(1, None, action="undo"),
    "patch missing": say(1, None, action="patch"),
    "patch a list": say(1, None, action="patch", patch=[]),
    "patch of no size": patch(height=0),
    "patch huge": patch(height=2**30, width=2**30, runs=[3, 2**60]),
    "patch sums wrong": patch(runs=[3, 3]),
    "runs odd": patch(runs=[3]),
    "runs empty": patch(runs=[]),
    "runs text": patch(runs="33"),
    "runs of text": patch(runs=["3", 2]),
    "runs true": patch(runs=[True, 2]),
    "runs half": patch(runs=[3, 2.0]),
    "count zero": patch(runs=[3, 2, 4, 0]),
    "count negative": patch(runs=[3, 3, 4, -1]),
    "value negative": patch(runs=[-1, 2]),
    "value above a byte": patch(runs=[256, 2]),
    "top negative": patch(top=-1),
    "a list": [1],
    "nothing": None,
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_answer(desk, unchanged, case):
    refused(desk.ann.answer(desk.claim, MALFORMED[case]), 422, "invalid")


@pytest.mark.parametrize(
    "answers", [None, [], {}, "x", [say(1)] * 1001, [say(1, id=str(uuid.UUID(int=5)))] * 2]
)
def test_malformed_lists_of_answers(desk, unchanged, answers):
    body = {"claim": desk.claim["claim"], "answers": answers}
    refused(desk.ann.post("answers", **body), 422, "invalid")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("claim", {"name": 5}),
        ("claim", {"name": ["a"]}),
        ("claim", {"name": "\ud800"}),
        ("claim", {"review": "yes"}),
        ("claim", {"name": "x" * 5000}),
        ("finish", {"claim": "{claim}", "status": "done"}),
        ("finish", {"claim": "{claim}", "status": ["answered"]}),
        ("finish", {"status": "answered"}),
        ("heartbeat", {"claim": None}),
        ("heartbeat", {"claim": "' OR 1=1 --"}),
        ("release", {"claim": {"id": 1}}),
        ("release", {"claim": "x" * 65}),
    ],
)
def test_malformed_fields(desk, unchanged, path, body):
    body = {k: desk.claim["claim"] if v == "{claim}" else v for k, v in body.items()}
    content = json.dumps(body)
    headers = HEADERS | {"Content-Type": "application/json"}
    refused(desk.ann.client.post(f"/api/{path}", content=content, headers=headers), 422, "invalid")


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"null", b"[]", b'"x"', b'{"claim": NaN}', b'{"x": -Infinity}']
    + [b"[" * 200_000, b'{"a":' * 100_000, b'{"x": ' + b"9" * 10_000 + b"}", b"claim=1"],
    ids=range(12),
)
def test_a_body_that_is_no_json_object(desk, unchanged, content):
    headers = HEADERS | {"Content-Type": "application/json"}
    for path in ("answers", "claim"):
        reply = desk.ann.client.post(f"/api/{path}", content=content, headers=headers)
        refused(reply, 400, "bad_json")


def chunks(count, size=2**16):
    for _ in range(count):
        yield b" " * size


@pytest.mark.parametrize("chunked", [False, True])
def test_an_oversized_body(desk, unchanged, chunked):
    headers = HEADERS | {"Content-Type": "application/json"}
    for path, size in (("answers", 9 * 2**20), ("login", 8192)):
        count = size // 4096
        content = chunks(count, 4096) if chunked else b" " * size
        try:
            reply = desk.ann.client.post(f"/api/{path}", content=content, headers=headers)
        except httpx.WriteError:  # the server has answered and hung up in the middle of it
            continue
        refused(reply, 413, "too_large")


def test_a_body_without_length_is_read_as_any_other(desk):
    body = json.dumps({"claim": desk.claim["claim"]}).encode()
    headers = HEADERS | {"Content-Type": "application/json"}
    reply = desk.ann.client.post("/api/heartbeat", content=iter([body]), headers=headers)
    assert reply.status_code == 200


@pytest.mark.parametrize("length", ["-1", "1e9", "x"])
def test_a_forged_length(desk, length):
    before = state(desk)
    headers = [("Content-Length", length), ("X-Labor", "1"), ("Content-Type", "application/json")]
    status, _, _ = raw(desk, "POST", "/api/heartbeat", headers)
    assert status in (400, 413)
    assert state(desk) == before


def test_a_body_that_never_comes_holds_nobody_up(desk, unchanged, monkeypatch):
    monkeypatch.setattr("jax_labor.labels.page.app._BODY_SECONDS", 0.2)
    headers = HEADERS | {"Content-Type": "application/json"}

    def slow():
        yield b"{"
        time.sleep(0.6)
        yield b"}"

    with contextlib.suppress(httpx.TransportError):
        reply = desk.ann.client.post("/api/heartbeat", content=slow(), headers=headers)
        refused(reply, 408, "too_slow")


@pytest.mark.parametrize("claim", ["abcdefgh12345678", "-" * 16])
def test_a_claim_that_is_not_ones_own(desk, unchanged, claim):
    for path, more in (
        ("answers", {"answers": [say(1)]}),
        ("finish", {"status": "answered"}),
        ("heartbeat", {}),
    ):
        refused(desk.ann.post(path, claim=claim, **more), 409, "claim_lost")


def test_a_claim_of_somebody_else(desk, unchanged):
    with httpx.Client(base_url=desk.app.address) as client:
        mallory = Person(client, desk.app.token, "mallory")
        refused(mallory.answer(desk.claim, say(1, 5)), 409, "claim_lost")
        refused(mallory.finish(desk.claim, "skipped"), 409, "claim_lost")
        assert mallory.post("release", claim=desk.claim["claim"]).status_code == 204
        refused(mallory.post("claim", name="a"), 409, "claimed")


def test_an_id_of_another_answer(desk):
    with httpx.Client(base_url=desk.app.address) as client:
        other = Person(client, desk.app.token, "other")
        claim = other.claim()
        mine = desk.ann.claim()["answers"][0]
        before = state(desk)
        refused(other.answer(claim, say(1, 5, id=mine["id"])), 409, "id_taken")
        undo = say(1, None, action="undo", target=mine["id"])
        refused(other.answer(claim, undo), 422, "unknown_target")
        assert state(desk) == before
        other.post("release", claim=claim["claim"])


CROSS_SITE = {
    "another origin": {"Origin": "https://evil.example"},
    "another port": {"Origin": "http://127.0.0.1:1"},
    "our name as a prefix": {"Origin": "http://127.0.0.1:8765.evil.example"},
    "no origin": {"Origin": "null"},
    "a broken origin": {"Origin": "http://[::1"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"},
}
SIMPLE_FORMS = {
    "form": {"Content-Type": "application/x-www-form-urlencoded"},
    "multipart": {"Content-Type": "multipart/form-data; boundary=x"},
    "text": {"Content-Type": "text/plain"},
    "text that says json": {"Content-Type": "text/plain; application/json"},
    "no type": {"Content-Type": ""},
    "without our header": {"X-Labor": ""},
}


@pytest.mark.parametrize("case", [*CROSS_SITE, *SIMPLE_FORMS])
def test_a_request_of_another_site(desk, unchanged, case):
    headers = HEADERS | {"Content-Type": "application/json"} | (CROSS_SITE | SIMPLE_FORMS)[case]
    body = json.dumps({"claim": desk.claim["claim"], "status": "skipped"})
    for path in (*POSTS, "login"):
        reply = desk.ann.client.post(f"/api/{path}", content=body, headers=headers)
        refused(reply, 403, "cross_site")
    if case in CROSS_SITE:
        refused(desk.ann.client.get("/api/round", headers=headers), 403, "cross_site")


@pytest.mark.parametrize("behind_a_proxy", [False, True])
def test_our_own_page_is_let_through(desk, behind_a_proxy):
    headers = {"Sec-Fetch-Site": "same-origin"}
    if not behind_a_proxy:  # which leaves the origin out, as the README says
        headers["Origin"] = desk.app.address
    assert desk.ann.client.get("/api/round", headers=headers).status_code == 200
    body = {"claim": desk.claim["claim"]}
    reply = desk.ann.client.post("/api/heartbeat", json=body, headers=headers | HEADERS)
    assert reply.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "", "[::1", "0.0.0.0"]
)
def test_another_host_name(desk, unchanged, host):
    for path in ("/", "/api/round", "/static/index.html"):
        status, headers, body = raw(desk, "GET", path, [("Host", host)])
        assert status == 403
        assert json.loads(body)["reason"] == "wrong_host"
        assert "Content-Security-Policy" in headers


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1", "[::1]:8765", "LOCALHOST"])
def test_this_machines_own_names(desk, host):
    assert raw(desk, "GET", "/api/round", [("Host", host)])[0] == 200


def test_methods_that_are_not_meant(desk, unchanged):
    for method, path in (("DELETE", "/api/claim"), ("GET", "/api/answers"), ("PUT", "/api/round")):
        assert raw(desk, method, path)[0] == 405


def test_every_reply_carries_the_strict_headers(desk):
    paths = (
        "/",
        "/static/index.html",
        "/api/round",
        "/api/nothing",
        "/api/rounds/0/images/a/photo",
    )
    for path in paths:
        _, headers, _ = raw(desk, "GET", path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_the_cookie_is_out_of_reach(desk):
    with httpx.Client(base_url=desk.app.address) as client:
        body = {"token": desk.app.token, "annotator": "eve"}
        cookie = client.post("/api/login", json=body, headers=HEADERS).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


HOSTILE = "<img src=x onerror=alert(1)>\"'&?#%2e é"


def test_hostile_names_travel_as_data_only(tmp_path):
    table = ClassTable("t", (HOSTILE, "</script>"), ((1, 2, 3),) * 2, (0, 1), (), "")
    round_ = open_round(tmp_path, [HOSTILE], MASK)
    round_.open("spl", [HOSTILE], table)
    with page(tmp_path, HOSTILE) as (_, ann):
        reply = ann.get("round")
        assert reply.json()["classes"][0]["name"] == HOSTILE
        assert reply.json()["annotator"] == HOSTILE
        claim = ann.claim()
        assert claim["name"] == HOSTILE
        for url in (claim["image"], claim["guess"], claim["segments"]):
            assert not set(url) & set("<>\"' ?#")
            assert ann.client.get(url).status_code == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"
        ann.do(claim, 1)
    assert round_.answer_facts(HOSTILE)["annotator"] == HOSTILE


def test_a_bug_is_told_without_its_insides(desk, monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError("the secret path /root")

    monkeypatch.setattr(desk.app.desk, "overview", fail)
    with caplog.at_level(logging.ERROR, "jax_labor"):
        reply = desk.ann.get("round")
    refused(reply, 500, "bug")
    assert "secret" not in reply.text
    assert "the secret path" in caplog.text


def test_many_attackers_do_not_stall_the_annotator(desk):
    stop = threading.Event()

    def attack():
        with httpx.Client(base_url=desk.app.address, cookies=desk.ann.client.cookies) as client:
            while not stop.is_set():
                answers = {"claim": "x" * 20, "answers": [say(1)] * 5}
                client.post("/api/answers", json=answers, headers=HEADERS)

    threads = [threading.Thread(target=attack) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert all(
            desk.ann.post("heartbeat", claim=desk.claim["claim"]).status_code == 200
            for _ in range(10)
        )
    finally:
        stop.set()
        for thread in threads:
            thread.join()
