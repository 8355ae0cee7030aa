"""Checkpoints: whole or not at all, on any devices, past damage, past kill -9, past a full disk."""

import errno
import json
import logging
import os
import random
import re
import signal
import subprocess
import sys
import time
from unittest.mock import Mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import orbax.checkpoint as ocp
import pytest
from flax.training import train_state

from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.tree import fill, host_arrays
from jax_labor.engine.workdir import take
from jax_labor.errors import UserError

pytestmark = pytest.mark.usefixtures("quick_compilation")


class Net(nn.Module):
    classes: int = 5

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(4, (3, 3), name="conv")(x)
        x = nn.BatchNorm(use_running_average=False, axis_name="data", name="norm")(x)
        return nn.Dense(self.classes, name="head")(x)


class State(train_state.TrainState):
    batch_stats: dict
    thresholds: jax.Array


def make_state(classes=5):
    net = Net(classes)
    variables = net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    tx = optax.chain(
        optax.clip_by_global_norm(1.0),
        optax.multi_transform(
            {"slow": optax.sgd(0.1, momentum=0.9), "fast": optax.adam(0.1)},
            lambda params: {name: "fast" if name == "head" else "slow" for name in params},
        ),
    )
    return State.create(
        apply_fn=net.apply,
        params=variables["params"],
        tx=tx,
        batch_stats=variables["batch_stats"],
        thresholds=jnp.full(classes, 0.9, jnp.bfloat16),
    )


def step(state, batch):
    def loss(params):
        variables = {"params": params, "batch_stats": state.batch_stats}
        out, new = state.apply_fn(variables, batch, mutable=["batch_stats"])
        return jnp.mean(out**2), new

    grads, new = jax.grad(loss, has_aux=True)(state.params)
    grads = jax.lax.pmean(grads, "data")
    return state.apply_gradients(grads=grads, batch_stats=new["batch_stats"])


@pytest.fixture(scope="module")
def trained():
    """A state after two steps on four devices, replicated as pmap leaves it."""
    mapped = jax.pmap(step, "data", in_axes=(None, 0), out_axes=None)
    state = make_state()
    for number in range(2):
        state = mapped(state, jax.random.normal(jax.random.key(number), (4, 2, 8, 8, 3)))
    return state


def small(value):
    return {"w": np.full((300,), value, np.float32), "step": np.int32(value)}


def saved(workdir, steps=(1, 2, 3)):
    checkpoints = Checkpoints(workdir)
    for number in steps:
        checkpoints.save(number, small(number), {"round": number})
    checkpoints.wait()
    return checkpoints


def test_round_trip_from_four_devices_into_a_new_state(tmp_path, trained):
    assert len(trained.params["head"]["kernel"].sharding.device_set) == 4
    checkpoints = Checkpoints(tmp_path)
    meta = {"position": {"next": 7}, "ledger": [1, 2], "seconds": np.float64(1.5)}
    checkpoints.save(2, trained, meta)
    checkpoints.close()
    target = make_state()
    number, state, read = Checkpoints(tmp_path).restore(target)
    assert (number, read) == (2, {"position": {"next": 7}, "ledger": [1, 2], "seconds": 1.5})
    assert jax.tree.structure(state) == jax.tree.structure(target)
    before, after = host_arrays(trained), host_arrays(state)
    assert before.keys() == after.keys() and len(before) == 19
    for name, array in before.items():
        assert after[name].dtype == array.dtype, name
        np.testing.assert_array_equal(after[name], array, err_msg=name)
    mapped = jax.pmap(step, "data", in_axes=(None, 0), out_axes=None)
    batch = jnp.ones((4, 2, 8, 8, 3))
    again, plain = host_arrays(mapped(state, batch)), host_arrays(mapped(trained, batch))
    for name in before:
        np.testing.assert_array_equal(again[name], plain[name], err_msg=name)


def test_bare_orbax_restore_needs_no_target(tmp_path, trained):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(2, trained, {"round": 1})
    checkpoints.close()
    folder = checkpoints.folder / "2" / "state"
    tree = ocp.StandardCheckpointer().restore(folder)
    np.testing.assert_array_equal(
        tree["params"]["head"]["kernel"], trained.params["head"]["kernel"]
    )
    assert int(tree["step"]) == 2


def test_abstract_target_takes_no_memory_for_arrays(tmp_path):
    saved(tmp_path, (4,)).close()
    target = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, small(0)))
    number, state, _ = Checkpoints(tmp_path).restore(target)
    assert number == 4 and state["w"][0] == 4


