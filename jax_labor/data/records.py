"""What the pipeline reads: any sequence of records; checking them, and keeping them in memory."""

import threading
from collections.abc import Iterator, Sequence

import numpy as np

from jax_labor.data import transforms
from jax_labor.errors import UserError

Records = Sequence[dict]
"""len() and [i] -> dict(image uint8[h, w, 3], optional label uint8[h, w] or [h, w, 1] of train ids
with 255 = ignore, optional name str). May offer `size(i) -> (h, w)` where that costs less than
reading record i."""


def read_record(records: Records, index: int) -> dict:
    """Read one record and check it.

    Returns:
        dict(image uint8[h, w, 3], label uint8[h, w] or None, name str, native (h, w)), where
        `native` is the size of the image as it lies on disk.

    Raises:
        UserError: image and label differ in size, or the image is not uint8[h, w, 3].
    """
    record = records[index]
    image, label = record["image"], record.get("label")
    name = str(record.get("name", f"record {index}"))
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise UserError(
            f"{name}: the image is {image.dtype}{list(image.shape)}; store it as 8-bit RGB"
        )
    if label is not None:
        label = np.asarray(label)
        label = label[..., 0] if label.ndim == 3 else label
        if label.shape != image.shape[:2]:
            raise UserError(
                f"{name}: the image has {image.shape[:2]} pixels (height, width) but its label "
                f"{label.shape}; repair the pair or drop it by name"
            )
    native = record.get("native", image.shape[:2])
    return {"image": image, "label": label, "name": name, "native": native}


def native_size(records: Records, index: int) -> tuple[int, int]:
    """(h, w) of record `index`, by `records.size` where the records offer it."""
    if hasattr(records, "size"):
        return tuple(records.size(index))
    return read_record(records, index)["native"]


def named_sizes(records: Records) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name and (h, w) of every record, each looked up when it is asked for."""
    return ((name, native_size(records, index)) for index, name in enumerate(records.names))


class CachedRecords:
    """Records that are decoded, and resized to a fixed size, only once.

    Worth it where the decoded images fit into memory: on few cores decoding PNGs costs more than
    everything that follows. The images asked for first stay, up to `max_bytes`; the others are read
    again each time. Labels are resized by nearest sampling. Sparse answers do not pass through
    here: the pipeline resizes them from the native size, so a round needs no new cache. Threads
    share the cache; each worker process starts with an empty one of its own.

    Args:
        records: the records to read.
        size: (H, W) to keep them at: the size of a "fixed" view, whose batches are the same with
            and without the cache. None keeps them as read, for the views that crop.
        max_bytes: most memory the kept images and labels may take.
    """

    def __init__(
        self, records: Records, size: tuple[int, int] | None = None, max_bytes: int = 2**30
    ):
        self.records, self.max_bytes = records, max_bytes
        self.fixed_size = None if size is None else tuple(size)
        self._kept, self._used, self._lock = {}, 0, threading.Lock()

    def __reduce__(self):
        return CachedRecords, (self.records, self.fixed_size, self.max_bytes)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> dict:
        """Record `index`, resized, with `native` = (h, w) of the image as read."""
        record = self._kept.get(index)
        if record is None:
            record = self._read(index)
            self._keep(index, record)
        return dict(record)

    def size(self, index: int) -> tuple[int, int]:
        """(h, w) of record `index` as it lies on disk."""
        return native_size(self.records, index)

    def _read(self, index: int) -> dict:
        record = read_record(self.records, index)
        if self.fixed_size is not None:
            record["image"] = transforms.resize_image(record["image"], self.fixed_size)
            if record["label"] is not None:
                record["label"] = transforms.resize_label(record["label"], self.fixed_size)
        return record

    def _keep(self, index: int, record: dict) -> None:
        cost = record["image"].nbytes + getattr(record["label"], "nbytes", 0)
        with self._lock:
            if index not in self._kept and self._used + cost <= self.max_bytes:
                self._kept[index] = record
                self._used += cost
