"""Several devices and several processes give what one device gives."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from small import ROOT, command, config, environment
from test_resume import final_state

from jax_labor.engine import tree
from jax_labor.experiments.assembly import build_network, initial_state

ONE, FOUR = ({"JAX_NUM_CPU_DEVICES": str(count)} for count in (1, 4))
ENDINGS = """
import contextlib, time
import jax
from types import SimpleNamespace
from jax_labor.engine.startup import initialise_distributed
from jax_labor.experiments import finish, stylegan2
initialise_distributed()
is_main = jax.process_index() == 0

def last(*_):
    assert is_main
    time.sleep(1)
    return {"written": "by main"}

session = SimpleNamespace(is_main=is_main, train=lambda: None, evaluate=lambda: None)
stylegan2.GanSession = lambda *_: contextlib.nullcontext(session)
stylegan2._finish = finish._report = last
finish.save_pictures = lambda *_: None
config = SimpleNamespace(distance=SimpleNamespace(features=""))
found = [stylegan2.run(config, ""), finish.finish(session)]
assert found == [{"written": "by main"}] * 2, found
"""
MISTAKES = """
import sys
from types import SimpleNamespace
import jax
from ml_collections import ConfigDict
from jax_labor.engine import startup
from jax_labor.engine.processes import together
from jax_labor.errors import UserError
from jax_labor.experiments.run_session import FREE, RunSession
startup.initialise_distributed()
me = jax.process_index()

def says(work, words):
    try:
        work()
    except UserError as error:
        assert words in str(error), error
    else:
        raise AssertionError(words)

def reads():
    if me == 1:
        raise UserError("its disk holds no straße")
    return me

config = ConfigDict({"train": dict(log_every=1, keep=1, pictures=0, checkpoint_every=1), "seed": 0})
config.data = dict(threads=0, workers=0)
assert together(lambda: me) == me
says(lambda: together(reads), "holds no straße" if me else "process 1: its disk holds no straße")
from absl import flags
from launch import main
main.time = SimpleNamespace(strftime=lambda _: f"at-{me}")
flags.FLAGS(["main.py", f"--config={sys.argv[2]}/configs/spl.py:demo"])
assert main._default_workdir() == "runs/spl/at-0"
says(lambda: RunSession(config, sys.argv[1], FREE, False), "a file stands where")
"""
ALONE = """
import sys
import jax
from jax.experimental import multihost_utils
from jax_labor.engine import alarm
from jax_labor.engine.startup import initialise_distributed
from jax_labor.errors import UserError, exit_on_mistake
alarm._EVERY = alarm._PATIENCE = alarm._LAST = 0.5
initialise_distributed()
multihost_utils.sync_global_devices("begun")
with exit_on_mistake(), alarm.end_together(agreed=(LookupError,)):
    if jax.process_index() == int(sys.argv[2]):
        raise {"mistake": UserError, "bug": ValueError}[sys.argv[1]]("no straße")
    multihost_utils.sync_global_devices("waited in vain")
"""
SGD = ("--config.optimizer.name=sgd", "--config.optimizer.lr=0.01")


def run(workdir, data, environments):
    """Runs the small card in one process for each environment; all must end well."""
    return run_each(command(workdir, data, *SGD, "--config.train.pictures=4"), environments)


def run_each(line, environments, status=0):
    """Runs a command in one process for each environment; all must end with `status`."""
    processes = [
        subprocess.Popen(line, env=environment(**env), stderr=subprocess.PIPE, text=True)
        for env in environments
    ]
    logs = [process.communicate(timeout=300)[1] for process in processes]
    assert [p.returncode for p in processes] == [status] * len(processes), "\n".join(logs)[-4000:]
    return logs


@pytest.fixture(scope="module")
def one(tmp_path_factory, data):
    workdir = tmp_path_factory.mktemp("one")
    run(workdir, data, [ONE])
    return workdir


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def two():
    """Environments of two processes of one run."""
    shared = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}", "JAX_NUM_PROCESSES": "2"}
    return [{**shared, **ONE, "JAX_PROCESS_ID": str(i)} for i in range(2)]


def assert_close(workdir, one, data):
    """What training changed is the same: to float tolerance by the end of the warm-up.

    To a few percent by the end of the run: the queries between are made by comparisons, where the
    last bit may choose another pixel.
    """
    settings = config(data)
    start = tree.host_arrays(initial_state(settings, build_network(settings, 11), 11))
    for folder, tolerance in (("warmup", 1e-4), ("", 0.03)):
        (step, ours), (expected, theirs) = final_state(workdir / folder), final_state(one / folder)
        assert step == expected == (settings.train.steps if not folder else settings.rounds.warmup)
        assert ours.keys() == theirs.keys()
        for part in ("params", "batch_stats"):
            names = [name for name in theirs if name.startswith(part)]
            assert names
            moved = np.concatenate([(theirs[n] - start[n]).ravel() for n in names])
            apart = np.concatenate([(theirs[n] - ours[n]).ravel() for n in names])
            assert np.linalg.norm(moved) > 0.01
            assert np.linalg.norm(apart) < tolerance * np.linalg.norm(moved)
    a, b = (json.loads((w / "results.json").read_text()) for w in (workdir, one))
    assert a["miou"] == pytest.approx(b["miou"], abs=0.01)
    assert a["asked_pixels"] == pytest.approx(b["asked_pixels"], rel=0.05)


def test_four_devices_equal_one(data, one, tmp_path):
    logs = run(tmp_path, data, [FOUR])
    assert "4 x cpu" in logs[0]
    assert_close(tmp_path, one, data)


def test_two_processes_equal_one(data, one, tmp_path):
    logs = run(tmp_path, data, two())
    assert "2 processes" in logs[0]
    assert_close(tmp_path, one, data)
    sizes = []
    for workdir in (tmp_path, one):
        with Image.open(workdir / "pictures/predictions.png") as sheet:
            sizes.append(sheet.size)
    assert sizes[0] == sizes[1]  # with the rows of both processes


def test_nobody_leaves_before_the_results_are_written():
    run_each([sys.executable, "-c", ENDINGS], two())


def test_a_mistake_of_one_process_ends_all_and_they_name_one_folder(tmp_path):
    (tmp_path / "file").touch()
    run_each([sys.executable, "-c", MISTAKES, str(tmp_path / "file"), str(ROOT)], two())


@pytest.mark.parametrize("what, alone, status", [("mistake", 1, 2), ("bug", 0, 1)])
def test_nobody_waits_for_one_that_failed(what, alone, status):
    logs = run_each([sys.executable, "-c", ALONE, what, str(alone)], two(), status)
    kind = "ValueError: " if what == "bug" else ""
    assert f"error: process {alone} ended: {kind}no straße" in logs[1 - alone]
    assert "Traceback" not in logs[1 - alone]