def test_another_model_is_refused_leaf_by_leaf(tmp_path, trained):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(2, trained, {})
    with pytest.raises(UserError) as caught:
        checkpoints.restore(make_state(classes=7))
    text = str(caught.value)
    assert "checkpoints/2" in text
    assert (
        "params/head/kernel: the checkpoint has float32[4,5], this model wants float32[4,7]" in text
    )


def test_fill_names_missing_left_over_and_dtype():
    arrays = {"a": np.zeros(2, np.float32), "c": np.zeros((), np.int32)}
    target = {"a": np.zeros(2, np.int32), "b": np.zeros(1), "c": 0}
    with pytest.raises(UserError) as caught:
        fill(target, {**arrays, "d": np.zeros(1)}, "here")
    lines = str(caught.value).splitlines()
    assert lines[1:4] == [
        "- a: the checkpoint has float32[2], this model wants int32[2]",
        "- b: not in the checkpoint",
        "- d: not in this model",
    ]


def test_keeps_the_newest_three_and_does_not_save_twice(tmp_path):
    checkpoints = saved(tmp_path, (1, 2, 3, 5, 8))
    assert checkpoints.steps() == [3, 5, 8]
    checkpoints.save(8, small(99), {})
    assert checkpoints.restore(small(0))[1]["w"][0] == 8
    assert checkpoints.restore(small(0), step=5)[2] == {"round": 5}
    with pytest.raises(UserError, match=r"no checkpoint of step 4; there are \[3, 5, 8\]"):
        checkpoints.restore(small(0), step=4)
    with pytest.raises(ValueError, match="6 cannot be saved after step 8"):
        checkpoints.save(6, small(6), {})


def test_nothing_saved_is_none(tmp_path):
    assert Checkpoints(tmp_path).restore(small(0)) is None
    assert Checkpoints(tmp_path / "absent", read_only=True).restore(small(0)) is None
    assert not (tmp_path / "absent").exists()


def test_a_save_does_not_see_later_writes_to_its_arrays(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    state = small(1)
    checkpoints.save(1, state, {})
    state["w"][:] = -1
    checkpoints.wait()
    assert (checkpoints.restore(small(0))[1]["w"] == 1).all()


def data_files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def test_numbers_that_changed_on_disk_are_noticed_by_their_checksum(tmp_path, caplog):
    """Orbax itself reads them."""
    saved(tmp_path).close()
    path = tmp_path / "checkpoints" / "3" / "meta" / "metadata"
    content = json.loads(path.read_text())
    assert content["round"] == 3
    path.write_text(json.dumps(content | {"round": 7}))
    with caplog.at_level(logging.WARNING, "jax_labor"):
        number, _, meta = Checkpoints(tmp_path).restore(small(0))
    assert (number, meta) == (2, {"round": 2})
    assert "its checksum is wrong" in caplog.text


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("how", ["cut", "flip", "remove"])
def test_damaged_latest_falls_back_and_says_so(tmp_path, caplog, seed, how):
    saved(tmp_path).close()
    folder = tmp_path / "checkpoints" / "3"
    rng = random.Random(seed)
    # The files that hold the arrays and their index; Orbax can do without the others.
    victims = data_files(folder / "state") + [folder / "meta" / "metadata"]
    victim = rng.choice([path for path in victims if "commit" not in path.name])
    content = bytearray(victim.read_bytes())
    if how == "remove":
        victim.unlink()
    elif how == "cut":
        victim.write_bytes(content[: rng.randrange(len(content))])
    else:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        victim.write_bytes(content)
    checkpoints = Checkpoints(tmp_path)
    with caplog.at_level(logging.WARNING, "jax_labor"):
        number, state, meta = checkpoints.restore(small(0))
    # A file that was not needed may be lost unnoticed, but never are wrong numbers returned.
    assert (state["w"] == number).all() and state["step"] == number
    assert meta == {"round": number}
    if number == 3:
        return
    assert number == 2 and f"{folder} cannot be read" in caplog.text
    assert (tmp_path / "checkpoints" / "3.damaged").is_dir() and not folder.exists()
    checkpoints.save(3, small(3), {"round": 3})
    checkpoints.close()
    assert Checkpoints(tmp_path).restore(small(0))[0] == 3


def test_all_arrays_cut_is_always_noticed(tmp_path):
    for number in range(4):
        workdir = tmp_path / str(number)
        saved(workdir, (1, 2)).close()
        for victim in data_files(workdir / "checkpoints" / "2" / "state"):
            content = victim.read_bytes()
            victim.write_bytes(content[: len(content) * number // 4])
        assert Checkpoints(workdir).restore(small(0))[0] == 1


def test_none_readable_is_refused_and_left_in_place(tmp_path):
    saved(tmp_path).close()
    for victim in data_files(tmp_path / "checkpoints"):
        victim.write_bytes(b"")
    with pytest.raises(UserError, match=r"none of the checkpoints can be read"):
        Checkpoints(tmp_path).restore(small(0))
    assert (tmp_path / "checkpoints" / "3").is_dir()


@pytest.mark.parametrize("name", ["[lab]", "a*", "what?", "a\\b"])
def test_a_path_that_orbax_takes_for_a_pattern_is_refused(tmp_path, name, monkeypatch):
    """It would save checkpoints without arrays; and looks at the whole path, whatever is given."""
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / name)
    with pytest.raises(UserError, match=re.escape(f"{name}/run: a path of checkpoints cannot")):
        Checkpoints("run")
    with pytest.raises(UserError, match="choose another"):
        take("run", {}, (), force=False)
    assert not (tmp_path / name / "run").exists()


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OSError(errno.ESTALE, "Stale file handle"), UserError, "3 cannot be read now .*Stale"),
        (MemoryError("no more"), MemoryError, "no more"),
    ],
)
def test_what_is_wrong_with_the_machine_sets_no_checkpoint_aside(
    tmp_path, monkeypatch, error, kind, message
):
    saved(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "_read", Mock(side_effect=error))
        with Checkpoints(tmp_path) as checkpoints, pytest.raises(kind, match=message):
            checkpoints.restore(small(0))
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.restore(small(0))[0] == 3


