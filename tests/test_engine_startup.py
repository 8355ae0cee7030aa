"""The start of one process or several, and their stop together."""

import math
import os
import signal
import socket
import subprocess
import sys

import jax
import pytest

from jax_labor.engine import startup
from jax_labor.engine.signals import EXIT_STOPPED, StopFlag, agreed
from jax_labor.errors import UserError


def test_stop_flag_in_this_process():
    before = signal.getsignal(signal.SIGTERM)
    with StopFlag() as stop:
        assert not stop.set and not agreed(stop.set)
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.set and agreed(stop.set)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
            signal.pause()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_heard_inside_is_heard_outside():
    with StopFlag() as outer:
        with StopFlag():
            pass
        assert not outer.set
        with StopFlag():
            os.kill(os.getpid(), signal.SIGTERM)
        assert outer.set


LOOP = """
import sys, time
from jax_labor.engine.signals import EXIT_STOPPED, StopFlag, agreed
with StopFlag() as stop:
    print("ready", flush=True)
    for step in range(1000):
        time.sleep(0.01)
        if agreed(stop.set):
            print("saved", flush=True)
            sys.exit(EXIT_STOPPED)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_between_steps(number):
    command = [sys.executable, "-W", "error", "-c", LOOP]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.communicate()[0] == "saved\n" and process.returncode == EXIT_STOPPED == 143


PAIR = """
import sys
import numpy as np, jax
from jax_labor.engine import startup
jax.config.update("jax_num_cpu_devices", 1)
assert startup.initialise_distributed() == "settings"
from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.signals import StopFlag, agreed
from jax_labor.errors import UserError
me = jax.process_index()
startup.setup_log()
startup.setup_jax()
state = {"w": np.arange(5, dtype=np.int64), "b": np.full(3, 0.5, np.float32)}
checkpoints = Checkpoints(sys.argv[1])
assert checkpoints.restore(state) is None
for step in (1, 2):
    checkpoints.save(step, state, {"step": step})
step, found, meta = checkpoints.restore(jax.tree.map(np.zeros_like, state))
checkpoints.wait()
step, found, meta = checkpoints.restore(jax.tree.map(np.zeros_like, state))
assert (step, meta) == (2, {"step": 2}), (step, meta)
assert found["w"].dtype == np.int64 and (found["w"] == state["w"]).all() and found["b"][0] == 0.5
try:
    checkpoints.restore(state, step=7)
except UserError as error:
    assert "no checkpoint of step 7" in str(error)
else:
    raise AssertionError
