"""Stops of every kind: a stopped and restarted run ends as an undisturbed one, bit for bit."""

import json
import random
import shutil
import signal
import time

import numpy as np
import orbax.checkpoint as ocp
import pytest
from forked import Command
from small import command, environment, launch


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data):
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    launch(workdir, data)
    return workdir


def final_state(workdir):
    """The last checkpoint by a bare Orbax restore, as a notebook would read it."""
    step = max(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())
    place = workdir / "checkpoints" / str(step) / "state"
    tree = ocp.StandardCheckpointer().restore(place.absolute())
    return step, {jax_key(p): np.asarray(x) for p, x in leaves(tree)}


def leaves(tree, prefix=()):
    for key, value in tree.items():
        yield from (
            leaves(value, (*prefix, key)) if isinstance(value, dict) else [((*prefix, key), value)]
        )


def jax_key(path):
    return "/".join(path)


def assert_same(workdir, undisturbed):
    step, state = final_state(workdir)
    expected_step, expected = final_state(undisturbed)
    assert step == expected_step == 9
    assert state.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(state[name], expected[name], err_msg=name)
    files = sorted(p.relative_to(undisturbed) for p in undisturbed.glob("rounds/**/*.*"))
    assert files == sorted(p.relative_to(workdir) for p in workdir.glob("rounds/**/*.*"))
    for name in files:
        assert (workdir / name).read_bytes() == (undisturbed / name).read_bytes(), name
    ours, theirs = (json.loads((w / "results.json").read_text()) for w in (workdir, undisturbed))
    for key in ("miou", "asked_pixels", "asked_by_round", "iou_by_class"):
        assert ours[key] == theirs[key]
    assert (workdir / "metrics.jsonl").read_text() == (undisturbed / "metrics.jsonl").read_text()


def start(workdir, data):
    return Command(command(workdir, data), env=environment())


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the run did not get there"
        time.sleep(0.002)


MOMENTS = (
    # In the middle of writing a checkpoint, of writing queries and of answering them; before the
    # kill of a moment the run was killed at all earlier ones.
    "checkpoints/2*",
    "rounds/000/queries/*.png",
    "checkpoints/4*",
    "rounds/001/queries/*.json",
    "rounds/001/answers/*.png",
)


def test_killed_at_delicate_moments(undisturbed, data, tmp_path):
    for moment in MOMENTS:
        assert not any(tmp_path.glob(moment))
        process = start(tmp_path, data)
        wait_for(lambda: any(tmp_path.glob(moment)))  # noqa: B023 - at once
        process.kill()
        process.wait()
        assert not (tmp_path / "results.json").exists()
    launch(tmp_path, data)
    assert_same(tmp_path, undisturbed)


def test_killed_again_and_again_at_random(undisturbed, data, tmp_path):
    rng = random.Random(0)
    for _ in range(3):
        process = start(tmp_path, data)
        wait_for(lambda: (tmp_path / "config.json").exists())
        time.sleep(rng.uniform(0.5, 6))
        process.kill()
        process.wait()
    launch(tmp_path, data)
    assert_same(tmp_path, undisturbed)


def test_begun_again_with_the_rounds_that_are_there(undisturbed, data, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(undisturbed, workdir, ignore=shutil.ignore_patterns("checkpoints", "results*"))
    launch(workdir, data)
    assert_same(workdir, undisturbed)


def test_sigterm_saves_and_loses_no_step(undisturbed, data, tmp_path):
    process = start(tmp_path, data)
    wait_for(
        lambda: (tmp_path / "metrics.jsonl").exists() and (tmp_path / "metrics.jsonl").read_text()
    )
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    step, _ = final_state(tmp_path)
    assert step >= json.loads(lines[-1])["step"]
    log = launch(tmp_path, data)
    assert f"going on from step {step}" in log
    assert_same(tmp_path, undisturbed)


def test_a_truncated_checkpoint_falls_back_to_the_one_before(undisturbed, data, tmp_path):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    newest = tmp_path / "checkpoints" / "9"
    for path in newest.glob("state/**/*"):
        if path.is_file() and path.stat().st_size > 100:
            path.write_bytes(path.read_bytes()[:50])
    log = launch(tmp_path, data)
    assert "checkpoints/9 cannot be read" in log
    assert "going on from step 8" in log
    (tmp_path / "checkpoints" / "9.damaged").rename(tmp_path / "damaged")
    assert_same(tmp_path, undisturbed)
