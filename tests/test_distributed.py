"""Several devices and several processes give what one device gives."""

import json
import socket
import subprocess

import numpy as np
import pytest
from small import command, environment
from test_resume import final_state

FOUR = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
SGD = ("--config.optimizer.name=sgd", "--config.optimizer.lr=0.01")


def run(workdir, data, environments):
    """Runs one process for each environment; all must end well."""
    line = command(workdir, data, *SGD)
    processes = [
        subprocess.Popen(line, env=environment(**env), stderr=subprocess.PIPE, text=True)
        for env in environments
    ]
    logs = [process.communicate(timeout=300)[1] for process in processes]
    assert [p.returncode for p in processes] == [0] * len(processes), "\n".join(logs)[-4000:]
    return logs


@pytest.fixture(scope="module")
def one(tmp_path_factory, data):
    workdir = tmp_path_factory.mktemp("one")
    run(workdir, data, [{}])
    return workdir


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def assert_close(workdir, one):
    (_, ours), (_, theirs) = final_state(workdir), final_state(one)
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=5e-3, atol=5e-4, err_msg=name)
    a, b = (json.loads((w / "results.json").read_text()) for w in (workdir, one))
    assert a["miou"] == pytest.approx(b["miou"], abs=0.01)
    assert a["asked_pixels"] == pytest.approx(b["asked_pixels"], rel=0.05)


def test_four_devices_equal_one(data, one, tmp_path):
    logs = run(tmp_path, data, [FOUR])
    assert "4 x cpu" in logs[0]
    assert_close(tmp_path, one)


def test_two_processes_equal_one(data, one, tmp_path):
    address = f"127.0.0.1:{free_port()}"
    shared = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    logs = run(tmp_path, data, [{**shared, "JAX_PROCESS_ID": str(i)} for i in range(2)])
    assert "2 processes" in logs[0]
    assert_close(tmp_path, one)
