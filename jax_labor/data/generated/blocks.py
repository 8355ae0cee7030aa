"""Candidates on disk, a block per file: encoded pictures, and a table that is read without them."""

import hashlib
import io
import logging
import os
import struct
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jax_labor import files
from jax_labor.data.generated.layout import parts_folder
from jax_labor.data.generated.pairs import Candidate, count_pixels, encode
from jax_labor.errors import UserError

_LOG = logging.getLogger(__name__)
# SHA-256 of the table, SHA-256 of the pictures, bytes of the table; then the two themselves.
_HEAD = struct.Struct("<32s32sQ")


@dataclass(frozen=True)
class Table:
    """What is known of n candidates without their pictures.

    Attributes:
      scores: float64[n].
      sizes: int64[n, 2] (height, width).
      pixels: int64[n, C + 1] pixels by class; the last column counts the ignored ones.
      ends: int64[n, 3] where image, label and divergence end among the block's pictures.
    """

    scores: np.ndarray
    sizes: np.ndarray
    pixels: np.ndarray
    ends: np.ndarray


class DamagedBlockError(UserError):
    """A block that is not as it was written."""


def write_block(
    folder: os.PathLike | str, number: int, candidates: Sequence[Candidate], num_classes: int
) -> None:
    """Write block `number` of the data set in `folder`, whole or not at all.

    The same candidates give the same bytes. Encodes with several threads.

    Raises:
      UserError: the disk is full or not writable.
      ValueError: no candidates, or one with pixels of a wrong shape, type or class.
    """
    if not candidates:
        raise ValueError("a block needs candidates")
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        encoded = list(pool.map(encode, candidates))
    pictures = b"".join(picture for each in encoded for picture in each)
    lengths = np.array([[len(picture) for picture in each] for each in encoded], np.int64)
    table = io.BytesIO()
    np.savez(
        table,
        scores=np.array([each.score for each in candidates], np.float64),
        sizes=np.array([each.label.shape for each in candidates], np.int64),
        pixels=np.stack([count_pixels(each.label, num_classes) for each in candidates]),
        ends=np.cumsum(lengths).reshape(lengths.shape),
    )
    table = table.getvalue()
    head = _HEAD.pack(_digest(table), _digest(pictures), len(table))
    files.write_bytes(_path(folder, number), head + table + pictures)


def block_done(folder: os.PathLike | str, number: int) -> bool:
    """Whether block `number` is there and whole; reads all of it, and logs when it is damaged."""
    try:
        read_pictures(folder, number)
    except DamagedBlockError as error:
        _LOG.warning("%s", error)
        return False
    except FileNotFoundError:
        return False
    return True


def read_scores(folder: os.PathLike | str, blocks: int) -> np.ndarray:
    """Scores float64[M] of all candidates of `blocks` blocks, in order.

    Raises:
      UserError: a block is missing or damaged.
    """
    return np.concatenate([table.scores for table in read_tables(folder, blocks)])


def read_tables(folder: os.PathLike | str, blocks: int) -> list[Table]:
    """Tables of `blocks` blocks; errors as for `read_scores`."""
    tables = []
    for number in range(blocks):
        path = _path(folder, number)
        try:
            with path.open("rb") as stream:
                tables.append(_read_table(stream, path)[0])
        except FileNotFoundError:
            raise UserError(f"{path}: missing. Start the run again: it makes it anew") from None
    return tables


def read_pictures(folder: os.PathLike | str, number: int) -> list[tuple[bytes, bytes, bytes]]:
    """Encoded image, label and divergence of every candidate of a block.

    Raises:
      DamagedBlockError: a `UserError`; the file is not as it was written.
      FileNotFoundError: there is no such block.
    """
    path = _path(folder, number)
    with path.open("rb") as stream:
        table, digest = _read_table(stream, path)
        pictures = stream.read()
    if _digest(pictures) != digest:
        raise _damaged(path)
    starts = np.concatenate(([0], table.ends.ravel()[:-1])).reshape(table.ends.shape)
    bounds = np.stack([starts, table.ends], axis=-1)
    return [tuple(pictures[slice(*picture)] for picture in each) for each in bounds]


def _path(folder: os.PathLike | str, number: int) -> Path:
    return parts_folder(folder) / f"block-{number:06d}"


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _read_table(stream, path: Path) -> tuple[Table, bytes]:
    """The table, and the digest of the pictures that follow in the stream."""
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise _damaged(path)
    digest, pictures_digest, length = _HEAD.unpack(head)
    table = stream.read(min(length, os.fstat(stream.fileno()).st_size))
    if _digest(table) != digest:
        raise _damaged(path)
    with np.load(io.BytesIO(table)) as arrays:
        return Table(**arrays), pictures_digest


def _damaged(path: Path) -> DamagedBlockError:
    return DamagedBlockError(f"{path}: damaged. Start the run again: it makes it anew")
