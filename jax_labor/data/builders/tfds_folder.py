"""Any data set that TFDS has prepared as ArrayRecord: its images, and maps of train ids."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from jax_labor.classes import IGNORE, is_own
from jax_labor.data.builders import codec
from jax_labor.data.builders.class_file import choose_table
from jax_labor.data.builders.source import Example, FolderSource, Item, Listing, Problem
from jax_labor.errors import UserError
from jax_labor.pixels import BadFileError, read_label


class TfdsSource(FolderSource):
    """The folder that `tfds build` or `download_and_prepare` wrote; records are named by number.

    Args:
      root: the folder, with `dataset_info.json` in it.
      classes: class table of the labels, or "own" for that of a classes file in the folder; any
        name will do where there are none.
      image: name of the feature that is the image.
      label: name of the feature that holds train ids, [H, W] or [H, W, 1] with 255 = ignore, by a
        classes file its ids; "" for images alone.
      unlabelled: use the images alone whatever `label` is, as for a generator.

    Raises:
      UserError: the folder is not TFDS's, its files are not ArrayRecord, or it has no such feature.
    """

    name = "tfds"
    layout = """expected layout:
  <root>/dataset_info.json, features.json, NAME-SPLIT.array_record-00000-of-00008 ...
as `tfds build --file_format=array_record` writes it to DATA_DIR/NAME/VERSION"""
    root_parts = 2  # the last is a version

    def __init__(
        self, root, classes: str, image: str = "image", label: str = "", unlabelled: bool = False
    ):
        self._image, self._label = image, "" if unlabelled else label
        table = choose_table(self._find_root(root), classes, labelled=bool(self._label))
        self.info = self._open(root)
        train_ids = {each: each for each in (*range(table.num_classes), IGNORE)}
        super().__init__(root, table, table.id_map() if is_own(classes) else train_ids)
        self._check("image", image, "an image", _is_image)
        if self._label:
            self._check("label", label, "a map of integer ids", _is_map)
        self.description = f"TFDS's {self.info.full_name} in {self.root}"
        self._records = {}

    def _open(self, root) -> tfds.core.DatasetInfo:
        path = self._find_root(root)
        try:
            self._builder = tfds.builder_from_directory(path)
        except OSError:
            raise UserError(f"no data set '{self.name}' in {path}\n{self.layout}") from None
        except Exception as error:  # TFDS, protobuf and JSON have one of their own each
            raise UserError(
                f"{path}: dataset_info.json or features.json cannot be read ({error}); copy them "
                "anew, or prepare the data set again"
            ) from None
        info = self._builder.info
        if info.file_format != tfds.core.FileFormat.ARRAY_RECORD:
            raise UserError(
                f"{path}: its files are {info.file_format.value}, which only TensorFlow reads; "
                "prepare the data set anew with file_format='array_record'"
            )
        return info

    def _check(self, option: str, name: str, what: str, fits: Callable) -> None:
        features = dict(self.info.features.items())
        if name not in features or not fits(features[name]):
            kinds = ", ".join(f"{key} ({type(each).__name__})" for key, each in features.items())
            raise UserError(
                f"{self.root} has no feature '{name}' that is {what}; its features are {kinds}. "
                f"Name one in the data set's options.{option}"
            )

    def splits(self) -> tuple[str, ...]:
        """Those that the data set has."""
        return tuple(self.info.splits)

    def has_labels(self, split: str) -> bool:
        """Whether a label feature is named and to be used."""
        return bool(self._label)

    def scan(self, split: str) -> Listing:
        """One item a record, none where a file is missing; opens nothing."""
        self.check_split(split)
        info = self.info.splits[split]
        files = [Path(path) for path in (self.root / "features.json", *info.filepaths)]
        missing = [Problem(path.name, "is missing") for path in files if not path.is_file()]
        if missing:
            return Listing([], missing)
        if not info.num_examples:
            return Listing([], [Problem(split, "the split has no images")])
        items = [Item(f"{split}-{index:07d}", seed=index) for index in range(info.num_examples)]
        decoders = codec.kept_encoded(self.info.features)
        self._records[split] = self._builder.as_data_source(split, decoders=decoders)
        content = [self._image, self._label, self.size]
        return Listing(items, content=content, files=[str(path) for path in files])

    def _stored(self, item: Item) -> dict:
        try:
            return self._records[item.name.rpartition("-")[0]][item.seed]
        except Exception as error:  # readers of damaged files raise nearly anything
            raise BadFileError(f"cannot be read ({error}); its file is damaged") from None

    def read(self, item: Item) -> Example | Problem:
        """Read and check one record."""
        ids = None
        try:
            record = self._stored(item)
            image, size = codec.check_image(record[self._image])
            if self._label:
                ids = self._train_ids(_as_map(record[self._label]), size)
        except (BadFileError, UserError, OSError) as error:
            return Problem(item.name, str(error), item.name)
        return self._example(item.name, image, size, ids)


def _is_image(feature) -> bool:
    return isinstance(feature, tfds.features.Image)


def _is_map(feature) -> bool:
    """Whether a feature is of integers [H, W] or [H, W, 1]."""
    if not _is_image(feature) and not isinstance(feature, tfds.features.Tensor):
        return False
    integer = np.dtype(feature.np_dtype).kind in "iu"
    return integer and (len(feature.shape) == 2 or feature.shape[2:] == (1,))


def _as_map(stored: bytes | np.ndarray) -> np.ndarray:
    """Ids [H, W] of an encoded image or an array."""
    ids = read_label(stored) if isinstance(stored, bytes) else stored
    return ids[..., 0] if ids.ndim == 3 else ids
