"""Records of prepared data: random access, decoded when asked for."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import tensorflow_datasets as tfds

from jax_labor.classes import IGNORE, ClassTable
from jax_labor.data.builders import codec
from jax_labor.errors import UserError
from jax_labor.pixels import count_values


@dataclass(frozen=True)
class Part:
    """Where one prepared split lies."""

    directory: str
    split: str


@contextlib.contextmanager
def undamaged(folder: os.PathLike | str) -> Iterator[None]:
    """`UserError` for whatever goes wrong while the prepared data in `folder` is read."""
    try:
        yield
    except Exception as error:  # TFDS, ArrayRecord, protobuf and JSON have one of their own each
        raise UserError(
            f"{folder}: this prepared data cannot be read ({error}). If a file is damaged or "
            "missing, remove the folder and it is prepared again; of a generated data set, by the "
            "run that made it"
        ) from error


class PreparedRecords:
    """A sequence of dict(image uint8[H,W,3], label uint8[H,W,1] of train ids, name str).

    `label` is absent when the data has none. Pickles as paths and positions, so that worker
    processes open the files themselves; reading from several threads is safe.

    Attributes:
      table: the class table that the labels are in.
      names: name of every record.
      has_labels: whether records have a label.
      description: one sentence for reports.
      split_pixels: int64[C] pixels of each class in the splits that the records are of, those that
        were not chosen included; all 0 without labels.
    """

    def __init__(
        self,
        parts: tuple[Part, ...],
        positions: list[tuple[int, int]],
        names: tuple[str, ...],
        sizes: list[tuple[int, int]],
        table: ClassTable,
        has_labels: bool,
        description: str,
        split_pixels: np.ndarray,
        whole: bool,
    ):
        self._parts = parts
        self._positions = np.array(positions, np.int32).reshape(-1, 2)  # part, record in it
        self._sizes = np.array(sizes, np.int32).reshape(-1, 2)
        self.names = names
        self.table = table
        self.has_labels = has_labels
        self.description = description
        self.split_pixels = split_pixels
        self._class_pixels = split_pixels if whole else None
        self._files = [None] * len(parts)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"PreparedRecords({self.description}, {len(self)} records)"

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_files": [None] * len(self._parts)}

    def __getitem__(self, index: int) -> dict:
        """Read and decode record `index`."""
        with undamaged(self._folder(index)):
            stored = self._read(index)
            record = {"image": codec.decode_image(stored["image"]), "name": self.names[index]}
            if self.has_labels:
                record["label"] = codec.decode_label(stored["label"])
            return record

    def label(self, index: int) -> np.ndarray:
        """Label uint8[H, W, 1] of record `index`, without decoding its image."""
        with undamaged(self._folder(index)):
            return codec.decode_label(self._read(index)["label"])

    def size(self, index: int) -> tuple[int, int]:
        """(height, width) of record `index`, without reading it."""
        height, width = self._sizes[index]
        return int(height), int(width)

    @property
    def digests(self) -> tuple[str, ...]:
        """Of the files that each part was prepared from; of a generated data set only its name."""
        folders = (os.path.basename(os.path.dirname(part.directory)) for part in self._parts)
        return tuple(folder.rpartition("-")[2] for folder in folders)

    @property
    def class_pixels(self) -> np.ndarray:
        """int64[C] pixels of each class, all 0 without labels.

        Known of whole splits; of records chosen by name every label is read, once.
        """
        if self._class_pixels is None:
            counts = np.zeros(self.table.num_classes, np.int64)
            for index in range(len(self) if self.has_labels else 0):
                counts += count_values(self.label(index)[..., 0])[: counts.size]
            self._class_pixels = counts
        return self._class_pixels

    @property
    def all_void(self) -> bool:
        """Whether no pixel has a class, as without labels; of records chosen by name, labels are
        read till one has."""
        if self._class_pixels is not None:
            return not self._class_pixels.any()
        indices = range(len(self) if self.has_labels else 0)
        return not any((self.label(index) != IGNORE).any() for index in indices)

    def _folder(self, index: int) -> str:
        return self._parts[self._positions[index][0]].directory

    def _read(self, index: int) -> dict:
        part, position = self._positions[index]
        if self._files[part] is None:
            self._files[part] = self._open(self._parts[part])
        return self._files[part][int(position)]

    def _open(self, part: Part):
        builder = tfds.builder_from_directory(part.directory)
        decoders = codec.kept_encoded(builder.info.features)
        return builder.as_data_source(part.split, decoders=decoders)
