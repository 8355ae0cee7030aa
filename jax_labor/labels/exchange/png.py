"""Label maps as PNG files, for everything that paints pixels.

Export writes labels/NAME.png for every answered image and suggestions/NAME.png with the model's
guess at the asked pixels; 255 is unlabelled in both, never a class. Three variants:

    png            8-bit gray, the value is the train id 0 .. C-1
    png_palette    the same values with the classes' colours as the palette, pleasant to look at
    png_label_ids  8-bit gray, the value is the label id that the round's class table has on disk
                   (Cityscapes: road is 7); its ignored ids are unlabelled

Import reads NAME.png from labels/ or from the folder itself; a file that is there is an answer.
Carried: masks, points as pixels, unsure. Not carried: skipped (stays open), the order of points,
annotator, seconds, clicks and keys. PNGs in colours (RGB) are refused: they name no classes.
"""

import io
import logging
from collections.abc import Iterator

import numpy as np
from etils import epath
from PIL import Image

from jax_labor.classes import IGNORE, TABLES, ClassTable, apply_id_map
from jax_labor.errors import UserError
from jax_labor.files import files_ending, write_bytes
from jax_labor.labels.exchange.book import Book
from jax_labor.labels.exchange.marks import Drawing, class_patches
from jax_labor.labels.exchange.source import read_bytes
from jax_labor.labels.store import ANSWERED, SKIPPED
from jax_labor.pixels import BadFileError, read_label

_LOG = logging.getLogger(__name__)


def write(book: Book, out: epath.Path, palette: bool = False, label_ids: bool = False) -> None:
    """Writes labels/ and suggestions/.

    Args:
        book: the round.
        out: the folder.
        palette: with the classes' colours as a palette.
        label_ids: values are the class table's ids on disk instead of train ids.
    """
    table = _table(book) if label_ids else None
    skipped = 0
    for task in book.tasks():
        maps = {"suggestions": task.query.guess}
        if task.status == ANSWERED:
            maps["labels"] = task.label
        skipped += task.status == SKIPPED
        for folder, ids in maps.items():
            image = Image.fromarray(ids if table is None else table.decode(ids))
            if palette:
                image.putpalette(_palette(book))
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            write_bytes(out / folder / f"{task.name}.png", buffer.getvalue())
    if skipped:
        _LOG.warning("PNG cannot say that an image was skipped: %d stay open", skipped)


def read(book: Book, source: epath.Path, label_ids: bool = False) -> Iterator[Drawing]:
    """One drawing per PNG in the folder `source` (in its labels/, if any), or of one file."""
    table = _table(book) if label_ids else None
    folder = source / "labels" if (source / "labels").is_dir() else source
    for path in files_ending(folder, ".png") if folder.is_dir() else [folder]:
        drawing = book.drawing(book.image_of(path.name, f"{path}"), f"{path}")
        label = _read(path, drawing)
        if table is not None:
            label = apply_id_map(label, table.id_map(), f"{path}, class table {table.name}")
        unknown = np.unique(label[(label >= len(book.classes)) & (label != IGNORE)])
        if unknown.size:
            raise UserError(
                f"{path}: no class has the id {', '.join(map(str, unknown))}. Train ids are 0"
                f" to {len(book.classes) - 1}, {IGNORE} is unlabelled; for the ids of the class"
                " table use the format png_label_ids."
            )
        drawing.patches, drawing.status = list(class_patches(np.uint8(label))), ANSWERED
        yield drawing


def _table(book: Book) -> ClassTable:
    for table in TABLES.values():
        if table.names == book.classes:
            return table
    raise UserError(
        f"{book.round.folder}: its classes are those of no table that has ids on disk"
        f" ({', '.join(TABLES)}). Use the format png, which holds train ids."
    )


def _palette(book: Book) -> list[int]:
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(book.colors)] = book.colors
    return palette.ravel().tolist()


def _read(path: epath.Path, drawing: Drawing) -> np.ndarray:
    """The ids [H, W] of a label PNG of the drawing's size."""
    try:
        label = read_label(read_bytes(path))
    except BadFileError as error:
        raise UserError(f"{path} {error}. Save it as 8-bit gray or palette.") from None
    drawing.check_size(*label.shape)
    return label
