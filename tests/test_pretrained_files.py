"""Checkpoint files: what is read, what is refused, and how a file is written."""

import argparse
import os
import pickle
import sys
import zipfile

import numpy as np
import pytest

from jax_labor.errors import UserError
from jax_labor.models.pretrained import read_checkpoint, read_noted, save_checkpoint

torch = pytest.importorskip("torch", reason="the development extra torch is not installed")

TENSORS = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "bn1.bias": np.array([0.1, -0.0], np.float32),
    "bn1.num_batches_tracked": np.array(7),
}


def as_torch(tensors):
    return {key: torch.from_numpy(np.array(value)) for key, value in tensors.items()}


def refused(path):
    with pytest.raises(UserError) as error:
        read_checkpoint(path)
    assert str(path) in str(error.value)
    return str(error.value)


def assert_same(found, expected=TENSORS):
    assert list(found) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(found[key], value, strict=True)
        assert (np.signbit(found[key]) == np.signbit(value)).all()


@pytest.mark.parametrize("name", ["a.pth", "a.pt", "a.pth.tar", "a.npz"])
def test_written_and_read_back(tmp_path, name):
    path = tmp_path / "new" / name
    save_checkpoint(path, TENSORS)
    assert_same(read_checkpoint(path))
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_the_format_of_old_files(tmp_path):
    path = tmp_path / "old.pth"
    torch.save(as_torch(TENSORS), path, _use_new_zipfile_serialization=False)
    assert_same(read_checkpoint(path))


