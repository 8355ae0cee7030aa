"""Data sets that are images and labels as files below one folder."""

import abc
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from jax_labor.data.builders import codec
from jax_labor.data.builders.source import Example, FolderSource, Item, Listing, Problem
from jax_labor.data.builders.walk import files_below
from jax_labor.errors import UserError
from jax_labor.files import is_utf8
from jax_labor.pixels import BadFileError, read_label

NameOf = Callable[[str], str | None]
_OTHER_PICTURES = (".gif", ".heic", ".heif", ".avif")


class FileSource(FolderSource):
    """A data set of image and label files below one folder. Subclasses state the layout."""

    image_suffixes: tuple[str, ...] = (".png",)
    label_files = "*.png"  # what messages call them
    split_names: tuple[str, ...] = ()  # those of the layout, which need not all be there
    unused_labels: tuple[str, ...] = ()  # endings of what other programs write beside the labels
    read_label = staticmethod(read_label)

    def splits(self) -> tuple[str, ...]:
        """Those of the layout that have a folder of images."""
        return tuple(split for split in self.split_names if self.image_dir(split).is_dir())

    @abc.abstractmethod
    def image_dir(self, split: str) -> Path:
        """Folder of the images of `split`."""

    @abc.abstractmethod
    def label_dir(self, split: str) -> Path:
        """Folder of the labels of `split`."""

    def image_name(self, relative: str) -> str | None:
        """Record name of an image file, given by its path in its folder.

        "" for a file that the layout holds but we do not use, None for one that is out of place.
        """
        return _name(relative) if relative.lower().endswith(self.image_suffixes) else None

    def label_name(self, relative: str) -> str | None:
        """Record name of a label file; "" and None as for images."""
        if relative.endswith(self.unused_labels):
            return ""
        return _name(relative) if relative.lower().endswith(".png") else None

    def has_labels(self, split: str) -> bool:
        """True: the public layouts all come with labels."""
        return True

    def scan(self, split: str) -> Listing:
        """Pair the files of both folders by name; what has no partner is a problem."""
        self.check_split(split)
        images, problems, paths = self._collect(self.image_dir(split), self.image_name)
        labels, whole = {}, images.keys()
        if self.has_labels(split):
            labels, more, label_paths = self._collect(self.label_dir(split), self.label_name)
            problems += more
            paths += label_paths
            problems += self._unpaired(split, images, labels)
            whole = images.keys() & labels.keys()
        if not images:
            problems.append(Problem(self._show(self.image_dir(split)), "the split has no images"))
        bad = {problem.record for problem in problems}
        items = [Item(name, images[name], labels.get(name)) for name in sorted(whole - bad)]
        paths.sort(key=lambda path: _composed(path).split("/"))
        content = [sorted(self.id_map.items()), list(map(_composed, paths)), self.size]
        return Listing(items, problems, content, [f"{self.root}/{path}" for path in paths])

    def _files(self, folder: Path, name_of: NameOf) -> Iterator[tuple[str, str | None, bool]]:
        """Of the files below `folder` that the layout uses: path in the root, record name, and
        whether it can be read."""
        place = self._show(folder)
        for relative, there in files_below(folder):
            name = name_of(relative)
            if name != "":
                yield f"{place}/{relative}", name and _composed(name), there

    def _names(self, folder: Path, name_of: NameOf) -> set[str]:
        """Record names of the files below `folder`; none where there is no such folder."""
        files = self._files(folder, name_of) if folder.is_dir() else ()
        return {name for _, name, _ in files if name}

    def _collect(
        self, folder: Path, name_of: NameOf
    ) -> tuple[dict[str, str], list[Problem], list[str]]:
        """Files below `folder` by record name, defects, and all files that decide them."""
        if not folder.is_dir():
            raise UserError(f"data set '{self.name}': there is no folder {folder}\n{self.layout}")
        found, problems, used = {}, [], []
        files = list(self._files(folder, name_of))
        twice = {name for name, count in Counter(name for _, name, _ in files).items() if count > 1}
        for path, name, there in files:
            if not there:
                problems.append(Problem(path, "is no file, or a link to nothing", name))
                continue
            if not is_utf8(path):
                shown = os.fsencode(path).decode(errors="backslashreplace")
                problems.append(Problem(shown, "its name is not UTF-8; rename it"))
                continue
            used.append(path)
            if name is None:
                remedy = "; save it as PNG" if path.lower().endswith(_OTHER_PICTURES) else ""
                problems.append(Problem(path, f"is not a file of this data set{remedy}"))
            elif name in twice:
                what = f"duplicate: another file also gives the record name '{name}'"
                problems.append(Problem(path, what, name))
            found.setdefault(name, path)
        found.pop(None, None)
        return found, problems, used

    def _unpaired(
        self, split: str, images: dict[str, str], labels: dict[str, str]
    ) -> Iterable[Problem]:
        if images and not labels:
            yield Problem(self._show(self.label_dir(split)), f"holds no {self.label_files}")
            return
        for name in sorted(images.keys() ^ labels.keys()):
            path, missing = (images[name], "label") if name in images else (labels[name], "image")
            yield Problem(path, f"has no {missing}", name)

    def read(self, item: Item) -> Example | Problem:
        """Read, decode and check image and label; `Problem` says which file is wrong and how."""
        file, ids = item.image, None
        try:
            image, size = codec.check_image((self.root / file).read_bytes())
            if item.label is not None:
                file = item.label
                ids = self._train_ids(self.read_label((self.root / file).read_bytes()), size)
        except (BadFileError, UserError, OSError) as error:
            return Problem(file, str(error), item.name)
        return self._example(item.name, image, size, ids)

    def _show(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def part_of(whole: Listing, belongs: Callable[[str], bool]) -> Listing:
    """The records of a listing whose name belongs to a split, and the defects of no record."""
    items = [item for item in whole.items if belongs(item.name)]
    problems = [each for each in whole.problems if each.record is None or belongs(each.record)]
    return Listing(items, problems, [*whole.content, [item.name for item in items]], whole.files)


def _name(relative: str) -> str:
    """File stem usable as a file name: folders are joined with two underscores."""
    return relative.rpartition(".")[0].replace("/", "__")


def _composed(name: str) -> str:
    """`name` with its accented letters as one character each: Macs write two."""
    return unicodedata.normalize("NFC", name)
