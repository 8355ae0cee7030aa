"""The TFDS builder that all data sets share: checked examples to ArrayRecord, no TensorFlow."""

import json
import logging
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from jax_labor.data.builders.hashes import hash_files
from jax_labor.data.builders.source import Example, Listing, Problem, Source
from jax_labor.errors import UserError

_LOG = logging.getLogger(__name__)
DROPPED_FILE = "dropped.json"
_HASHES_FILE = "hashes.json"  # of the files of all roots of a data set
_SHOWN = 20


@dataclass(eq=False)
class SegmentationConfig(tfds.core.BuilderConfig):
    """One split of one source. TFDS finds prepared data by `name`, so `name` ends in the digest of
    all that decides the content."""

    source: Source | None = None
    listing: Listing | None = None
    split: str = "train"
    drop_bad: bool = False


def config_for(source: Source, split: str, data_dir: Path, drop_bad: bool) -> SegmentationConfig:
    """The builder configuration of `split` in `data_dir`; lists its files, reads those unknown."""
    source.check_split(split)
    listing = source.scan(split)
    hashes = hash_files(listing.files, data_dir / source.name / _HASHES_FILE)
    return SegmentationConfig(
        name=f"{source.table.name}-{split}-{source.digest(listing, split, hashes)}",
        description=f"{source.description}, split {split}",
        source=source,
        listing=listing,
        split=split,
        drop_bad=drop_bad,
    )


class SegmentationBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes records of an encoded image, encoded train ids and a name, in order of the names.

    `info.metadata` of prepared data has `names` and `sizes` (height, width) in record order,
    `class_pixels` per train id, and what the source says of itself, as without it later nobody
    could. What was left out is in `dropped.json` beside the records.
    """

    VERSION = tfds.core.Version("1.0.0")
    url_infos = {}  # nothing is downloaded; looking for checksums fails in some kinds of install

    def __init__(self, *, config: SegmentationConfig, data_dir: str):
        super().__init__(config=config, data_dir=data_dir, file_format="array_record")

    def _create_builder_config(self, builder_config, version):
        return builder_config  # every configuration is made for its folder: nothing to look up

    def _log_download_bytes(self):
        """Say nothing: the progress line reports, and nothing is downloaded."""

    def _log_download_done(self):
        """Say nothing, as above."""

    def _info(self) -> tfds.core.DatasetInfo:
        config = self.builder_config
        features = {"image": tfds.features.Image(), "name": tfds.features.Text()}
        if config.source.has_labels(config.split):
            features["label"] = tfds.features.Image(shape=(None, None, 1), encoding_format="png")
        return tfds.core.DatasetInfo(
            builder=self,
            description=config.description,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,  # record order = order of the names
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        del dl_manager
        return {self.builder_config.split: self._generate_examples()}

    def _generate_examples(self):
        config = self.builder_config
        names, sizes, problems = [], [], list(config.listing.problems)
        pixels = np.zeros(config.source.table.num_classes, np.int64)
        title = f"{config.source.name} {config.split}"
        for result in read_all(config.source, config.listing, f"preparing {title}"):
            if isinstance(result, Problem):
                problems.append(result)
            elif config.drop_bad or not problems:
                pixels += result.class_pixels
                yield len(names), _record(result)
                names.append(result.name)
                sizes.append(result.size)
        report_problems(title, problems, config.drop_bad, left=len(names))
        self.info.metadata.update(names=names, sizes=sizes, class_pixels=pixels.tolist())
        self.info.metadata.update(_about(config.source, config.split))
        dropped = [asdict(problem) for problem in problems]
        (self.data_path / DROPPED_FILE).write_text(json.dumps(dropped, indent=1))


def _about(source: Source, split: str) -> dict:
    return {
        "asked": source.asked | {"split": split},
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