def test_a_pytorch_that_files_can_run_code_in_is_not_used(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    save_checkpoint(path, TENSORS)
    version = type(torch.__version__)
    for old in ("2.5.1+cpu", "2.6.0a0", "1.13.1"):
        monkeypatch.setattr(torch, "__version__", version(old))
        message = refused(path)
        assert f"PyTorch {old}" in message
        assert "torch>=2.6" in message
    for safe in ("2.6.0", "2.6.0+cu124", "2.10.1"):
        monkeypatch.setattr(torch, "__version__", version(safe))
        assert_same(read_checkpoint(path))


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
def test_wrappers_and_the_parallel_prefix_come_off(tmp_path, wrapper):
    state = {f"module.{key}": value for key, value in as_torch(TENSORS).items()}
    beside = {"epoch": 3, "optimizer": {"state": {0: torch.zeros(2)}}, "best_iou": 0.5}
    torch.save({wrapper: state, **beside}, tmp_path / "a.pth")
    assert_same(read_checkpoint(tmp_path / "a.pth"))


@pytest.mark.parametrize("core", ["core", "_core"])
def test_a_numpy_number_beside_the_weights(tmp_path, core):
    """As pickled before NumPy 2.0 and since."""
    beside = {"best_iou": np.float64(0.5), "best_epoch": np.int32(7), "best": np.bool_(True)}
    path = tmp_path / "a.pth"
    content = {"state_dict": as_torch(TENSORS), **beside}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    now = f"{np.float64(0).__reduce__()[0].__module__}\n".encode()
    stored = path.read_bytes()
    assert now in stored
    path.write_bytes(stored.replace(now, f"numpy.{core}.multiarray\n".encode()))
    assert_same(read_checkpoint(path))


def test_a_numpy_array_of_objects_is_refused_and_calls_nothing(tmp_path):
    path, trace = tmp_path / "evil.pth", tmp_path / "ran"
    evil = np.array([Hostile(f"touch {trace}")], dtype=object)
    torch.save({"state_dict": as_torch(TENSORS), "best": evil}, path)
    assert "nothing in it was run" in refused(path)
    assert not trace.exists()


def test_a_prefix_that_only_some_keys_have_stays(tmp_path):
    torch.save({"module.a": torch.zeros(1), "b": torch.zeros(1)}, tmp_path / "a.pth")
    assert list(read_checkpoint(tmp_path / "a.pth")) == ["module.a", "b"]


def test_a_second_network_beside_the_first_is_not_passed_over(tmp_path):
    state = as_torch(TENSORS)
    for second in (state, [state], {"a": (1, {"b": torch.zeros(1)})}, argparse.Namespace(a=state)):
        torch.save({"state_dict": state, "ema": second}, tmp_path / "a.pth")
        assert "beside state_dict it has tensors in 'ema', which is not known" in refused(
            tmp_path / "a.pth"
        )


def test_what_is_no_weights_beside_them_is_named(tmp_path):
    around = []
    around.append(around)  # holds itself
    beside = {"arch": "resnet50", "loss": 3.0, "best_epoch": 2, "hyper": {"lr": [0.1, None]}}
    torch.save({"state_dict": as_torch(TENSORS), **beside, "deep": around}, tmp_path / "a.pth")
    found, notes = read_noted(tmp_path / "a.pth")
    assert_same(found)
    assert notes == ("not read, as it is unknown and no weights: arch, loss, hyper, deep",)


def test_feature_extractor_and_classifier(tmp_path):
    path = tmp_path / "ripu.pth"
    tensors = {f"feature_extractor.{k}": v for k, v in TENSORS.items()}
    tensors |= {f"classifier.{k}": v for k, v in TENSORS.items()}
    save_checkpoint(path, tensors, ("feature_extractor", "classifier"))
    content = torch.load(path, weights_only=True)
    assert content.keys() == {"feature_extractor", "classifier"}
    assert_same(read_checkpoint(path), tensors)
    parallel = {f"module.{key}": value for key, value in content["classifier"].items()}
    torch.save({**content, "classifier": parallel, "iteration": 9}, path)
    assert_same(read_checkpoint(path), tensors)


def test_bfloat16_comes_as_float32(tmp_path):
    values = torch.tensor([1.0, 0.1]).bfloat16()
    torch.save({"a": values}, tmp_path / "a.pth")
    found = read_checkpoint(tmp_path / "a.pth")["a"]
    np.testing.assert_array_equal(found, values.float().numpy(), strict=True)


class Hostile:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare pickle"])
def test_a_file_that_calls_a_program_is_refused_and_calls_nothing(tmp_path, form):
    path, trace = tmp_path / "evil.pth", tmp_path / "ran"
    content = {"conv1.weight": torch.zeros(1), "more": Hostile(f"touch {trace}")}
    if form == "bare pickle":
        path.write_bytes(pickle.dumps({"more": content["more"]}, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    message = refused(path)
    assert "nothing in it was run" in message
    assert f"{os.system.__module__}.system" in message
    assert not trace.exists()
    os.system(Hostile(f"touch {trace}").command)  # the command would have left its trace
    assert trace.exists()


def test_a_hostile_npz_is_refused_and_calls_nothing(tmp_path):
    path, trace = tmp_path / "evil.npz", tmp_path / "ran"
    np.savez(path, a=np.array([Hostile(f"touch {trace}")], dtype=object))
    refused(path)
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Hostile(f"touch {trace}")))
    refused(tmp_path / "bare.npz")
    assert not trace.exists()


@pytest.mark.parametrize("suffix", ["pth", "npz"])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    save_checkpoint(path, TENSORS)
    whole = path.read_bytes()
    for share in (0, 0.01, 0.3, 0.5, 0.9, 0.99):
        path.write_bytes(whole[: int(len(whole) * share)])
        refused(path)


def test_a_truncated_old_file_is_refused(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(as_torch(TENSORS), path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for share in (0, 0.01, 0.3, 0.6, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        refused(path)


def test_an_altered_npz_is_refused(tmp_path):
    path = tmp_path / "a.npz"
    save_checkpoint(path, TENSORS)
    content = bytearray(path.read_bytes())
    content[zipfile.ZipFile(path).infolist()[0].file_size] ^= 1
    path.write_bytes(content)
    assert "BadZipFile" in refused(path)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_what_is_no_state_dict(tmp_path):
    path = tmp_path / "a.pth"
    parts = [torch.zeros(2), torch.zeros(3)]
    for content, named in [
        (torch.zeros(2), "holds a Tensor"),
        ([torch.zeros(2)], "holds a list"),
        ({"lr": 0.1}, "'lr' is a float"),
        ({3: torch.zeros(1)}, "3 is a Tensor"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "a (float32 on cpu) is not a dense array"),
        ({"a": torch.zeros(2).to(torch.float8_e4m3fn)}, "a (float8_e4m3fn on cpu) is not a dense"),
        ({"a": torch.zeros(2, device="meta")}, "a (float32 on meta) is not a dense array"),
        ({"a": torch.nested.nested_tensor(parts)}, "is not a dense"),
    ]:
        torch.save(content, path)
        assert named in refused(path)
    path.write_text("<html>404</html>")
    refused(path)


def test_missing_files_folders_and_other_kinds(tmp_path):
    assert "no such file" in refused(tmp_path / "none.pth")
    (tmp_path / "folder.pth").mkdir()
    assert "no such file" in refused(tmp_path / "folder.pth")
    (tmp_path / "a.h5").write_bytes(b"x")
    assert ".npz" in refused(tmp_path / "a.h5")
    with pytest.raises(UserError, match="name the output"):
        save_checkpoint(tmp_path / "a.h5", TENSORS)


def test_without_torch_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    save_checkpoint(path, TENSORS)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "pip install torch" in refused(path)
    save_checkpoint(tmp_path / "a.npz", TENSORS)
    assert_same(read_checkpoint(tmp_path / "a.npz"))


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    save_checkpoint(path, TENSORS)

    def full(file, **tensors):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(UserError, match="the disk is full"):
        save_checkpoint(path, {"other": np.zeros(1)})
    assert_same(read_checkpoint(path))
    assert [p.name for p in tmp_path.iterdir()] == ["a.npz"]


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="a file stands where a folder is needed"):
        save_checkpoint(tmp_path / "file" / "a.npz", TENSORS)
