"""CVAT: the XML of "CVAT for images 1.1".

Export writes annotations.xml and labels.json (for the raw editor of a new task's labels). CVAT has
no predictions and forgets who drew an imported shape, so a question is a shape of the label "query"
(a point, or the mask of a piece) with a select attribute `class`, "unanswered" at first, and the
model's guess in the attribute `suggestion`; in the attribute annotation mode a key answers each.
A piece of several classes is drawn over with masks labelled with the classes. The tags "answered"
and "skipped" speak for the whole image, other tags for nothing here; without them an image stays
open of which a question is left unanswered and not drawn over. A name that is a class already gets
an underscore.

Carried: points, masks, polygons and boxes (as pixels; what has a higher z_order, or comes later,
lies on top), unsure, skipped. Labels go by name: class 0 stays a
class, and what is not annotated stays unlabelled. Not carried: the suggestion of a full mask, names
with control characters, annotator, seconds, clicks and keys.
"""

import functools
import itertools
import logging
import math
from collections.abc import Iterator
from typing import BinaryIO
from xml.etree import ElementTree

import numpy as np
from etils import epath

from jax_labor.errors import UserError
from jax_labor.files import write_json, write_with
from jax_labor.labels.exchange.book import UNANSWERED, UNSURE, Book, Shape, Task
from jax_labor.labels.exchange.marks import Drawing, Patch, box, polygon
from jax_labor.labels.exchange.source import file_in, read_bytes, well_formed
from jax_labor.labels.store import ANSWERED, SKIPPED

_LOG = logging.getLogger(__name__)
_QUERY = "query"


def write(book: Book, out: epath.Path) -> None:
    """Writes annotations.xml and labels.json."""
    for name in book.classes:
        if any(ord(c) < 32 and c not in "\t\n\r" or c in "\ufffe\uffff" for c in name):
            raise UserError(f"class {name!r}: XML cannot carry its characters. Rename the class.")
    write_with(out / "annotations.xml", functools.partial(_stream, book))
    write_json(out / "labels.json", _labels(book))


def _stream(book: Book, stream: BinaryIO) -> None:
    """Writes the XML image by image: all pieces of a round are too many to hold."""
    stream.write(b'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n')
    parts = (_image(book, task, number) for number, task in enumerate(book.tasks()))
    for element in itertools.chain([_meta(book)], parts):
        ElementTree.indent(element)
        text = ElementTree.tostring(element, "utf-8")
        stream.write(text.replace(b"\r", b"&#13;") + b"\n")
    stream.write(b"</annotations>\n")


def _meta(book: Book) -> ElementTree.Element:
    meta = ElementTree.Element("meta")
    task = ElementTree.SubElement(meta, "task")
    listed = ElementTree.SubElement(task, "labels")
    for label in _labels(book):
        entry = ElementTree.SubElement(listed, "label")
        for key in ("name", "color", "type"):
            ElementTree.SubElement(entry, key).text = label[key]
    return meta


def read(book: Book, source: epath.Path) -> Iterator[Drawing]:
    """One drawing per image of the XML file `source`, or of annotations.xml in it."""
    path = file_in(source, "annotations.xml")
    root = _parse(path)
    if root.tag != "annotations":
        raise UserError(f'{path}: not a CVAT file. Export the task as "CVAT for images 1.1".')
    if root.find("track") is not None:
        raise UserError(f'{path}: tracks of a video. Export the task as "CVAT for images 1.1".')
    for image in root.iter("image"):
        yield _drawing(book, image, f"{path}")


def _labels(book: Book) -> list[dict]:
    """The labels of a CVAT task, as its raw editor takes them."""
    own = [book.reserved(word) for word in (UNANSWERED, UNSURE)]
    choice = {
        "name": "class",
        "input_type": "select",
        "mutable": False,
        "values": [*own, *book.classes],
        "default_value": own[0],
    }
    guess = {
        "name": "suggestion",
        "input_type": "text",
        "mutable": False,
        "values": [""],
        "default_value": "",
    }
    rows = [(name, color, "any", []) for name, color in zip(book.classes, book.colors, strict=True)]
    rows.append((book.reserved(_QUERY), (255, 255, 255), "any", [choice, guess]))
    rows += [(book.reserved(word), (128, 128, 128), "tag", []) for word in (ANSWERED, SKIPPED)]
    return [
        {"name": name, "color": "#{:02x}{:02x}{:02x}".format(*color), "type": kind, "attributes": a}
        for name, color, kind, a in rows
    ]


def _image(book: Book, task: Task, number: int) -> ElementTree.Element:
    height, width = task.shape
    image = ElementTree.Element(
        "image", id=str(number), name=task.file_name, width=str(width), height=str(height)
    )
    if task.status:
        ElementTree.SubElement(image, "tag", label=book.reserved(task.status), source="manual")
    for shape in book.shapes(task):
        _shape(book, image, shape)
    return image