checkpoints.close()
assert [agreed(me == 1 and step == 3) for step in range(5)] == [False, False, False, True, False]
print("done", me)
"""


def test_two_processes_share_a_checkpoint_and_a_stop(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    processes = []
    for number in range(2):
        environ = {
            **os.environ,
            "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
            "JAX_NUM_PROCESSES": "2",
            "JAX_PROCESS_ID": str(number),
            "JAX_PLATFORMS": "cpu",
        }
        command = [sys.executable, "-c", PAIR, str(tmp_path)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen(command, env=environ, **pipes))
    said = [process.communicate(timeout=60) for process in processes]
    for number, (out, err) in enumerate(said):
        assert out.endswith(f"done {number}\n"), err
        assert ("2 x cpu, 2 processes" in err) == (number == 0)


@pytest.mark.parametrize(
    ("environ", "batches", "devices"),
    [
        ({}, (4, 8), "cores"),
        ({}, (3, 8), "1"),
        ({"JAX_NUM_CPU_DEVICES": "3"}, (4, 8), "3"),
        ({"XLA_FLAGS": "--xla_force_host_platform_device_count=5"}, (4, 8), "5"),
    ],
)
def test_cores_are_shared_as_devices(environ, batches, devices):
    script = "import sys, jax; from jax_labor.engine.startup import share_cores;"
    script += f"share_cores(*{batches}); print(jax.device_count())"
    environ = {**os.environ, "JAX_PLATFORMS": "cpu", **environ}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environ, capture_output=True, text=True
    )
    cores = math.gcd(len(os.sched_getaffinity(0)), *batches)
    assert done.stdout.strip() == (str(cores) if devices == "cores" else devices), done.stderr


@pytest.mark.parametrize(
    ("release", "before", "after"),
    [
        ((0, 10, 2), None, "--xla_cpu_use_fusion_emitters=false"),
        ((0, 10, 2), "--xla_a=1", "--xla_a=1 --xla_cpu_use_fusion_emitters=false"),
        ((0, 10, 2), "--xla_cpu_use_fusion_emitters=true", "--xla_cpu_use_fusion_emitters=true"),
        ((0, 11, 0), None, None),
    ],
)
def test_the_faster_compiler_is_asked_for_where_it_is_known(release, before, after, monkeypatch):
    monkeypatch.setattr(jax, "__version_info__", release)
    monkeypatch.setenv("XLA_FLAGS", before or "")
    if before is None:
        monkeypatch.delenv("XLA_FLAGS")
    startup.compile_faster()
    assert os.environ.get("XLA_FLAGS") == after


def test_explicit_settings_come_from_arguments_or_environment():
    environ = {
        "JAX_COORDINATOR_ADDRESS": "a:1",
        "JAX_NUM_PROCESSES": "4",
        "JAX_PROCESS_ID": "3",
    }
    wanted = {"coordinator_address": "a:1", "num_processes": 4, "process_id": 3}
    assert startup.explicit_settings(None, None, None, environ) == wanted
    assert startup.explicit_settings("a:1", 4, 3, {}) == wanted
    assert startup.explicit_settings(None, None, 0, environ)["process_id"] == 0
    assert startup.explicit_settings(None, None, None, {}) is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (("a:1", None, None), "num_processes, process_id not set, but coordinator_address is"),
        (("a:1", 2, 2), "process_id=2 must be from 0 to num_processes - 1 = 1"),
        (("a", 2, 1), "no port"),
    ],
)
def test_explicit_settings_refused(settings, words):
    with pytest.raises(UserError, match=words):
        startup.explicit_settings(*settings, {})


def test_explicit_setting_that_is_no_number():
    with pytest.raises(UserError, match="JAX_PROCESS_ID='x' is not a whole number"):
        startup.explicit_settings("a:1", 2, None, {"JAX_PROCESS_ID": "x"})


@pytest.mark.parametrize(
    ("environ", "kind"),
    [
        ({}, None),
        ({"SLURM_NTASKS": "8", "SLURM_JOB_ID": "1"}, None),
        ({"SLURM_NTASKS": "8", "SLURM_STEP_NODELIST": "n[1-2]"}, "slurm"),
        ({"SLURM_NTASKS": "1", "SLURM_STEP_NODELIST": "n1"}, None),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, "openmpi"),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, None),
        ({"TPU_WORKER_HOSTNAMES": "a,b"}, "tpu"),
        ({"TPU_WORKER_HOSTNAMES": "a,b", "JAX_PLATFORMS": "cpu"}, None),
    ],
)
def test_clusters_are_told_from_processes_alone(tmp_path, environ, kind):
    assert startup.detect_cluster(environ, devices=tmp_path) == kind


def test_nothing_to_join_here(monkeypatch):
    monkeypatch.setattr(startup, "detect_cluster", lambda environ: None)
    monkeypatch.setattr(jax.distributed, "initialize", lambda **_: pytest.fail("joined"))
    assert startup.initialise_distributed() is None
    assert startup.initialise_distributed("localhost:1", 1, 0) is None


@pytest.mark.parametrize(
    "error",
    [
        AssertionError(),
        RuntimeError("Unable to initialize backend 'foo': no (set JAX_PLATFORMS='')"),
    ],
)
def test_a_platform_that_is_not_here_is_named(error, monkeypatch):
    def devices():
        raise error

    monkeypatch.setattr(jax, "devices", devices)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    with pytest.raises(type(error)):
        startup._start_jax()
    monkeypatch.setenv("JAX_PLATFORMS", "foo")
    with pytest.raises(UserError, match="JAX_PLATFORMS=foo cannot be used here .*or unset it"):
        startup._start_jax()


def test_setup_jax_says_what_there_is():
    assert startup.setup_jax() == "4 x cpu, 1 process"


@pytest.mark.parametrize(
    ("batch", "devices", "remedy"), [(6, 4, "4 or 8"), (3, 4, "4"), (0, 4, "4"), (9, 8, "8 or 16")]
)
def test_check_batch_names_the_setting(batch, devices, remedy):
    with pytest.raises(UserError) as caught:
        startup.check_batch(batch, devices)
    assert str(caught.value).startswith(f"config.data.batch_size={batch} ")
    assert str(caught.value).endswith(f"by {devices} devices. Set it to {remedy}")


def test_check_batch_shares():
    assert startup.check_batch(8, 4) == 2
