"""The examples of a split: read by several threads, checked, and written as records."""

import json
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from jax_labor.data import array_record
from jax_labor.data.builders.source import Example, Listing, Problem, Source
from jax_labor.errors import UserError

_LOG = logging.getLogger(__name__)
DROPPED_FILE = "dropped.json"
_SHOWN = 20


def write_examples(
    folder: Path, source: Source, listing: Listing, split: str, drop_bad: bool
) -> None:
    """Write records of an encoded image, encoded train ids and a name, in order of the names.

    The metadata of `folder` then has `names` and `sizes` (height, width) in record order,
    `class_pixels` per train id, and what the source says of itself, as without it later nobody
    could. What was left out is in `dropped.json` beside the records.

    Raises:
      UserError: defects without `drop_bad`, or nothing else; the disk is full or not writable.
    """
    title = f"{source.name} {split}"
    kept, problems = [], list(listing.problems)

    def records() -> Iterator[dict]:
        for result in read_all(source, listing, f"preparing {title}"):
            if isinstance(result, Problem):
                problems.append(result)
            elif drop_bad or not problems:
                yield _record(result)
                kept.append((result.name, result.size, result.class_pixels))

    features = _features(source.has_labels(split))
    serialized = array_record.serialize(features, records())
    shards = {split: array_record.write_split(folder, source.name, split, serialized)}
    report_problems(title, problems, drop_bad, left=len(kept))
    names, sizes, pixels = zip(*kept, strict=True)
    metadata = {"names": names, "sizes": sizes, "class_pixels": np.sum(pixels, axis=0).tolist()}
    metadata |= _about(source, split)
    description = f"{source.description}, split {split}"
    array_record.write_info(folder, source.name, features, shards, description, metadata)
    dropped = [asdict(problem) for problem in problems]
    (folder / DROPPED_FILE).write_text(json.dumps(dropped, indent=1))


def _features(with_labels: bool) -> tfds.features.FeaturesDict:
    features = {"image": tfds.features.Image(), "name": tfds.features.Text()}
    if with_labels:
        features["label"] = tfds.features.Image(shape=(None, None, 1), encoding_format="png")
    return tfds.features.FeaturesDict(features)


def _about(source: Source, split: str) -> dict:
    return {
        "requests": [source.asked | {"split": split}],
        "classes": asdict(source.table),
        "has_labels": source.has_labels(split),
        "description": source.description,
    }


def _record(example: Example) -> dict:
    record = {"image": example.image, "name": example.name}
    return record if example.label is None else record | {"label": example.label}


def report_problems(title: str, problems: list[Problem], drop_bad: bool, left: int) -> None:
    """Log the problems when they may be dropped, otherwise raise a `UserError` that lists them."""
    if not problems:
        return
    shown = [f"  {problem}" for problem in problems[:_SHOWN]]
    if len(problems) > _SHOWN:
        shown.append(f"  ... and {len(problems) - _SHOWN} more")
    listed = "\n".join(shown)
    if drop_bad and left:
        _LOG.warning("%s: dropped because of %d problems\n%s", title, len(problems), listed)
        return
    remedy = "nothing usable is left" if drop_bad else "mend them, or drop them with drop_bad"
    raise UserError(f"{title}: {len(problems)} problems; {remedy}\n{listed}")


def read_all(source: Source, listing: Listing, title: str) -> Iterator[Example | Problem]:
    """Read every listed item with several threads, in order, holding only a few at a time."""
    workers = min(16, os.cpu_count() or 1)
    progress = _Progress(title, len(listing.items))
    pending = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in listing.items:
            pending.append(pool.submit(source.read, item))
            if len(pending) > 4 * workers:
                yield pending.popleft().result()
                progress.step()
        while pending:
            yield pending.popleft().result()
            progress.step()


class _Progress:
    """A line on standard error every few seconds."""

    def __init__(self, title: str, total: int, every: float = 5.0):
        self.title, self.total, self.every = title, total, every
        self.done, self.start = 0, time.monotonic()
        self.last = self.start

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.last >= self.every or self.done == self.total:
            self.last = now
            rate = self.done / max(now - self.start, 1e-9)
            line = f"{self.title}: {self.done}/{self.total} ({rate:.0f} images/s)"
            print(line, file=sys.stderr, flush=True)
