"""Commands in processes of their own that need not import JAX again: forks of one that has.

Importing is a fifth of what a small run takes. Each command is started by the interpreter itself
too, somewhere in the tests, as forks would not notice what it forgot to import.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from unittest import mock

import jax

from jax_labor.experiments import EXPERIMENTS

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([f"jax_labor.experiments.{name}" for name in EXPERIMENTS])


class Command:
    """`python SCRIPT ARGUMENTS`, with what the tests use of subprocess.Popen.

    JAX has read its settings of `env` when it was imported: they are those of the first command.
    What is printed goes to the ends of the files `stdout` and `stderr`.
    """

    def __init__(self, line, *, env, stdout=None, stderr=None, cwd="."):
        assert line[0] == sys.executable
        files = [file.name if file else os.devnull for file in (stdout, stderr)]
        self._process = FORKS.Process(target=_run, args=(line[1:], env, files, str(cwd)))
        with mock.patch.dict(os.environ, env, clear=True):  # the first one starts the server
            self._process.start()

    def poll(self):
        return self._process.exitcode

    def wait(self):
        self._process.join()
        return self.poll()

    def send_signal(self, number):
        os.kill(self._process.pid, number)

    def kill(self):
        self._process.kill()


def run(line, *, env, cwd="."):
    """The command to its end, as subprocess.run gives it with capture_output and text."""
    with tempfile.NamedTemporaryFile("r") as out, tempfile.NamedTemporaryFile("r") as err:
        status = Command(line, env=env, stdout=out, stderr=err, cwd=cwd).wait()
        return subprocess.CompletedProcess(line, status, out.read(), err.read())


def _run(line, env, files, cwd):
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_APPEND), number)
    changed = {name.lower() for name, _ in os.environ.items() ^ env.items()}
    assert not changed & set(jax.config.values), "set after JAX was imported"
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.argv = list(line)
    try:
        runpy.run_path(line[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()  # what the end of an interpreter runs


@atexit.register
def _end_all():
    """A test that failed leaves its processes, for which this one would wait."""
    for process in multiprocessing.active_children():
        process.kill()
