"""Data sets that are images and labels as files below one folder."""

import abc
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from jax_labor.data.builders import codec
from jax_labor.data.builders.source import Example, FolderSource, Item, Listing, Problem
from jax_labor.errors import UserError
from jax_labor.pixels import BadFileError, read_label


class FileSource(FolderSource):
    """A data set of image and label files below one folder. Subclasses state the layout."""

    image_suffixes: tuple[str, ...] = (".png",)
    label_suffix = ".png"
    read_label = staticmethod(read_label)

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
        images, problems, files = self._collect(self.image_dir(split), self.image_name)
        labels = {}
        if self.has_labels(split):
            labels, more, label_files = self._collect(self.label_dir(split), self.label_name)
            problems += more
            files += label_files
            problems += self._unpaired(images, labels)
        if not images:
            problems.append(Problem(self._show(self.image_dir(split)), "the split has no images"))
        bad = {problem.record for problem in problems}
        items = [
            Item(name, image=images[name], label=labels.get(name))
            for name in sorted(images)
            if name not in bad
        ]
        files.sort()
        content = [sorted(self.id_map.items()), [self._show(path) for path in files], self.size]
        return Listing(items, problems, content, files)

    def _collect(self, folder: Path, name_of) -> tuple[dict[str, Path], list[Problem], list[Path]]:
        """Files below `folder` by record name, defects, and all files that decide them."""
        if not folder.is_dir():
            raise UserError(f"data set '{self.name}': there is no folder {folder}\n{self.layout}")
        found, problems, used = {}, [], []
        files = sorted(_files_below(folder))
        names = [name_of(path.relative_to(folder)) for path in files]
        twice = {name for name, count in Counter(names).items() if count > 1}
        for path, name in zip(files, names, strict=True):
            if name == "" or path.name.startswith(".") or path.name == "Thumbs.db":
                continue
            if not path.is_file():
                problems.append(Problem(self._show(path), "is a link to nothing", name))
                continue
            used.append(path)
            if name is None:
                problems.append(Problem(self._show(path), "is not a file of this data set"))
            elif name in twice:
                what = f"duplicate: another file also gives the record name '{name}'"
                problems.append(Problem(self._show(path), what, name))
            found.setdefault(name, path)
        found.pop(None, None)
        return found, problems, used

    def _unpaired(self, images: dict[str, Path], labels: dict[str, Path]) -> Iterable[Problem]:
        for name in sorted(images.keys() ^ labels.keys()):
            path, missing = (images[name], "label") if name in images else (labels[name], "image")
            yield Problem(self._show(path), f"has no {missing}", name)

    def read(self, item: Item) -> Example | Problem:
        """Read, decode and check image and label; `Problem` says which file is wrong and how."""
        file, ids = item.image, None
        try:
            image, size = codec.check_image(file.read_bytes())
            if item.label is not None:
                file = item.label
                ids = self._train_ids(self.read_label(file.read_bytes()), size)
        except (BadFileError, UserError, OSError) as error:
            return Problem(self._show(file), str(error), item.name)
        return self._example(item.name, image, size, ids)

    def _show(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _files_below(folder: Path) -> Iterable[Path]:
    """All files below `folder`, also behind links to folders, which may lead back to one above."""
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        yield from (Path(place) / name for name in names)


def _name(relative: Path) -> str:
    """File stem usable as a file name: folders are joined with two underscores."""
    return relative.with_suffix("").as_posix().replace("/", "__")
