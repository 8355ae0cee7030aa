"""Training batches: an endless stream that depends on (seed, position) alone."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable

import grain
import numpy as np
from absl import flags

from jax_labor.classes import IGNORE
from jax_labor.data.augment import augment
from jax_labor.data.records import Records, read_record
from jax_labor.data.views import TrainView
from jax_labor.errors import UserError

Overlay = Callable[[int], np.ndarray | None]
"""Record index -> answered labels uint8[h, w] at the record's native size, 255 = not asked; None
where nothing of that image is answered."""


class TrainIterator:
    """Endless iterator over batches, whose whole state is the number of batches it has given out.

    So an iterator over the same records with another overlay, and any number of threads, workers or
    processes, can take over the state of this one and goes on at the same place of the same order.
    """

    def __init__(self, batches: "_Batches", threads: int, workers: int):
        self._batches, self._threads, self._workers = batches, threads, workers
        self._step, self._inner = 0, None

    def __iter__(self):
        return self

    def __next__(self) -> dict:
        """Batch as dict(image float32[b,H,W,3], label int32[b,H,W], index int32[b]).

        Under the view's rule "pad" also mask float32[b,H,W,1], see `augment.augment`.
        """
        if self._inner is None:
            self._inner = iter(self._dataset())
        batch = next(self._inner)
        self._step += 1
        if self._workers:
            # A worker's arrays live in shared memory that grain takes back with its own object.
            batch = {name: np.array(array) for name, array in batch.items()}
        return batch

    def get_state(self) -> dict:
        """Position as JSON-able dict(step int), the number of batches given out."""
        return {"step": self._step}

    def set_state(self, state: dict) -> None:
        """Go on after batch number `state["step"]`, as if all before had been taken."""
        self.close()
        self._step = int(state["step"])

    def close(self) -> None:
        """End the threads and worker processes; the next batch starts them again."""
        if self._inner is not None:
            self._inner.close()
            self._inner = None

    def _dataset(self) -> grain.IterDataset:
        ahead = grain.ReadOptions(num_threads=self._threads, prefetch_buffer_size=2 * self._threads)
        dataset = grain.MapDataset.source(self._batches)[self._step :].to_iter_dataset(ahead)
        if self._workers:
            _allow_grain_flags_unparsed()
            options = grain.MultiprocessingOptions(num_workers=self._workers)
            dataset = dataset.mp_prefetch(options, worker_init_fn=_live_with_the_run)
        return dataset


def _live_with_the_run(*_) -> None:
    """A signal to the whole group, such as Ctrl-C, asks the run to stop, which a worker serves on;
    but not beyond its end: after a kill -9 nobody else would end it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_run, daemon=True).start()


def _end_with_the_run() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)


def _allow_grain_flags_unparsed() -> None:
    """Let grain read its own flags' defaults where nobody parsed flags (notebooks, tests)."""
    if not flags.FLAGS.is_parsed():
        for name in flags.FLAGS:
            if name.startswith("grain_"):
                flags.FLAGS[name].present = True


def train_iterator(
    records: Records,
    view: TrainView,
    batch_size: int,
    seed: int,
    *,
    process_index: int = 0,
    process_count: int = 1,
    threads: int = 2,
    workers: int = 0,
    overlay: Overlay | None = None,
    use_labels: bool = True,
    name: str = "train",
) -> TrainIterator:
    """Endless shuffled, augmented batches of this process.

    Every epoch has its own order. The example at a position of the stream, its augmentation
    included, depends on (seed, position) alone; the global batch of a step is cut into
    `process_count` consecutive parts, so that the parts laid side by side are the batch of one
    process. Decoding and augmenting run in `threads`, ahead of the consumer; Pillow releases the
    GIL, so threads serve small machines. `workers` adds processes (spawned: the caller's main
    module needs the `__name__` guard, and records and overlay must be picklable).

    Args:
        records: what to read, see `records.Records`.
        view: sizes, crops, colour and normalisation.
        batch_size: images of a step over all processes; may exceed the number of records.
        seed: 0 .. 2**32 - 1.
        process_index: which part of each batch is ours.
        process_count: number of parts.
        threads: decoding threads in this process, or in each worker; 0 decodes in the caller.
        workers: worker processes; 0 for none.
        overlay: where given, its answers stand in for the records' own labels, which are not used.
        use_labels: False, without an overlay, makes every label 255 (an unlabelled domain).
        name: name of the split in errors.

    Raises:
        UserError: an empty split, a batch that the processes don't divide, or (while iterating)
            records, answers and view that do not fit together.
    """
    _check(records, batch_size, seed, process_count, name)
    loader = _Loader(records, view, overlay, use_labels)
    stream = (
        grain.MapDataset.source(loader).seed(seed).shuffle().repeat().random_map(_Augment(view))
    )
    batches = _Batches(stream, batch_size, process_index, process_count)
    return TrainIterator(batches, threads, workers)


class _Loader:
    """Random access to examples before augmentation; the labels chosen among record and overlay."""

    def __init__(self, records: Records, view: TrainView, overlay, use_labels: bool):
        self._records, self._view = records, view
        self._overlay, self._use_labels = overlay, use_labels

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> dict:
        record = read_record(self._records, index)
        native, name = record["native"], record["name"]
        if self._view.resize != "fixed" and record["image"].shape[:2] != tuple(native):
            raise UserError(
                f'{name}: records cached at a fixed size cannot serve view.resize="'
                f'{self._view.resize}"; cache them as read (size=None)'
            )
        label = self._overlay(index) if self._overlay else record["label"]
        if self._overlay and label is not None and label.shape != tuple(native):
            raise UserError(
                f"{name}: its answers have {label.shape} pixels (height, width), its image "
                f"{tuple(native)}; answers belong to the size the image has on disk"
            )
        sparse = self._overlay is not None
        if label is None or not (sparse or self._use_labels):
            label = np.full(record["image"].shape[:2], IGNORE, np.uint8)
        return {**record, "label": label, "sparse": sparse, "index": index}


class _Augment:
    """`augment` with its view bound; a class, as worker processes must pickle it."""

    def __init__(self, view: TrainView):
        self._view = view

    def __call__(self, example: dict, rng: np.random.Generator) -> dict:
        return augment(example, self._view, rng)


class _Batches:
    """Random access to this process's part of the k-th batch of an endless stream."""

    def __init__(self, stream: grain.MapDataset, batch_size: int, part: int, parts: int):
        self._stream, self._batch_size = stream, batch_size
        self._rows = range(part * batch_size // parts, (part + 1) * batch_size // parts)

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, step: int) -> dict:
        examples = [self._stream[step * self._batch_size + row] for row in self._rows]
        return {key: np.stack([e[key] for e in examples]) for key in examples[0]}


def _check(records: Records, batch_size: int, seed: int, process_count: int, name: str) -> None:
    if len(records) == 0:
        raise UserError(f"the split {name} is empty; prepare it or name another split")
    if batch_size < 1 or batch_size % process_count:
        raise UserError(
            f"batch_size={batch_size} must be a positive multiple of the {process_count} processes"
        )
    if not 0 <= seed < 2**32:
        raise UserError(f"seed={seed} must lie in 0 .. 2**32 - 1")
