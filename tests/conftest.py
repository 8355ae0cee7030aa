"""Strict settings for every test: several host devices, no silent rank promotion."""

import logging
import os
import runpy
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import small  # noqa: F401 - before the flags change

from jax_labor.data import preparation
from jax_labor.engine.startup import compile_faster

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
compile_faster()  # its flags are part of a program's key: with them commands' programs are found
jax.devices()  # reads the flags

# Files of whole trainings go first: at the end no process then waits long for the other. Two that
# compile the same programs are apart, so that one finds what the other kept.
LONGEST = ("test_launch", "test_datasetgan.py", "test_steps", "test_gan_", "test_stylegan2")
LONGEST += ("test_datasetgan_resume", "test_resume", "test_datasetgan_people", "test_distributed")
LONGEST += ("test_waiting", "test_people", "test_own_data", "")
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items):
    def place(item):
        return next(i for i, name in enumerate(LONGEST) if item.path.name.startswith(name))

    items.sort(key=place)


@pytest.fixture(scope="session")
def golden():
    """Folder of the official codes' inputs and outputs; the test skips where it is absent."""
    folder = SHARED / "golden"
    if not folder.is_dir():
        pytest.skip(f"golden vectors are not beside this checkout ({folder})")
    return folder


@pytest.fixture(scope="session")
def real_data():
    """Folder of the real images used for tests; the test skips where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"real images are not beside this checkout ({folder})")
    return folder


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Folder of prepared scenes and compiled programs, shared by all small runs.

    Of all test processes: a compiled program is found again under the same path only.
    """
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "data"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session", autouse=True)
def kept_programs(data):
    """Keeps compiled programs on disk: whole runs of several files compile the same ones."""
    jax.config.update("jax_compilation_cache_dir", str(data / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(scope="module", autouse=True)
def forgotten_programs():
    """Every compiled program maps memory: thousands in one process end at the system's limit."""
    yield
    jax.clear_caches()


@pytest.fixture(autouse=True)
def log_given_back():
    """A command that a test calls in this process takes our log away from caplog."""
    ours = logging.getLogger("jax_labor")
    before = ours.handlers, ours.propagate, ours.level
    yield
    ours.handlers, ours.propagate, level = before
    ours.setLevel(level)
    for handler in logging.getLogger().handlers:
        handler.setLevel(logging.NOTSET)


@pytest.fixture(autouse=True)
def no_hashes_at_home(monkeypatch, tmp_path_factory):
    """What files hold is remembered there where the folder of prepared data cannot be written."""
    monkeypatch.setattr(preparation, "CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def weights_command(monkeypatch, capsys):
    """Runs launch/weights.py in this process: (exit status, what it printed, its error line)."""
    command = Path(__file__).resolve().parents[1] / "launch" / "weights.py"

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["weights.py", *map(str, arguments)])
        monkeypatch.setattr(sys, "path", list(sys.path))
        status = 0
        try:
            runpy.run_path(str(command), run_name="__main__")
        except SystemExit as stop:
            status = stop.code
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


@pytest.fixture
def rng():
    """A seeded generator."""
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def quick_compilation():
    """For tests in which compiling costs more than computing."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
