"""Tensors in a pickle, read without PyTorch: views of storages, which are streams of their own."""

import dataclasses
import io
from typing import Any

import jax.numpy as jnp
import numpy as np

from jax_labor.models.pretrained.unpickle import read_pickle

_STORAGES = {
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "BFloat16Storage": jnp.bfloat16,
    "DoubleStorage": np.float64,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "BoolStorage": np.bool_,
    "ByteStorage": np.uint8,
}
_AXES = 8  # more than any network's tensor has
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A view of a storage, checked to lie within it."""

    storage: np.ndarray
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its numbers as the file claims them."""
        return int(np.prod(self.shape, dtype=object)) * self.storage.itemsize

    def array(self) -> np.ndarray:
        """Copy it out, whatever its strides; bfloat16, which NumPy lacks, as float32."""
        strides = [s * self.storage.itemsize for s in self.strides]
        view = np.lib.stride_tricks.as_strided(
            self.storage[self.offset :], self.shape, strides, writeable=False
        )
        wide = np.float32 if view.dtype == jnp.bfloat16 else view.dtype
        return np.array(view, wide, order="C")


def _parameter(tensor, *_) -> Tensor:
    return tensor


def _tensor(storage, offset, shape, strides, *_) -> Tensor:
    if len(shape) != len(strides) or len(shape) > _AXES:
        raise ValueError("a tensor whose strides do not fit its shape")
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, np.ndarray) or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError("a tensor without a storage")
    last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    if 0 not in shape and last >= storage.size:
        raise ValueError("a tensor that reaches beyond its storage")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _storage(content: bytes) -> np.ndarray:
    """Read the stream that PyTorch makes of one storage: five pickles, then the raw numbers."""
    if type(content) is not bytes:
        raise ValueError("a storage that is not bytes")
    stream = io.BytesIO(content)
    if read_pickle(stream, {}) != _MAGIC or read_pickle(stream, {}) != _PROTOCOL:
        raise ValueError("a storage of an unknown format")
    if not read_pickle(stream, {}).get("little_endian"):
        raise ValueError("a storage of a big-endian machine")
    found: dict[str, tuple] = {}
    key = read_pickle(stream, _STORAGE_NAMES, lambda pid: _reference(pid, found))
    if type(key) is not str or key not in found or read_pickle(stream, {}) != [key]:
        raise ValueError("a storage that is not one")
    dtype, count = found[key]
    if int.from_bytes(stream.read(8), "little") != count or count < 0:
        raise ValueError("a storage whose size is given twice and differs")
    return _numbers(content, stream.tell(), np.dtype(dtype), count)


def _reference(pid: Any, found: dict) -> str:
    """Take the persistent id of a storage apart: (name, type, key, place, count, ...)."""
    _, dtype, key, _, count, *_ = pid
    if type(key) is not str or type(count) is not int:
        raise ValueError("a storage without key or size")
    found[key] = (dtype.function(), count)
    return key


def _numbers(content: bytes, start: int, dtype: np.dtype, count: int) -> np.ndarray:
    """View the rest of `content` as numbers, without a copy."""
    left = len(content) - start
    if left != count * dtype.itemsize:
        raise ValueError(f"a storage of {count} numbers with {left} bytes")
    return np.frombuffer(content, dtype, count, start)


_STORAGE_NAMES = {f"torch.{name}": (lambda dtype=dtype: dtype) for name, dtype in _STORAGES.items()}
TENSOR_NAMES = {
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch.storage._load_from_bytes": _storage,
}
