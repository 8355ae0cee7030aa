"""Official .pkl files: read without running anything in them; hostile and damaged ones refused."""

import collections
import io
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from jax_labor.errors import UserError
from jax_labor.models.pretrained import Options, load_stylegan, read_checkpoint
from jax_labor.models.pretrained.stylegan_pickle import read_stylegan_pickle

torch = pytest.importorskip("torch", reason="the development extra torch is not installed")
from torch_stylegan2 import BUSHY, Persistent, official_pickle  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TENSORS = {
    "mapping.fc0.weight": torch.arange(6.0).reshape(2, 3),
    "synthesis.b4.conv1.noise_const": torch.arange(4.0).reshape(2, 2).T,
    "synthesis.b4.conv1.weight": torch.arange(24.0)
    .reshape(2, 3, 2, 2)
    .contiguous(memory_format=torch.channels_last),
    "synthesis.b4.conv1.noise_strength": torch.tensor(0.5),
    "mapping.half": torch.tensor([0.1, -2.0]).half(),
}


def networks(**more):
    return {"G": Persistent("Generator", TENSORS, {"z_dim": 3}), **more}


def refused(path, content=None, network="G"):
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read_stylegan_pickle(path, network)
    assert str(error.value).startswith(str(path))
    return str(error.value)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "network.pkl"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_and_arguments_come_as_they_are(path, protocol):
    arguments = {"z_dim": np.int64(3), "nested": collections.OrderedDict(a=[1, None, 2.5])}
    path.write_bytes(
        official_pickle({"D": None, "G": Persistent("Generator", TENSORS, arguments)}, protocol)
    )
    found = read_stylegan_pickle(path, "G")
    assert found.kind == "Generator"
    assert found.arguments == {"z_dim": 3, "nested": {"a": [1, None, 2.5]}}
    assert found.tensors.keys() == TENSORS.keys()
    for key, tensor in TENSORS.items():
        np.testing.assert_array_equal(found.tensors[key], tensor.numpy(), strict=True)
    assert read_checkpoint(path, "G").keys() == TENSORS.keys()


def test_bfloat16_comes_as_float32_and_float64_as_it_is(path):
    values = torch.tensor([[1.0, 0.1], [-3e38, 1e-40]])
    tensors = {"mapping.a": values.bfloat16().T, "mapping.b": values.double() / 3}
    path.write_bytes(official_pickle({"G": Persistent("Generator", tensors, {})}))
    found = read_stylegan_pickle(path, "G").tensors
    for key, expected in zip(
        tensors, (values.bfloat16().T.float(), values.double() / 3), strict=True
    ):
        np.testing.assert_array_equal(found[key], expected.numpy(), strict=True)


def test_a_network_alone_is_the_one_that_is_used(path):
    path.write_bytes(official_pickle(networks()["G"]))
    assert read_stylegan_pickle(path).tensors.keys() == TENSORS.keys()
    assert "no network 'G'; it has G_ema" in refused(path)
    path.write_bytes(official_pickle(Persistent("Discriminator", TENSORS, {})))
    assert read_stylegan_pickle(path, "D").kind == "Discriminator"


def test_a_file_of_torch_save_says_what_it_is(path):
    torch.save({"G_ema": TENSORS}, path)
    assert "rename it to .pt" in refused(path)


def test_neither_torch_nor_any_module_of_the_file_is_imported(golden):
    code = f"""
import sys
from jax_labor.models.pretrained import load_stylegan
load_stylegan({str(golden / "sg2ada_uncond64.pkl")!r})
sys.exit(any(name.split(".")[0] in ("torch", "torch_utils", "dnnlib") for name in sys.modules))
"""
    environment = os.environ | {"JAX_PLATFORMS": "cpu"}
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment).returncode == 0


