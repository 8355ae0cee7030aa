"""DatasetGAN killed at any point, or shared by two processes, ends as an undisturbed run."""

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from forked import Command
from small import ROOT, environment
from small_factory import FLAGS, make_generator
from test_datasetgan import bands, written
from test_distributed import two
from test_resume import final_state, wait_for

from jax_labor.labels import oracle
from jax_labor.labels.store import Round

WAITING, LONGEST = 75, 900
MOMENTS = (
    # Before the kill of a moment the run was killed at all earlier ones.
    "ensemble/checkpoints/4*",
    "dataset/parts/block-000001",
    "dataset/parts/*/*train*00001-of*",
    "dataset/sheet.png",  # card.json comes last
    "checkpoints/2*",
)
FIGURES_OF_THE_DAY = ("date", "seconds", "images_per_second")


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return make_generator(tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="module")
def begin(data, generator):
    """Starts the run of a workdir in a process of its own; it logs beside the workdir."""

    def begin(workdir, *flags, **env):
        line = [sys.executable, str(ROOT / "launch/main.py")]
        line += [f"--config={ROOT}/configs/datasetgan.py:demo", f"--workdir={workdir}"]
        line += [*FLAGS, f"--config.data.dir={data}", f"--compilation_cache={data}/compiled"]
        line += [f"--config.generator.path={generator}", "--config.annotator=people", *flags]
        with Path(f"{workdir}.log").open("a") as log:
            # Settings of JAX's own are for processes that import it.
            start = subprocess.Popen if env else Command
            return start(line, env=environment(**env), stdout=log, stderr=log)

    return begin


def ends(process, workdir, status=0):
    assert process.wait() == status, Path(f"{workdir}.log").read_text()[-3000:]


@pytest.fixture(scope="module")
def asked(tmp_path_factory, begin):
    """The workdir of a run that waits for answers to its samples."""
    workdir = tmp_path_factory.mktemp("asked") / "run"
    ends(begin(workdir), workdir, WAITING)
    return workdir


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, begin, asked):
    workdir = answered(asked, tmp_path_factory.mktemp("undisturbed") / "run")
    ends(begin(workdir), workdir)
    return workdir


def answered(asked, workdir):
    """A copy of the waiting run, with its answers."""
    shutil.copytree(asked, workdir)
    oracle.answer(Round(workdir, 0), bands, "anna")
    return workdir


def kill(process, workdir):
    assert process.poll() is None, Path(f"{workdir}.log").read_text()[-3000:]
    process.kill()
    process.wait()


def contents(workdir, *patterns) -> dict:
    """The files that the patterns find, by path."""
    paths = sorted(p for pattern in patterns for p in workdir.glob(pattern) if p.is_file())
    return {str(p.relative_to(workdir)): p.read_bytes() for p in paths}


def results(workdir) -> dict:
    """results.json without what differs from run to run."""
    found = json.loads((workdir / "results.json").read_text())
    assert found["dataset"].pop("folder") == str(workdir / "dataset")
    return {name: value for name, value in found.items() if name not in FIGURES_OF_THE_DAY}


def assert_same(workdir, undisturbed):
    assert written(workdir / "dataset") == written(undisturbed / "dataset")
    for place in ("ensemble", "."):
        (step, state), (last, expected) = (final_state(w / place) for w in (workdir, undisturbed))
        assert step == last and state.keys() == expected.keys()
        for name in expected:
            np.testing.assert_array_equal(state[name], expected[name], err_msg=name)
    same = ("dataset/*", "rounds/**/*", "metrics.jsonl", "ensemble/metrics.jsonl", "folds/*")
    ours, theirs = contents(workdir, *same), contents(undisturbed, *same)
    assert ours.keys() == theirs.keys() >= {"dataset/card.json", "dataset/README.md"}
    for name in theirs:
        assert ours[name] == theirs[name], name
    assert not (workdir / "dataset/parts").exists()
    assert results(workdir) == results(undisturbed)


def test_killed_while_samples_are_written(tmp_path, begin, asked):
    workdir = tmp_path / "run"
    process = begin(workdir)
    wait_for(lambda: any(workdir.glob("rounds/images/*")), LONGEST)
    kill(process, workdir)
    ends(begin(workdir), workdir, WAITING)
    assert contents(workdir, "rounds/**/*") == contents(asked, "rounds/**/*")


def test_killed_at_delicate_moments(tmp_path, begin, asked, undisturbed):
    workdir = answered(asked, tmp_path / "run")
    for moment in MOMENTS:
        process = begin(workdir)
        wait_for(lambda: any(workdir.glob(moment)), LONGEST)  # noqa: B023 - at once
        kill(process, workdir)
        assert not (workdir / "results.json").exists()
    ends(begin(workdir), workdir)
    assert_same(workdir, undisturbed)


def test_killed_at_random(tmp_path, begin, asked, undisturbed):
    workdir, rng = answered(asked, tmp_path / "run"), random.Random(0)
    for _ in range(2):
        process = begin(workdir)
        wait_for(lambda: (workdir / "ensemble").exists(), LONGEST)
        time.sleep(rng.uniform(0, 4))
        process.kill()
        process.wait()
    ends(begin(workdir), workdir)
    assert_same(workdir, undisturbed)


def begin_two(begin, workdir, *flags):
    """Starts two processes of one run."""
    return [begin(workdir, *flags, **env) for env in two()]


def test_two_processes_write_the_same_bytes(tmp_path, begin, asked, undisturbed):
    workdir = answered(asked, tmp_path / "run")
    for process in begin_two(begin, workdir):
        ends(process, workdir)
    assert "2 processes" in Path(f"{workdir}.log").read_text()
    assert written(workdir / "dataset") == written(undisturbed / "dataset")
    (_, ours), (_, theirs) = (final_state(w / "ensemble") for w in (workdir, undisturbed))
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    # What only the first of them finds out ends both with the same words.
    (workdir / "dataset/card.json").unlink()
    (workdir / "dataset/README.md").unlink()
    (workdir / "dataset/README.md").mkdir()
    Path(f"{workdir}.log").unlink()
    for process in begin_two(begin, workdir):
        ends(process, workdir, status=2)
    assert Path(f"{workdir}.log").read_text().count("a folder stands where a file is needed") == 2


def test_two_processes_train_the_oracle(tmp_path, begin):
    """Until the ensemble learns from its labels: what follows is the test above."""
    workdir = tmp_path / "run"
    short = ("train.steps=1", "train.eval_every=0", "eval.folds=0")
    short = (f"--config.{setting}" for setting in short)
    processes = begin_two(begin, workdir, "--config.annotator=segmenter", *short)
    wait_for(lambda: any(workdir.glob("ensemble/checkpoints/2*")), LONGEST)
    for process in processes:
        kill(process, workdir)
    round_ = Round(workdir, 0)
    assert [round_.answer_facts(n)["annotator"] for n in round_.names()] == ["segmenter"] * 3
