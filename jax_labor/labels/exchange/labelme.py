"""labelme: one JSON file beside each picture.

Export writes images/NAME.json; open the folder images in labelme. labelme has no predictions, so a
question is a shape (a point, or the mask of a piece) labelled "unanswered" whose description says
the model's guess; answering is giving the shape a class as its label, or "unsure". A piece of
several classes is drawn over with masks or polygons of the classes. The image's flags "answered"
and "skipped" speak for the whole image; without them an image stays open of which a question is
left unanswered and not drawn over. A name that is a class already gets an underscore.

Carried: points, masks, polygons and rectangles (as pixels; a later shape lies on top of an earlier
one), unsure, skipped. Not carried: the
suggestion of a full mask, annotator, seconds, clicks and keys. labelme's licence is the GPL: its
files are read and written here, its code is never imported.
"""

import base64
import io
import itertools
import math
from collections.abc import Iterator

import numpy as np
from etils import epath
from PIL import Image

from jax_labor.errors import UserError
from jax_labor.files import files_ending, write_json
from jax_labor.labels.exchange.book import Book, Shape, Task
from jax_labor.labels.exchange.marks import Drawing, Patch, box, polygon
from jax_labor.labels.exchange.source import read_json, well_formed
from jax_labor.labels.store import ANSWERED, SKIPPED
from jax_labor.pixels import encode_png

_VERSION = "5.5.0"  # the first release line with masks and descriptions is 5.2


def write(book: Book, out: epath.Path) -> None:
    """Writes one JSON file per image."""
    for task in book.tasks():
        write_json(out / "images" / f"{task.name}.json", _file(book, task))


def read(book: Book, source: epath.Path) -> Iterator[Drawing]:
    """One drawing per JSON file in the folder `source` (in its images/, if any), or of one file."""
    folder = source / "images" if (source / "images").is_dir() else source
    for path in files_ending(folder, ".json") if folder.is_dir() else [folder]:
        yield _drawing(book, read_json(path), path)


def _file(book: Book, task: Task) -> dict:
    return {
        "version": _VERSION,
        "flags": {book.reserved(word): task.status == word for word in (ANSWERED, SKIPPED)},
        "shapes": [_shape(shape) for shape in book.shapes(task)],
        "imagePath": task.file_name,
        "imageData": None,
        "imageHeight": task.shape[0],
        "imageWidth": task.shape[1],
    }


def _shape(shape: Shape) -> dict:
    """A point, or a mask with the first and last pixel of its box (both inside)."""
    description = f"suggestion: {shape.suggestion}" if shape.suggestion else ""
    common = {"label": shape.label, "group_id": None, "description": description, "flags": {}}
    patch = shape.patch
    if shape.is_point:
        points = [[patch.left + 0.5, patch.top + 0.5]]
        return {**common, "points": points, "shape_type": "point", "mask": None}
    height, width = patch.mask.shape
    corners = [[patch.left, patch.top], [patch.left + width - 1, patch.top + height - 1]]
    mask = base64.b64encode(encode_png(patch.mask.astype(np.uint8))).decode()
    return {**common, "points": corners, "shape_type": "mask", "mask": mask}


def _drawing(book: Book, content: dict, path: epath.Path) -> Drawing:
    with well_formed(f"{path}", "a labelme file"):
        drawing = book.drawing(book.image_of(content["imagePath"], f"{path}"), f"{path}")
        drawing.check_size(content["imageHeight"], content["imageWidth"])
        drawing.layered = True
        for word in (ANSWERED, SKIPPED):
            if (content.get("flags") or {}).get(book.reserved(word)):
                drawing.status = word
        for shape in content["shapes"]:
            _mark(book, drawing, shape)
    return drawing


def _mark(book: Book, drawing: Drawing, shape: dict) -> None:
    """Adds one shape to the drawing; a question without an answer is counted."""
    class_id = book.answer_of(shape["label"], drawing.where)
    if class_id is None:
        drawing.unanswered += 1
        return
    corners = [(float(x), float(y)) for x, y in shape["points"]]
    kind = shape.get("shape_type", "polygon")
    if kind == "point":
        drawing.points += [(math.floor(y), math.floor(x), class_id) for x, y in corners]
        return
    if kind == "mask":
        patches = [_mask(shape["mask"], corners)]
    elif kind == "polygon":
        patches = polygon(corners, drawing.shape)
    elif kind == "rectangle":
        patches = polygon(box(*corners[0], *corners[1]), drawing.shape)
    else:
        raise UserError(
            f"{drawing.where}: a shape of type {kind!r}. Use points, masks, polygons or rectangles."
        )
    drawing.patches += zip(patches, itertools.repeat(class_id))


def _mask(text: str, corners: list[tuple[float, float]]) -> Patch:
    (left, top), (right, bottom) = (map(int, corner) for corner in corners)
    with Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as image:
        if image.size != (right - left + 1, bottom - top + 1):
            raise ValueError(f"a mask of {image.size} in a box of another size")
        return Patch(top, left, np.asarray(image) != 0)
