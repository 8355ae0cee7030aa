"""A generator's training in a process of its own: to its end, and killed on the way."""

import json
import random
import subprocess
import time
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from forked import Command
from small_gan import start


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data):
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    finish(workdir, data, subprocess.Popen)
    return workdir


def finish(workdir, data, process=Command):
    status = start(workdir, data, process).wait()
    assert status == 0, Path(f"{workdir}.log").read_text()[-3000:]


def kill(process):
    process.kill()
    process.wait()


def arrays(workdir, place):
    """The last state below `place` by a bare Orbax restore, as a notebook would read it."""
    with ocp.StandardCheckpointer() as reader:
        return reader.restore((workdir / place / "9" / "state").absolute())


def test_it_runs_to_its_end(undisturbed):
    results = json.loads((undisturbed / "results.json").read_text())
    assert (results["steps"], results["network"]["base"]) == (9, [4, 6])
    lines = [json.loads(line) for line in (undisturbed / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 9]
    assert arrays(undisturbed, "generator/checkpoints").keys() == {"params", "stats"}


def test_killed_at_any_moment_it_ends_the_same(undisturbed, data, tmp_path):
    workdir, begun = tmp_path / "killed", time.monotonic()
    process = start(workdir, data)
    while not any(workdir.glob("checkpoints/4*")):  # in the middle of writing the first one
        assert process.poll() is None, Path(f"{workdir}.log").read_text()[-3000:]
        time.sleep(0.01)
    kill(process)
    seconds = time.monotonic() - begun
    process = start(workdir, data)
    time.sleep(random.Random(0).uniform(0.3, 1.3) * seconds)
    kill(process)
    finish(workdir, data)
    for place in ("generator/checkpoints", "checkpoints"):
        same = jax.tree.map(np.array_equal, arrays(workdir, place), arrays(undisturbed, place))
        assert all(jax.tree.leaves(same)), place
    ours, theirs = ((w / "metrics.jsonl").read_text() for w in (workdir, undisturbed))
    assert ours == theirs
