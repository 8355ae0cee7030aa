"""Commands beside each other: order, cores, failure and signals."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from jax_labor.engine.jobs import Job, run_all
from jax_labor.engine.signals import EXIT_STOPPED

CORES = sorted(os.sched_getaffinity(0))
needs_two_cores = pytest.mark.skipif(len(CORES) < 2, reason="jobs share the cores; there is one")


def job(name, code, after=()):
    return Job(name, [sys.executable, "-c", textwrap.dedent(code)], after)


def note(path, word):
    return f"open({str(path)!r}, 'a').write({word!r} + ' ')\n"


@pytest.mark.parametrize("at_once", [1, 2, 8])
def test_a_job_begins_after_those_it_needs(at_once, tmp_path):
    log = tmp_path / "log"
    slow = "import time; time.sleep(0.5)\n" + note(log, "first")
    jobs = [job("first", slow), job("second", note(log, "second"), ["first"])]
    jobs.append(job("third", note(log, "third"), ["second"]))
    assert run_all(jobs, at_once) == 0
    assert log.read_text() == "first second third "


def test_one_at_a_time_they_keep_their_order(tmp_path):
    log = tmp_path / "log"
    jobs = [job("a", note(log, "a")), job("b", note(log, "b"), ["a"]), job("c", note(log, "c"))]
    assert run_all(jobs) == 0
    assert log.read_text() == "a b c "


@needs_two_cores
def test_jobs_at_once_have_cores_of_their_own_and_name_their_lines(tmp_path, capfd):
    # Each waits for the other, so that only two at once can end.
    code = """
        import os, pathlib, time
        here, there = (pathlib.Path({folder!r}, x) for x in {names!r})
        time.sleep(0.3)
        here.write_text(repr(sorted(os.sched_getaffinity(0))))
        while not there.exists(): time.sleep(0.02)
        print("done")
    """
    folder = str(tmp_path)
    jobs = [job(a, code.format(folder=folder, names=a + b)) for a, b in ("xy", "yx")]
    assert run_all(jobs, 2) == 0
    cores = [eval((tmp_path / name).read_text()) for name in "xy"]
    assert sorted(cores[0] + cores[1]) == CORES
    printed = capfd.readouterr().err.splitlines()
    assert sorted(line for line in printed if "|" in line) == ["x | done", "y | done"]


@needs_two_cores
def test_a_line_of_any_length_and_a_progress_bar_are_passed_on(capfd):
    code = """
        import sys, time
        sys.stdout.write("x" * 300_000 + "\\n\\n10 %\\r20 %\\r")
        sys.stdout.flush()
        time.sleep(0.1)
        sys.stdout.buffer.write("30 %\\r\\nä".encode())
    """
    assert run_all([job("a", code), job("b", "")], 2) == 0
    lines = [x[4:] for x in capfd.readouterr().err.split("\n") if x.startswith("a | ")]
    long = [line for line in lines if line.startswith("x")]
    assert "".join(long) == "x" * 300_000
    assert lines[len(long) :] == ["10 %", "20 %", "30 %", "ä"]


def test_one_job_at_a_time_prints_as_it_is(capfd):
    for at_once in (1, 2):  # alone, it has all cores
        assert run_all([job("only", "print('as it is')")], at_once) == 0
        assert capfd.readouterr().out == "as it is\n"


WAITS = """
    import pathlib, signal, sys, time
    signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path({saved!r}).touch(), sys.exit(143)))
    pathlib.Path({begun!r}).touch()
    time.sleep(60)
"""


@needs_two_cores
def test_a_failure_stops_the_others_and_begins_no_more(tmp_path):
    begun, saved, never = (tmp_path / name for name in ("begun", "saved", "never"))
    fails = f"""
        import pathlib, sys, time
        while not pathlib.Path({str(begun)!r}).exists(): time.sleep(0.02)
        sys.exit(2)
    """
    waits = job("waits", WAITS.format(saved=str(saved), begun=str(begun)))
    jobs = [waits, job("fails", fails), job("never", note(never, "x"))]
    assert run_all(jobs, 2) == 2
    assert saved.exists() and not never.exists()


@needs_two_cores
def test_whatever_escapes_stops_the_others_first(tmp_path, monkeypatch):
    begun, saved = tmp_path / "begun", tmp_path / "saved"
    says = f"""
        import pathlib, time
        while not pathlib.Path({str(begun)!r}).exists(): time.sleep(0.02)
        print("word", flush=True)
        time.sleep(60)
    """

    def closed(*_):
        raise BrokenPipeError

    monkeypatch.setattr("jax_labor.engine.jobs._print", closed)
    waits = job("waits", WAITS.format(saved=str(saved), begun=str(begun)))
    with pytest.raises(BrokenPipeError):
        run_all([waits, job("says", says)], 2)
    assert saved.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_every_job_save(number, tmp_path):
    begun, saved, never = (tmp_path / name for name in ("begun", "saved", "never"))
    jobs = [job("waits", WAITS.format(saved=str(saved), begun=str(begun)))]
    jobs.append(job("never", note(never, "x"), ["waits"]))
    code = f"import sys; from jax_labor.engine.jobs import *; sys.exit(run_all({jobs!r}))"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    for _ in range(1500):
        if begun.exists():
            break
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(30) == EXIT_STOPPED
    assert saved.exists() and not never.exists()
