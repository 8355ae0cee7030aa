"""The whole way: training asks, people answer in a browser and beside it, training goes on."""

import json
import subprocess
import sys
import time

import numpy as np
from browser import Person, Server
from browser import launch as open_browser
from playwright.sync_api import sync_playwright
from small import ROOT, environment, launch

from jax_labor.experiments import restored
from jax_labor.labels.store import Round, newest_round

FLAGS = [
    "--config.annotator=people",
    "--config.train.steps=60",
    "--config.optimizer.decay_steps=0",
    "--config.train.eval_every=20",
    "--config.train.checkpoint_every=20",
    "--config.rounds.warmup=20",
    "--config.rounds.count=1",
    "--config.rounds.share=0",
    "--config.rounds.points=24",
    "--config.optimizer.lr=0.01",
]
KEYS = "1234567890y"  # of the eleven classes, as the page shows them


def annotate(*arguments):
    """Runs launch/annotate.py to its end; returns what it printed."""
    line = [sys.executable, str(ROOT / "launch" / "annotate.py"), *map(str, arguments)]
    done = subprocess.run(line, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def label_one_image(server, truth):
    """A person labels the first image from the keyboard."""
    with sync_playwright() as playwright:
        browser = open_browser(playwright)
        ada = Person(browser, server.url, "Ada")
        round_ = newest_round(server.workdir)
        name = round_.names()[0]
        points = round_.read_query(name).points
        for number, (row, column) in enumerate(points, start=1):
            ada.sees(f"Point {number} of {len(points)}")
            label = truth(name)[row, column]
            ada.press("u" if label == 255 else KEYS[label])
        ada.sees(f"Point 1 of {len(round_.read_query(round_.names()[1]).points)}")
        ada.saved()
        assert ada.complaints == []
        browser.close()
    return name


def test_training_goes_on_from_what_people_answered(tmp_path, data):
    workdir = tmp_path / "run"
    printed = launch(workdir, data, *FLAGS, card="ppl.py:demo", status=75)
    assert "annotate.py serve" in printed
    truth = restored.target_truth(str(workdir))
    server = Server(workdir, claim_seconds=3)
    server.workdir = workdir
    try:
        name = label_one_image(server, truth)
        time.sleep(3.5)  # she leaves with the second image open: her claim on it runs out
        address, token = server.url.split("/#token=")
        said = annotate(
            "simulate",
            f"--workdir={workdir}",
            f"--url={address}",
            f"--token={token}",
            "--seconds=0",
            "--annotators=2",
        )
    finally:
        server.kill()
    round_ = Round(workdir, 0)
    assert round_.unanswered() == [], said
    for each in round_.names():
        asked = round_.read_query(each).asked
        expected = np.where(asked, truth(each), 255)
        np.testing.assert_array_equal(round_.read_answer(each), expected)
    assert round_.answer_facts(name)["annotator"] == "Ada"

    launch(workdir, data, *FLAGS, card="ppl.py:demo")
    results = json.loads((workdir / "results.json").read_text())
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    before = next(line["miou"] for line in lines if line["step"] == 20 and "miou" in line)
    assert results["miou"] > before
    effort = results["effort"]
    assert effort["annotators"] == 3 and effort["images_answered"] == len(round_.names())
    assert effort["keys"] > 0 and effort["seconds"] > 0

    table = annotate("report", f"--workdir={workdir}", f"--out={tmp_path / 'effort'}")
    assert "points" in table and (tmp_path / "effort" / "effort.json").exists()
    annotate("export", f"--workdir={workdir}", "--format=csv", f"--out={tmp_path / 'out'}")
    assert any((tmp_path / "out").iterdir())
