"""What a data set offers before it is prepared: splits, items, and how an item is read."""

import abc
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from jax_labor.classes import ClassTable, apply_id_map
from jax_labor.data.builders import codec
from jax_labor.data.transforms import resize_image, resize_label
from jax_labor.errors import UserError
from jax_labor.files import local_folder
from jax_labor.pixels import BadFileError, count_values, encode_png

FORMAT = 2  # raise when records of the same files would be written differently


@dataclass(frozen=True)
class Problem:
    """A defect of a data set: the file (relative to the root where it lies in it) and what it is.

    `record` is the name of the record that cannot be used because of it, or None.
    """

    file: str
    what: str
    record: str | None = None

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


@dataclass(frozen=True)
class Item:
    """One image to read: unique `name`, and the files (in the root) or the seed it comes from."""

    name: str
    image: str | None = None
    label: str | None = None
    seed: int = 0


@dataclass
class Listing:
    """The items of a split, ordered by name, and what was wrong with its files already."""

    items: list[Item]
    problems: list[Problem] = field(default_factory=list)
    content: list = field(default_factory=list)  # what decides what is read; JSON-able
    files: list[str] = field(default_factory=list)  # paths; what they hold decides it as well


@dataclass(frozen=True)
class Example:
    """A checked record: encoded image, encoded train ids (or None), and its pixels per class."""

    name: str
    size: tuple[int, int]  # (height, width)
    image: bytes
    label: bytes | None
    class_pixels: np.ndarray  # int64[C]


class Source(abc.ABC):
    """A data set as it lies on disk (or is rendered), seen through one class table.

    Attributes:
      name: name of the data set in configurations.
      table: the class table of its labels once prepared.
      description: one sentence for reports.
      asked: see `builders.asked_for`.
      root_parts: how many last parts of its folder's path tell it from others of its name.
    """

    name: str
    table: ClassTable
    description: str
    asked: dict
    root_parts = 1

    @abc.abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Names of the splits that exist."""

    @abc.abstractmethod
    def has_labels(self, split: str) -> bool:
        """Whether records of `split` carry labels."""

    @abc.abstractmethod
    def scan(self, split: str) -> Listing:
        """List a split without opening its files."""

    @abc.abstractmethod
    def read(self, item: Item) -> Example | Problem:
        """Read and check one item completely. Safe to call from several threads."""

    def digest(self, listing: Listing, split: str, hashes: Sequence[str] = ()) -> str:
        """Twelve hex digits that change whenever the prepared records of `split` would.

        `hashes` are those of `listing.files`.
        """
        table = asdict(replace(self.table, source=""))  # where it was read is not what it says
        content = [FORMAT, self.name, split, table, listing.content, list(hashes)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]

    def check_split(self, split: str) -> None:
        """`UserError` when there is no such split."""
        if split not in self.splits():
            raise UserError(
                f"data set '{self.name}' has no split '{split}'; it has {', '.join(self.splits())}"
            )


class MissingFolderError(UserError):
    """The folder of a data set is not there; perhaps what was prepared of it still is."""


class FolderSource(Source):
    """A data set that lies in one folder.

    Args:
      root: folder of the data set, as its publisher lays it out.
      table: class table of the labels once prepared.
      id_map: train id, or ignore, of every id that may occur on disk.

    Attributes:
      size: (height, width) that records are resized to when they are prepared, images with
        antialiasing, labels to the nearest pixel; None keeps each as it is.

    Raises:
      UserError: the folder is missing or holds no split; the message shows the expected layout.
    """

    size: tuple[int, int] | None = None
    layout: str  # the expected tree, and where to get it

    def __init__(self, root: str | Path | None, table: ClassTable, id_map: dict[int, int]):
        self.table = table
        self.id_map = id_map
        self.root = self._find_root(root)
        if not self.splits():
            raise UserError(f"no data set '{self.name}' in {self.root}\n{self.layout}")

    def _find_root(self, root: str | Path | None) -> Path:
        if not root:
            raise UserError(f"data set '{self.name}' needs its root folder\n{self.layout}")
        path = local_folder(root, "data.root")
        if not path.is_dir():
            raise MissingFolderError(
                f"data set '{self.name}': there is no folder {path}\n{self.layout}"
            )
        return path

    def resize(self, size: Sequence[int]) -> None:
        """Prepare records at `size`, (height, width), whatever the size of their files."""
        pair = isinstance(size, (tuple, list)) and len(size) == 2
        if not pair or any(type(length) is not int or length < 1 for length in size):
            raise UserError(
                f"data set '{self.name}': option size={size!r} must be (height, width) in whole "
                "pixels, such as (60, 80)"
            )
        self.size = tuple(size)
        self.description += f" at {size[0]}x{size[1]}"

    def _train_ids(self, disk_labels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Train ids uint8[H, W] of the ids on disk; an error says what is wrong with them."""
        if disk_labels.shape != size:
            h, w = disk_labels.shape
            turned = "; photos are turned upright as their EXIF says: turn the label as well"
            hint = turned if disk_labels.shape == size[::-1] else ""
            raise BadFileError(f"is {w}x{h}, its image is {size[1]}x{size[0]}{hint}")
        return apply_id_map(disk_labels, self.id_map, f"data set '{self.name}'")

    def _example(
        self, name: str, image: bytes, size: tuple[int, int], ids: np.ndarray | None
    ) -> Example:
        """The record of an encoded image of `size` and its train ids, resized where that is set."""
        label, class_pixels = None, np.zeros(self.table.num_classes, np.int64)
        if ids is not None:
            ids = resize_label(ids, self.size or size)
            label = encode_png(ids)
            class_pixels = count_values(ids)[: len(class_pixels)]
        if self.size and size != self.size:
            image = encode_png(resize_image(codec.decode_image(image), self.size))
        return Example(name, self.size or size, image, label, class_pixels)
