"""Evaluation batches: one ordered pass, labels at native size, the last batch padded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grain
import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.data import transforms
from jax_labor.data.records import Records, native_size, read_record
from jax_labor.data.views import EvalView
from jax_labor.errors import UserError


def eval_batches(
    records: Records,
    view: EvalView,
    batch_size: int,
    process_index: int = 0,
    process_count: int = 1,
    *,
    threads: int = 2,
    name: str = "val",
) -> "EvalBatches":
    """One ordered pass over all records, as this process's part of each batch.

    Images of equal native size share a batch, in the order of the records; the last batch of a size
    is padded. All processes get the same number of batches of the same shapes.

    Args:
        records: what to read, see `records.Records`.
        view: size and normalisation of the image; labels keep their native size.
        batch_size: images of a batch over all processes.
        process_index: which part of each batch is ours.
        process_count: number of parts.
        threads: decoding threads; 0 decodes in the caller.
        name: name of the split in errors.

    Raises:
        UserError: an empty split, or a batch that the processes don't divide.
    """
    if len(records) == 0:
        raise UserError(f"the split {name} is empty; prepare it or name another split")
    if batch_size < 1 or batch_size % process_count:
        raise UserError(
            f"eval batch_size={batch_size} must be a positive multiple of the {process_count} "
            "processes"
        )
    with ThreadPoolExecutor(max(1, threads)) as pool:
        sizes = list(pool.map(lambda i: native_size(records, i), range(len(records))))
    part = batch_size // process_count
    source = _EvalSource(records, view, group_by_size(sizes, batch_size), process_index, part)
    return EvalBatches(source, threads)


class EvalBatches:
    """The batches of one pass; len() of them, and as many passes as `iter` is called.

    A batch is dict(image float32[b,H,W,3], label int32[b,h,w] at native size, index int32[b] of the
    record); padding rows have image 0, label 255 and index -1.
    """

    def __init__(self, source: "_EvalSource", threads: int):
        self._source, self._threads = source, threads

    def __len__(self) -> int:
        return len(self._source)

    def __iter__(self) -> Iterator[dict]:
        ahead = grain.ReadOptions(num_threads=self._threads, prefetch_buffer_size=2 * self._threads)
        return iter(grain.MapDataset.source(self._source).to_iter_dataset(ahead))


def group_by_size(sizes: list[tuple[int, int]], batch_size: int) -> list[list[int]]:
    """The records 0..len(sizes) in groups of at most `batch_size` of equal size, in order of both.

    Sizes come in the order in which they occur first.
    """
    of_size: dict[tuple[int, int], list[int]] = {}
    for index, size in enumerate(sizes):
        of_size.setdefault(tuple(size), []).append(index)
    return [
        group[start : start + batch_size]
        for group in of_size.values()
        for start in range(0, len(group), batch_size)
    ]


class _EvalSource:
    """Random access to this process's part of each group, padded to its full number of rows."""

    def __init__(self, records, view: EvalView, groups: list[list[int]], process: int, part: int):
        self._records, self._view, self._groups = records, view, groups
        self._first, self._part = process * part, part

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, number: int) -> dict:
        group = self._groups[number]
        own = group[self._first : self._first + self._part]
        # A process whose rows are all padding still needs the shapes of the batch.
        rows = [self._row(index) for index in own or group[:1]]
        batch = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        return self._padded(batch, len(own))

    def _row(self, index: int) -> dict:
        record = read_record(self._records, index)
        if record["image"].shape[:2] != tuple(record["native"]):
            raise ValueError("evaluation needs labels at native size: do not cache it resized")
        size = self._view.input_size(record["native"])
        image, label = transforms.resize_image(record["image"], size), record["label"]
        if label is None:
            label = np.full(record["native"], IGNORE, np.uint8)
        return {
            "image": transforms.normalize(image, self._view.normalize),
            "label": label.astype(np.int32),
            "index": np.int32(index),
        }

    def _padded(self, batch: dict, filled: int) -> dict:
        if filled == self._part:
            return batch
        out = {}
        for key, padding in {"image": 0, "label": IGNORE, "index": -1}.items():
            array = batch[key]
            out[key] = np.full((self._part, *array.shape[1:]), padding, array.dtype)
            out[key][:filled] = array[:filled]
        return out