def test_read_only_changes_nothing(tmp_path):
    saved(tmp_path).close()
    folder = tmp_path / "checkpoints"
    for victim in data_files(folder / "3" / "state"):
        victim.write_bytes(b"")
    (folder / "4.orbax-checkpoint-tmp").mkdir()
    before = sorted(folder.rglob("*"))
    checkpoints = Checkpoints(tmp_path, read_only=True)
    assert checkpoints.restore(small(0))[0] == 2
    checkpoints.save(9, small(9), {})
    checkpoints.close()
    assert sorted(folder.rglob("*")) == before


WRITER = """
import sys
import numpy as np
from jax_labor.engine.checkpoint import Checkpoints
checkpoints = Checkpoints(sys.argv[1])
found = checkpoints.restore({"w": np.zeros(400_000, np.float32), "n": np.int32(0)})
step = found[0] if found else 0
if found:
    assert (found[1]["w"] == step).all() and found[1]["n"] == step and found[2]["step"] == step
print("from", step, flush=True)
while True:
    step += 1
    state = {"w": np.full(400_000, step, np.float32), "n": np.int32(step)}
    checkpoints.save(step, state, {"step": step})
    checkpoints.wait()
    print("saved", step, flush=True)
"""


def test_kill_nine_in_the_middle_of_saves_loses_none_that_was_done(tmp_path):
    rng = random.Random(0)
    done = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = process.stdout.readline()
        assert first.startswith("from "), first + process.stderr.read()
        # The rename may have been done and its report not yet.
        assert int(first.split()[1]) in (done, done + 1)
        if not done:
            first += process.stdout.readline()  # a slow machine must get to one save
        time.sleep(rng.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        assert process.returncode == -signal.SIGKILL, err
        done = int((first + out).splitlines()[-1].split()[1])
    checkpoints = Checkpoints(tmp_path)
    last, state, _ = checkpoints.restore({"w": np.zeros(400_000, np.float32), "n": np.int32(0)})
    assert last in (done, done + 1)
    checkpoints.save(last + 1, state, {})
    checkpoints.close()
    assert not [name for name in os.listdir(checkpoints.folder) if "tmp" in name]


@pytest.fixture
def little_disk(tmp_path):
    """A file system of 2 MiB; the test skips where it may not be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_full_disk_is_the_users_and_the_earlier_ones_stay(little_disk):
    checkpoints = saved(little_disk, (1, 2))
    noise = np.random.default_rng(0).normal(size=1_000_000)
    with pytest.raises(UserError, match="checkpoints: the disk is full"):
        checkpoints.save(3, {"w": noise, "step": np.int32(3)}, {})
        checkpoints.wait()
    assert checkpoints.steps() == [1, 2]
    assert checkpoints.restore(small(0))[0] == 2
    checkpoints.save(4, small(4), {"round": 4})
    checkpoints.close()
    assert Checkpoints(little_disk).restore(small(0))[0] == 4


def test_full_disk_by_error_number(tmp_path, monkeypatch):
    checkpoints = saved(tmp_path, (1,))

    def full(*_, **__):
        raise RuntimeError("storage") from OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints._manager, "save", full)
    with pytest.raises(UserError, match="the disk is full"):
        checkpoints.save(2, small(2), {})
    checkpoints.save(2, small(2), {})
    checkpoints.close()
    assert Checkpoints(tmp_path).restore(small(0))[0] == 2