class Call:
    """Pickles as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


class WithState(Call):
    def __reduce__(self):
        return self.function, self.arguments, {"state": Call(os.system, "true")}


def shell(trace):
    return Call(os.system, f"touch {trace}")


PLACES = {
    "beside": lambda evil: networks(augment_pipe=evil),
    "in a state": lambda evil: networks(D=Persistent("Discriminator", {}, {}, hook=evil)),
    "in the arguments": lambda evil: {"G": Persistent("Generator", TENSORS, {"z_dim": evil})},
    "alone": lambda evil: evil,
    "in a build": lambda evil: networks(D=WithState(collections.OrderedDict)),
}


@pytest.mark.parametrize("protocol", [0, 3, 4])
@pytest.mark.parametrize("place", PLACES)
def test_a_call_of_a_program_is_refused_and_not_made(path, tmp_path, place, protocol):
    trace = tmp_path / "ran"
    content = official_pickle(PLACES[place](shell(trace)), protocol)
    message = refused(path, content)
    assert "nothing in it was run" in message
    assert protocol == 0 or f"{os.system.__module__}.system" in message
    assert not trace.exists()


def storage_stream(
    storage, typename="FloatStorage", count=None, extra=b"", claimed=None, reference=None
):
    """A legacy torch.save stream of one storage, spoilt as asked."""

    class Pickler(pickle.Pickler):
        def persistent_id(self, item):
            if item is not storage:
                return None
            return ("storage", getattr(torch, typename), "0", "cpu", count or len(storage), None)

    stream = io.BytesIO()
    for item in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}):
        pickle.dump(item, stream, 2)
    Pickler(stream, 2).dump(reference or storage)
    pickle.dump([reference or "0"], stream, 2)
    stream.write(struct.pack("<q", claimed or count or len(storage)))
    stream.write(np.asarray(storage, np.float32).tobytes() + extra)
    return stream.getvalue()


class Tensor:
    """Pickles as a tensor over the storage in `stream`."""

    def __init__(self, stream, shape=(3,), strides=(1,), offset=0):
        self.arguments = (Call(torch.storage._load_from_bytes, stream), offset, shape, strides)

    def __reduce__(self):
        rebuild = torch._utils._rebuild_tensor_v2
        return rebuild, (*self.arguments, False, collections.OrderedDict())


def with_tensor(tensor, name="w_avg"):
    network = Persistent("Generator", {}, {})
    network.meta["state"]["_buffers"][name] = tensor
    return official_pickle({"G": network})


@pytest.mark.filterwarnings("ignore:TypedStorage")
def test_the_own_stream_is_as_torch_writes_it(path):
    """So that what the next tests spoil is the only thing that is wrong."""
    path.write_bytes(with_tensor(Tensor(storage_stream([1.0, 2.0, 3.0]))))
    found = read_stylegan_pickle(path, "G").tensors["w_avg"]
    np.testing.assert_array_equal(found, np.float32([1, 2, 3]), strict=True)
    assert torch.storage._load_from_bytes(storage_stream([1.0, 2.0])).tolist() == [1, 2]


def test_a_call_inside_a_storage_is_refused(path, tmp_path):
    trace = tmp_path / "ran"
    evil = pickle.dumps(shell(trace), 2)
    good = storage_stream([1.0])
    head = good[: good.index(b".", good.index(b"little_endian")) + 1]
    for stream in (evil, head + evil):
        message = refused(path, with_tensor(Tensor(stream)))
        assert f"{os.system.__module__}.system" in message
    assert not trace.exists()


SPOILT = {
    "more numbers than bytes": Tensor(storage_stream([1.0, 2.0], count=2**40)),
    "two sizes": Tensor(storage_stream([1.0, 2.0], claimed=2**50), (2,)),
    "bytes left over": Tensor(storage_stream([1.0], extra=b"1234"), (1,)),
    "beyond the storage": Tensor(storage_stream([1.0, 2.0]), (3,)),
    "before the storage": Tensor(storage_stream([1.0, 2.0]), (2,), (-1,), 1),
    "one number as a terabyte": Tensor(storage_stream([1.0]), (2**20, 2**20), (0, 0)),
    "more axes than strides": Tensor(storage_stream([1.0]), (1, 1), (1,)),
    "a shape of text": Tensor(storage_stream([1.0]), ("a",), (1,)),
    "no storage": Tensor(b"nothing", (1,)),
}


@pytest.mark.parametrize("tensor", SPOILT.values(), ids=SPOILT)
def test_a_tensor_that_lies_about_its_size_is_refused(path, tensor):
    assert "damaged" in refused(path, with_tensor(tensor))


def test_one_storage_claimed_again_and_again_is_refused(path):
    """Each tensor is small beside the file, all of them together are not."""
    network = Persistent("Generator", {}, {})
    shared = Tensor(storage_stream(list(np.ones(4096))), (4096,))
    network.meta["state"]["_buffers"] |= {f"w{i}": shared for i in range(200)}
    assert "more than the file holds" in refused(path, official_pickle({"G": network}))


def test_modules_within_modules_without_end_are_refused(path):
    """Ten levels of a hundred names for one module: 100**10 walks."""
    module = Persistent("Part", {}, None)
    for _ in range(10):
        outer = Persistent("Part", {}, None)
        outer.meta["state"]["_modules"] = {str(i): module for i in range(100)}
        module = outer
    assert "module of its own" in refused(path, official_pickle({"G": module}))


def same_parts():
    """Two modules over one dict of buffers: many of them would read it many times."""
    network = Persistent("Generator", {}, {})
    parts = [Persistent("Part", {}, None) for _ in range(2)]
    parts[1].meta["state"]["_buffers"] = parts[0].meta["state"]["_buffers"]
    network.meta["state"]["_modules"] = dict(zip("ab", parts, strict=True))
    return network


STORED_SET = Call(set, Call(torch.storage._load_from_bytes, storage_stream([1.0])))
WIDE = {"_non_persistent_buffers_set": [BUSHY]}
HOSTILE = {
    "a class without a name": (Persistent(BUSHY, {}, {}), "no module"),
    "a list of hidden buffers": (Persistent("Generator", {}, {}, **WIDE), "not a set"),
    "shared parts": (same_parts(), "module of its own"),
    "a long name": (Persistent("Generator", {"a" * 300: torch.zeros(1)}, {}), "usable name"),
    "items of a storage": (Persistent("Generator", {}, {"a": STORED_SET}), "items in a ndarray"),
    "a list of arguments": (Persistent("Generator", {}, [(1, 2)]), "unnamed arguments"),
}


@pytest.mark.parametrize(("network", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_module_is_refused_at_once(path, network, message):
    assert message in refused(path, official_pickle({"G": network}))


def calls(name, *arguments, times=1):
    """A pickle that calls `name` with the same arguments again and again, five bytes a call."""
    called = b"c" + name.replace(" ", "\n").encode() + b"\nq\xfe"
    given = pickle.dumps(arguments, 4)[:-1] + b"q\xff"
    return given + called + b"](" + b"h\xfeh\xffR" * times + b"e."


LONG = [(str(i), i) for i in range(1000)]
CALLS = {
    "one storage": (
        calls("torch.storage _load_from_bytes", storage_stream([1.0] * 1000), times=100),
        "more than the file holds",
    ),
    "one mapping": (calls("collections OrderedDict", LONG, times=100), "more than the file holds"),
    "one set": (calls("builtins set", list("ab") * 500, times=100), "more than the file holds"),
    "a type that is a list": (calls("numpy dtype", BUSHY), "of type <list>"),
    "a scalar of a text": (calls("numpy.core.multiarray scalar", "f4,(2", b"1234"), "not one"),
    "bytes in code": (calls("_codecs encode", "6f73", "hex"), "bytes from text in 'hex'"),
    "bytes of no text": (calls("_codecs encode", BUSHY, "latin1"), "bytes from text"),
    "bytes again and again": (
        calls("_codecs encode", "a" * 1000, "latin1", times=100),
        "more than the file holds",
    ),
    "bytes of a size": (calls("__builtin__ bytes", 2**40), "damaged"),
    "a tensor of many axes": (
        calls("torch._utils _rebuild_tensor_v2", None, 0, (1,) * 99, (1,) * 99),
        "strides do not fit",
    ),
    "a storage's key that is a list": (
        calls("torch.storage _load_from_bytes", storage_stream([1.0], reference=BUSHY)),
        "a storage that is not one",
    ),
}


@pytest.mark.parametrize(("content", "message"), CALLS.values(), ids=CALLS)
def test_hostile_calls_are_refused_at_once(path, content, message):
    assert message in refused(path, content)


HEAD = b"\x80\x04"
BYTES = {
    "empty": b"",
    "text": b"not a pickle\n",
    "a huge text": HEAD + b"\x8d" + struct.pack("<Q", 2**60) + b"abc.",
    "a huge byte string": HEAD + b"\x8e" + struct.pack("<Q", 2**60) + b"abc.",
    "a huge frame": HEAD + b"\x95" + struct.pack("<Q", 2**60) + b"N.",
    "a huge memo": HEAD + b"Nr\xff\xff\xff\xff.",
    "a memo that is not there": HEAD + b"j\x07\x00\x00\x00.",
    "nothing on the stack": HEAD + b".",
    "no mark": HEAD + b"Nt.",
    "a deep nest as a key": HEAD + b"})" + b"\x85" * 200_000 + b"Ns.",
    "a number": HEAD + b"K\x01.",
    "no networks": pickle.dumps({"weights": 1}),
}


@pytest.mark.parametrize("content", BYTES.values(), ids=BYTES)
def test_bytes_that_are_no_networks(path, content):
    assert "pickle" in refused(path, content)


FORBIDDEN = {
    "getattr": (HEAD + b"c__builtin__\ngetattr\n.", "__builtin__.getattr"),
    "an attribute of a name": (
        HEAD + b"\x8c\x0ctorch._utils\x8c\x15_rebuild_parameter.os\x93.",
        "torch._utils._rebuild_parameter.os",
    ),
    "eval by instance": (HEAD + b"(ibuiltins\neval\n.", "INST builtins eval"),
    "an extension": (HEAD + b"\x82\x01.", "EXT1"),
    "a persistent id": (HEAD + b"X\x01\x00\x00\x00aQ.", "BINPERSID"),
    "a call of what is no name": (HEAD + b"N)R.", "a call of a NoneType"),
    "a module": (HEAD + b"cos\npath\n.", "os.path"),
}


@pytest.mark.parametrize(("content", "named"), FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_is_forbidden_is_named(path, content, named):
    message = refused(path, content)
    assert named in message
    assert "nothing in it was run" in message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_truncated_file(path, share):
    whole = official_pickle(networks())
    assert "damaged" in refused(path, whole[: int(share * len(whole))])


def test_files_of_tensorflow_say_what_to_do(path):
    content = HEAD + b"cdnnlib.tflib.network\nNetwork\n)R."
    message = refused(path, content)
    assert "legacy.py" in message
    assert "dnnlib.tflib.network.Network" in message


def test_a_network_that_is_not_there(path):
    message = refused(path, official_pickle(networks()), "G_ema")
    assert "no network 'G_ema'; it has G" in message


def test_no_such_file(path):
    with pytest.raises(UserError, match="No such file"):
        load_stylegan(path, Options())
