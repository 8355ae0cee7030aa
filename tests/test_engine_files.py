"""Files: whole or not at all; a full or forbidden disk is the user's to mend."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from etils import epath

from jax_labor import files
from jax_labor.data.builders import hashes
from jax_labor.data.builders.hashes import hash_files
from jax_labor.engine.config import check_config, differences, flatten, write_config
from jax_labor.engine.lock import hold, release
from jax_labor.errors import UserError
from jax_labor.experiments import restored


def test_json_takes_arrays_and_scalars(tmp_path):
    content = {
        "a": np.float32(0.5),
        "b": np.array([[1, 2], [3, 4]]),
        "c": jnp.bfloat16(2),
        "d": (1, None, True, "x"),
        "nan": float("nan"),
        "nans": np.array([np.inf, 1.0]),
        7: {"path": epath.Path("a/b")},
        "set": {"y", "x"},
    }
    files.write_json(tmp_path / "a.json", content)
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": 0.5,
        "b": [[1, 2], [3, 4]],
        "c": 2.0,
        "d": [1, None, True, "x"],
        "nan": None,
        "nans": [None, 1.0],
        "7": {"path": "a/b"},
        "set": ["x", "y"],
    }
    assert files.read_json(epath.Path(tmp_path) / "a.json")["a"] == 0.5
    with pytest.raises(TypeError, match="object has no JSON form"):
        files.write_json(tmp_path / "a.json", {"a": object()})
    assert files.read_json(tmp_path / "a.json")["a"] == 0.5


def test_read_json_names_the_file(tmp_path):
    with pytest.raises(UserError, match="b.json: no such file. Restore it"):
        files.read_json(tmp_path / "b.json")
    (tmp_path / "b.json").write_text("{")
    with pytest.raises(UserError, match="b.json: not JSON"):
        files.read_json(tmp_path / "b.json")


@pytest.mark.parametrize("broken", ["replace", "fsync"])
@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "not writable")]
)
def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch, broken, code, words):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(files.os, broken, fail)
    with pytest.raises(UserError, match=f"a.txt: {words}"):
        files.write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_an_error_that_is_not_the_disks_stays(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="broken"):
        files.write_text(tmp_path / "a", "x")


def test_one_process_trains_in_a_workdir(tmp_path):
    code = (
        "import sys; from jax_labor.engine.lock import hold; hold(sys.argv[1]); print(1, flush=1)"
    )
    line = [sys.executable, "-c", code + "; input()", str(tmp_path)]
    other = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline() == b"1\n"
        with pytest.raises(UserError, match="another process is training here"):
            hold(tmp_path)
    finally:
        other.kill()
        other.communicate()
    hold(tmp_path)
    hold(tmp_path)  # again in the same process, as by a resume


def test_prepare_workdir(tmp_path):
    workdir = files.prepare_workdir(tmp_path / "a" / "b")
    assert workdir.is_dir() and not os.listdir(workdir)
    assert files.prepare_workdir(workdir) == workdir
    with pytest.raises(UserError, match="MiB free, .* MiB needed.*--workdir"):
        files.prepare_workdir(workdir, needed_bytes=2**60)
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "b"):
        with pytest.raises(UserError, match="a file stands where a folder is needed"):
            files.prepare_workdir(path)


@pytest.mark.parametrize("name", ["/proc/foo", "a" * 300])
def test_a_workdir_that_cannot_be_made(tmp_path, name):
    with pytest.raises(UserError, match=f"{name}: cannot be made .*Choose another path"):
        files.prepare_workdir(tmp_path / name)


def test_a_folder_where_a_file_is_needed(tmp_path):
    for act in (files.check_writable, lambda path: files.write_text(path, "x")):
        with pytest.raises(UserError, match="a folder stands where a file is needed"):
            act(tmp_path)
        act(tmp_path / "new/file.json")
    with pytest.raises(UserError, match="a file stands where a folder is needed"):
        files.check_writable(tmp_path / "new/file.json/inner.json")


def test_prepare_workdir_read_only(tmp_path):
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(tmp_path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a read-only file system needs root")
    try:
        for path in (tmp_path, tmp_path / "new"):
            with pytest.raises(UserError, match="not writable"):
                files.prepare_workdir(path, needed_bytes=0)
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


CONFIG = {
    "seed": 0,
    "model": {"backbone": "resnet101", "rates": (6, 12), "extra": {}},
    "log": {"every": 10},
    "logs": 1,
}


def test_flatten_and_differences():
    assert flatten(CONFIG) == {
        "seed": 0,
        "model.backbone": "resnet101",
        "model.rates": (6, 12),
        "model.extra": {},
        "log.every": 10,
        "logs": 1,
    }
    assert differences(CONFIG, json.loads(json.dumps(CONFIG))) == []
    new = {**CONFIG, "log": {"every": 5}, "logs": 2, "new": None}
    assert differences(CONFIG, new, free=("log",)) == [
        "- logs: was 1, now 2",
        "- new: was absent, now None",
    ]


def test_resume_with_another_config_shows_the_difference(tmp_path):
    check_config(tmp_path, CONFIG)
    write_config(tmp_path, CONFIG)
    check_config(tmp_path, CONFIG)
    new = {**CONFIG, "seed": 1, "model": {**CONFIG["model"], "backbone": "resnet50"}}
    with pytest.raises(UserError) as caught:
        check_config(tmp_path, new, free=("log",))
    assert str(caught.value).splitlines()[1:] == [
        "- model.backbone: was resnet101, now resnet50",
        "- seed: was 0, now 1",
        "Choose another --workdir, go back to the old settings, or pass --force",
    ]
    check_config(tmp_path, {**CONFIG, "log": {"every": 1}}, free=("log",))
    write_config(tmp_path, new)
    assert files.read_json(tmp_path / "config.json")["seed"] == 1


@pytest.mark.parametrize("left", ["checkpoints/20", "rounds/000"])
def test_what_settings_made_is_not_taken_over_without_them(left, tmp_path):
    (tmp_path / left).parent.mkdir()
    check_config(tmp_path, CONFIG)  # nothing was made yet
    (tmp_path / left).mkdir()
    with pytest.raises(UserError, match="config.json is missing, but there are .* restore it"):
        check_config(tmp_path, CONFIG)
    write_config(tmp_path, CONFIG)
    check_config(tmp_path, CONFIG)


def test_another_users_lock_is_held_as_well(tmp_path, monkeypatch):
    opened, allowed = os.open, [os.O_RDONLY]

    def open_(path, how, *mode):
        if how not in allowed:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(path, how, *mode)

    (tmp_path / ".lock").touch()
    monkeypatch.setattr(os, "open", open_)
    hold(tmp_path)
    assert release() is None
    allowed.clear()
    with pytest.raises(UserError, match=r"\.lock: not writable"):
        hold(tmp_path)


@pytest.mark.parametrize("content", ["[]", "3", "null"])
def test_other_json_than_an_object_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match="config.json: not a JSON object"):
        check_config(tmp_path, {"seed": 1})
    with pytest.raises(UserError, match="config.json: not a JSON object"):
        restored.read_config(str(tmp_path))


def test_an_object_that_is_no_configuration_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"a": 1}')
    with pytest.raises(UserError, match="config.json: not the settings of a run"):
        restored.read_config(str(tmp_path))


def test_hashes_are_kept_where_they_can_be_written(tmp_path, caplog, monkeypatch):
    path, own = str(tmp_path / "a.png"), tmp_path / "own/hashes.json"
    Path(path).write_bytes(b"abc")
    shared = tmp_path / "a.png/hashes.json"  # a file stands where its folder should
    (digest,) = hash_files([path], shared, own)
    assert files.read_json(own)[path][2] == digest and not caplog.records
    with monkeypatch.context() as patch:
        patch.setattr(hashes, "_hash", None)  # reading the file again would call it
        assert hash_files([path, path], shared, own) == [digest, digest]
    memory, stale = tmp_path / "hashes.json", files.read_json(own)
    Path(path).write_bytes(b"abcd")  # while the folder can be written
    (digest,) = hash_files([path], memory, own)
    assert files.read_json(own) == stale
    with monkeypatch.context() as patch:
        patch.setattr(hashes, "_hash", None)
        assert hash_files([path], memory, own) == [digest]
    assert hash_files([path], shared) == [digest]
    (warning,) = caplog.records
    assert "a.png/hashes.json cannot be written: every start reads all" in warning.getMessage()


@pytest.mark.parametrize(
    "damaged", ["", "[]", "null", '{"PATH": []}', '{"PATH": null}', '{"PATH": [1, 2]}']
)
def test_a_damaged_memory_of_hashes_is_begun_anew(tmp_path, damaged):
    path, memory = tmp_path / "a.png", tmp_path / "hashes.json"
    path.write_bytes(b"abc")
    memory.write_text(damaged.replace("PATH", str(path)))
    digest = hashlib.sha256(b"abc").hexdigest()
    assert hash_files([path], memory) == [digest]
    assert files.read_json(memory)[str(path)][2] == digest
