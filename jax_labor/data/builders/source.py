"""What a data set offers before it is prepared: splits, items, and how an item is read."""

import abc
import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from jax_labor.classes import ClassTable, apply_id_map
from jax_labor.data.builders import codec
from jax_labor.data.transforms import resize_image, resize_label
from jax_labor.errors import UserError
from jax_labor.pixels import BadFileError, read_label

_FORMAT = 1  # raise when records of the same files would be written differently


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
    """One image to read: unique `name`, and the files (or the seed) that it comes from."""

    name: str
    image: Path | None = None
    label: Path | None = None
    seed: int = 0


@dataclass
class Listing:
    """The items of a split, ordered by name, and what was wrong with its files already."""

    items: list[Item]
    problems: list[Problem] = field(default_factory=list)
    content: list = field(default_factory=list)  # everything that decides what is read; JSON-able


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
    """

    name: str
    table: ClassTable
    description: str

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

    def digest(self, listing: Listing, split: str) -> str:
        """Twelve hex digits that change whenever the prepared records of `split` would."""
        content = [_FORMAT, self.name, split, asdict(self.table), listing.content]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]

    def check_split(self, split: str) -> None:
        """`UserError` when there is no such split."""
        if split not in self.splits():
            raise UserError(
                f"data set '{self.name}' has no split '{split}'; it has {', '.join(self.splits())}"
            )


class FileSource(Source):
    """A data set of image and label files below one folder. Subclasses state the layout.

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
    image_suffixes: tuple[str, ...] = (".png",)
    label_suffix = ".png"
    read_label = staticmethod(read_label)

    def __init__(self, root: str | Path | None, table: ClassTable, id_map: dict[int, int]):
        self.table = table
        self.id_map = id_map
        self.root = self._find_root(root)
        if not self.splits():
            raise UserError(f"no data set '{self.name}' in {self.root}\n{self.layout}")

    def _find_root(self, root: str | Path | None) -> Path:
        if not root:
            raise UserError(f"data set '{self.name}' needs its root folder\n{self.layout}")
        path = Path(root).expanduser()
        if not path.is_dir():
            raise UserError(f"data set '{self.name}': there is no folder {path}\n{self.layout}")
        return path

    def resize(self, size: tuple[int, int]) -> None:
        """Prepare records at `size`, (height, width), whatever the size of their files."""
        if len(size) != 2 or min(size) < 1:
            raise UserError(
                f"data set '{self.name}': size={size} must be (height, width) in pixels"
            )
        self.size = size
        self.description += f" at {size[0]}x{size[1]}"

    @abc.abstractmethod
    def image_dir(self, split: str) -> Path:
        """Folder of the images of `split`."""

    @abc.abstractmethod
    def label_dir(self, split: str) -> Path:
        """Folder of the labels of `split`."""

    def image_name(self, relative: Path) -> str | None:
        """Record name of an image file (relative to its folder).

        "" for a file that the layout holds but we do not use, None for one that is out of place.
        """
        return _name(relative) if relative.suffix.lower() in self.image_suffixes else None

    def label_name(self, relative: Path) -> str | None:
        """Record name of a label file; "" and None as for images."""
        return _name(relative) if relative.suffix.lower() == self.label_suffix else None

    def has_labels(self, split: str) -> bool:
        """True: the public layouts all come with labels."""
        return True

    def scan(self, split: str) -> Listing:
        """Pair the files of both folders by name; what has no partner is a problem."""
        self.check_split(split)
        images, problems, content = self._collect(self.image_dir(split), self.image_name)
        labels = {}
        if self.has_labels(split):
            labels, more, label_content = self._collect(self.label_dir(split), self.label_name)
            problems += more
            content += label_content
            problems += self._unpaired(images, labels)
        if not images:
            problems.append(Problem(self._show(self.image_dir(split)), "the split has no images"))
        bad = {problem.record for problem in problems}
        items = [
            Item(name, image=images[name], label=labels.get(name))
            for name in sorted(images)
            if name not in bad
        ]
        content = [sorted(self.id_map.items()), sorted(content)]
        return Listing(items, problems, content + ([self.size] if self.size else []))

    def _collect(self, folder: Path, name_of) -> tuple[dict[str, Path], list[Problem], list]:
        """Files below `folder` by record name, defects, and (path, bytes, mtime) of each file."""
        if not folder.is_dir():
            raise UserError(f"data set '{self.name}': there is no folder {folder}\n{self.layout}")
        found, problems, content = {}, [], []
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        names = [name_of(path.relative_to(folder)) for path in files]
        twice = {name for name, count in Counter(names).items() if count > 1}
        for path, name in zip(files, names, strict=True):
            if name == "" or path.name.startswith(".") or path.name == "Thumbs.db":
                continue
            stat = path.stat()
            content.append((path.relative_to(self.root).as_posix(), stat.st_size, stat.st_mtime_ns))
            if name is None:
                problems.append(Problem(self._show(path), "is not a file of this data set"))
            elif name in twice:
                what = f"duplicate: another file also gives the record name '{name}'"
                problems.append(Problem(self._show(path), what, name))
            found.setdefault(name, path)
        found.pop(None, None)
        return found, problems, content

    def _unpaired(self, images: dict[str, Path], labels: dict[str, Path]) -> Iterable[Problem]:
        for name in sorted(images.keys() ^ labels.keys()):
            path, missing = (images[name], "label") if name in images else (labels[name], "image")
            yield Problem(self._show(path), f"has no {missing}", name)

    def read(self, item: Item) -> Example | Problem:
        """Read, decode and check image and label; `Problem` says which file is wrong and how."""
        file = item.image
        try:
            image, size = codec.check_image(file.read_bytes())
            label, class_pixels = None, np.zeros(self.table.num_classes, np.int64)
            if item.label is not None:
                file = item.label
                train_ids = self._train_ids(file.read_bytes(), size)
                train_ids = resize_label(train_ids, self.size or size)
                label = codec.encode_png(train_ids)
                class_pixels += np.bincount(train_ids.ravel(), minlength=256)[: len(class_pixels)]
        except (BadFileError, UserError, OSError) as error:
            return Problem(self._show(file), str(error), item.name)
        if self.size and size != self.size:
            image = codec.encode_png(resize_image(codec.decode_image(image), self.size))
            size = self.size
        return Example(item.name, size, image, label, class_pixels)

    def _train_ids(self, data: bytes, size: tuple[int, int]) -> np.ndarray:
        disk_labels = self.read_label(data)
        if disk_labels.shape != size:
            h, w = disk_labels.shape
            raise BadFileError(f"is {w}x{h}, its image is {size[1]}x{size[0]}")
        return apply_id_map(disk_labels, self.id_map, f"data set '{self.name}'")

    def _show(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _name(relative: Path) -> str:
    """File stem usable as a file name: folders are joined with two underscores."""
    return relative.with_suffix("").as_posix().replace("/", "__")