def _shape(book: Book, image: ElementTree.Element, shape: Shape) -> None:
    """Adds a point or a mask to an image."""
    common = {
        "label": book.reserved(_QUERY) if shape.is_question else shape.label,
        "source": "auto" if shape.is_question else "manual",
        "occluded": "0",
        "z_order": "0",
    }
    patch = shape.patch
    if shape.is_point:
        points = f"{patch.left + 0.5:.2f},{patch.top + 0.5:.2f}"
        element = ElementTree.SubElement(image, "points", points=points, **common)
    else:
        height, width = patch.mask.shape
        box = {"left": patch.left, "top": patch.top, "width": width, "height": height}
        box = {key: str(value) for key, value in box.items()}
        element = ElementTree.SubElement(image, "mask", rle=_runs(patch.mask), **box, **common)
    if shape.is_question:
        for name, value in (("class", shape.label), ("suggestion", shape.suggestion)):
            ElementTree.SubElement(element, "attribute", name=name).text = value


def _runs(mask: np.ndarray) -> str:
    """Row-major run lengths of bool[h, w], the first one of zeros."""
    flat = np.concatenate(([False], mask.ravel()))
    edges = np.concatenate(([0], np.flatnonzero(np.diff(flat)), [mask.size]))
    return ", ".join(map(str, np.diff(edges).tolist()))


def _from_runs(text: str, height: int, width: int) -> np.ndarray:
    runs = np.array([int(run) for run in text.split(",")])
    if min(height, width) < 1 or runs.min() < 0 or runs.sum() != height * width:
        raise ValueError(f"a mask's runs do not fill its box of {width} x {height}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)


def _drawing(book: Book, image: ElementTree.Element, where: str) -> Drawing:
    with well_formed(where, "a CVAT image"):
        drawing = book.drawing(book.image_of(image.attrib["name"], where), where)
        drawing.check_size(int(image.attrib["height"]), int(image.attrib["width"]))
    where = drawing.where
    tags = {book.reserved(word): word for word in (ANSWERED, SKIPPED)}
    drawing.layered = True
    with well_formed(where, "a CVAT annotation"):
        shapes = [element for element in image if element.tag != "tag"]
        for element in sorted(shapes, key=lambda shape: int(shape.attrib.get("z_order", 0))):
            _mark(book, drawing, element, element.attrib["label"])
        for element in image.iter("tag"):
            label = element.attrib["label"]
            if label in tags:
                drawing.status = tags[label]
            else:
                _LOG.warning("%s: the tag %r means nothing here", where, label)
    return drawing


def _mark(book: Book, drawing: Drawing, element: ElementTree.Element, label: str) -> None:
    """Adds one shape to the drawing; a question without an answer is counted."""
    if label == book.reserved(_QUERY):
        texts = {entry.attrib["name"]: entry.text or "" for entry in element.iter("attribute")}
        label = texts["class"]
    class_id = book.answer_of(label, drawing.where)
    if class_id is None:
        drawing.unanswered += 1
        return
    if element.tag == "mask":
        left, top, width, height = (
            int(element.attrib[key]) for key in ("left", "top", "width", "height")
        )
        if 0 <= height <= drawing.shape[0] and 0 <= width <= drawing.shape[1]:
            mask = _from_runs(element.attrib["rle"], height, width)
            drawing.patches.append((Patch(top, left, mask), class_id))
        else:
            raise ValueError(f"a mask of {width} x {height} is larger than its image")
    elif element.tag == "box":
        sides = (float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        corners = box(*sides, float(element.attrib.get("rotation", 0)))
        drawing.patches += [(patch, class_id) for patch in polygon(corners, drawing.shape)]
    elif element.tag in ("points", "polygon"):
        corners = [tuple(map(float, p.split(","))) for p in element.attrib["points"].split(";")]
        if element.tag == "points":
            drawing.points += [(math.floor(y), math.floor(x), class_id) for x, y in corners]
        else:
            drawing.patches += [(patch, class_id) for patch in polygon(corners, drawing.shape)]
    else:
        raise UserError(
            f"{drawing.where}: a shape of type {element.tag!r}. Use points, masks, polygons or"
            " boxes."
        )


class _NoDoctype(ElementTree.TreeBuilder):
    """Refuses a document type: only there can entities be declared that expand without end."""

    def doctype(self, name, public, system):
        """Raises ValueError."""
        raise ValueError("it declares a document type, which CVAT never writes")


def _parse(path: epath.Path) -> ElementTree.Element:
    parser = ElementTree.XMLParser(target=_NoDoctype())
    try:
        parser.feed(read_bytes(path))
        return parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise UserError(
            f"{path}: not the XML of CVAT ({error}). Export it again from the tool; unpack it if it"
            " is a zip file."
        ) from error
