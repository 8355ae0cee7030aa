"""A real Label Studio imports what we export, and its own export comes back equal.

Runs when the command `label-studio` is on the PATH; it may live in an environment of its own.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from rounds_for_exchange import HOSTILE, answer, answers, copy_questions, make_round

from jax_labor.labels.exchange import export_round, import_round
from jax_labor.labels.exchange.brush import decode_brush, encode_brush
from jax_labor.labels.store import FULL, MASK, POINTS, SKIPPED

COMMAND = shutil.which("label-studio")
TOKEN = "0123456789abcdef0123456789abcdef01234567"
KINDS = (POINTS, MASK, FULL)

pytestmark = pytest.mark.skipif(
    COMMAND is None, reason="no command label-studio on the PATH (pip install label-studio)"
)


def make(workdir, kind):
    """A round with hostile names, an image open, one answered, one unsure and one skipped."""
    rng = np.random.default_rng(3)
    masks = {name: rng.random((37, 53)) < 0.3 for name in ("open", "a.b-1", "unsure", "skipped")}
    round_ = make_round(workdir, kind, masks, HOSTILE, rng)
    answer(round_, "a.b-1", rng.integers(0, len(HOSTILE), (37, 53)), seconds=12.5)
    answer(round_, "unsure", np.full((37, 53), 255))
    answer(round_, "skipped", np.full((37, 53), 255), SKIPPED)
    return round_


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What is exported, a folder a kind: the root of the server's local files."""
    folder = tmp_path_factory.mktemp("exported")
    for kind in KINDS:
        export_round(make(folder / f"{kind}-round", kind), "label_studio", folder / kind)
    return folder


@pytest.fixture(scope="module")
def server(folder, tmp_path_factory):
    """A client of a Label Studio on a loopback port, with its own data folder and SQLite."""
    home = tmp_path_factory.mktemp("label_studio")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    options = {
        "COLLECT_ANALYTICS": "false",
        "LATEST_VERSION_CHECK": "false",
        "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(folder / POINTS),
        "HOME": str(home),
    }
    command = [COMMAND, "start", "--no-browser", "--internal-host", "127.0.0.1", "--port", port]
    command += ["--data-dir", str(home), "--username", "a@example.com", "--password", "long-enough"]
    command += ["--user-token", TOKEN, "--enable-legacy-api-token", "--log-level", "ERROR"]
    with open(home / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **options})
    headers = {"Authorization": f"Token {TOKEN}"}
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60)
    try:
        wait_for(client, process, home / "log")
        yield client
    finally:
        client.close()
        process.terminate()
        process.wait(20)


def wait_for(client, process, log, seconds=900):
    """Returns when the server answers; the first start fills its database."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            if client.get("/api/projects").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"Label Studio did not start:\n{log.read_text()[-3000:]}")


def said(response):
    """The JSON of a response that must be a success."""
    assert response.is_success, response.text[:3000]
    return response.json()


def new_project(client, exported):
    """A project with our labelling interface and our tasks; its number."""
    config = (exported / "config.xml").read_text()
    body = {"title": exported.name, "label_config": config}
    number = said(client.post("/api/projects", json=body))["id"]
    tasks = json.loads((exported / "tasks.json").read_text())
    result = said(client.post(f"/api/projects/{number}/import", json=tasks))
    assert result["task_count"] == len(tasks)
    assert result["annotation_count"] == 3
    return number


def exported_again(client, number, path):
    """Writes the project's own JSON export to `path`; its tasks."""
    url = f"/api/projects/{number}/export"
    tasks = said(client.get(url, params={"exportType": "JSON", "download_all_tasks": "true"}))
    path.write_text(json.dumps(tasks))
    return tasks


@pytest.mark.parametrize("kind", KINDS)
def test_a_round_comes_back_equal(server, folder, tmp_path, kind):
    round_ = make(tmp_path / "round", kind)
    number = new_project(server, folder / kind)
    tasks = exported_again(server, number, tmp_path / "theirs.json")
    copy = copy_questions(round_, tmp_path / "copy")
    import_round(copy, "label_studio", tmp_path / "theirs.json", "somebody")
    assert answers(copy) == answers(round_)
    assert copy.unanswered() == ["open"]
    assert copy.answer_facts("a.b-1")["seconds"] == 12.5

    # A person accepts the suggestion of the image that was open.
    task = next(task for task in tasks if task["data"]["name"] == "open")
    [suggestion] = said(server.get(f"/api/tasks/{task['id']}"))["predictions"]
    body = {"result": suggestion["result"], "lead_time": 3.5}
    said(server.post(f"/api/tasks/{task['id']}/annotations/", json=body))
    exported_again(server, number, tmp_path / "theirs.json")
    assert import_round(copy, "label_studio", tmp_path / "theirs.json", "somebody") == ["open"]
    np.testing.assert_array_equal(copy.read_answer("open"), copy.read_query("open").guess)
    assert copy.unanswered() == []


def test_the_pictures_are_served(server, folder):
    number = new_project(server, folder / POINTS)
    storage = {"project": number, "path": str(folder / POINTS / "images"), "use_blob_urls": True}
    said(server.post("/api/storages/localfiles", json=storage))
    [task, *_] = json.loads((folder / POINTS / "tasks.json").read_text())
    response = server.get(task["data"]["image"])
    assert response.status_code == 200
    name = task["data"]["name"]
    assert response.content == (folder / POINTS / f"images/{name}.png").read_bytes()


def test_their_brush_functions_agree_with_ours(tmp_path):
    rng = np.random.default_rng(0)
    shares = (0, 1, 0.02, 0.5, 0.97)
    masks = [rng.random(rng.integers(1, 90, 2)) < share for share in shares]
    masks.append(np.arange(300 * 400).reshape(300, 400) > 70000)  # runs longer than one token
    script = """
import json, sys
import numpy as np
from label_studio_sdk.converter.brush import decode_rle, mask2rle
found = []
for mask, stream in json.load(sys.stdin):
    mask = np.array(mask, np.uint8) * 255
    theirs = decode_rle(stream).reshape(*mask.shape, 4)[:, :, 3]
    found.append([bool((theirs == mask).all()), mask2rle(mask)])
json.dump(found, sys.stdout)
"""
    python = Path(COMMAND).resolve().parent / "python"
    text = json.dumps([(mask.tolist(), encode_brush(mask)) for mask in masks])
    done = subprocess.run([python, "-c", script], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for mask, (agreed, stream) in zip(masks, json.loads(done.stdout), strict=True):
        assert agreed
        np.testing.assert_array_equal(decode_brush(stream, mask.shape), mask)
