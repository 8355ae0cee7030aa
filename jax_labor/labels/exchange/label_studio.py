"""Label Studio: tasks.json to import, and the "JSON" export of its projects to read back.

Export writes config.xml (the labelling interface to paste into a new project) and tasks.json.
Points are keypoints, masks are brush masks, one per class; the model's suggestion is a prediction,
an answer an annotation. Task data say `name`, `round`, `kind` and `image`, the picture's address
under Label Studio's local file serving with the export folder as its document root.

Carried: points to the pixel at every size (the centre of the pixel in percent), masks, unsure (a
submitted annotation without the pixel), skipped (a cancelled one), seconds (lead time, of all
annotations of a task; of several the one marked as ground truth is taken, or else the newest).
Where brush masks overlap, as neighbours painted by hand do, the later region counts.
Predictions are never read as answers. Not carried: who answered before, clicks and keys. Brush
masks are large (about 10 bytes a run), and Label Studio takes files up to 250 MB unless told
otherwise.
"""

import functools
import json
import logging
import math
from collections.abc import Iterator
from typing import BinaryIO
from urllib.parse import quote, unquote
from xml.etree import ElementTree

import numpy as np
from etils import epath

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.files import write_bytes, write_with
from jax_labor.labels.exchange.book import Book, Task
from jax_labor.labels.exchange.brush import decode_brush, encode_brush
from jax_labor.labels.exchange.marks import Drawing, class_patches, split
from jax_labor.labels.exchange.source import file_in, read_json, seconds, well_formed
from jax_labor.labels.store import ANSWERED, FULL, POINTS, SKIPPED

_LOG = logging.getLogger(__name__)
_POINT, _BRUSH, _IMAGE = "point", "mask", "image"
_DOT_PERCENT = 0.3  # drawn diameter of a keypoint, in percent of the image's width


def write(book: Book, out: epath.Path) -> None:
    """Writes config.xml and tasks.json."""
    write_bytes(out / "config.xml", _config(book))
    write_with(out / "tasks.json", functools.partial(_stream, book))


def _stream(book: Book, stream: BinaryIO) -> None:
    """Writes a JSON list task by task: brush masks are too large to hold all of a round's."""
    for number, task in enumerate(book.tasks()):
        text = json.dumps(_task(book, task), separators=(",", ":"))
        stream.write(b"[\n" if number == 0 else b",\n")
        stream.write(text.encode())
    stream.write(b"\n]\n")


def read(book: Book, source: epath.Path) -> Iterator[Drawing]:
    """One drawing per task of the JSON file `source`, or of tasks.json in it."""
    path = file_in(source, "tasks.json")
    tasks = read_json(path)
    with well_formed(f"{path}", "a list of Label Studio tasks"):
        if not isinstance(tasks, list):
            raise TypeError("choose the export format JSON")
        for number, task in enumerate(tasks):
            yield _drawing(book, task, f"{path}, task {task.get('id', number)}")


def _config(book: Book) -> bytes:
    view = ElementTree.Element("View")
    ElementTree.SubElement(
        view, "Image", name=_IMAGE, value="$image", zoom="true", smoothing="false"
    )
    controls = [("KeyPointLabels", _POINT, {"strokeWidth": "2"})] if POINTS in book.kinds else []
    controls += [("BrushLabels", _BRUSH, {})] if book.kinds - {POINTS} else []
    for tag, name, more in controls:
        control = ElementTree.SubElement(view, tag, name=name, toName=_IMAGE, **more)
        for class_name, color in zip(book.classes, book.colors, strict=True):
            background = "#{:02x}{:02x}{:02x}".format(*color)
            ElementTree.SubElement(control, "Label", value=class_name, background=background)
    ElementTree.indent(view)
    return ElementTree.tostring(view, "utf-8") + b"\n"


def _task(book: Book, task: Task) -> dict:
    data = {
        "image": "/data/local-files/?d=" + quote(f"images/{task.file_name}"),
        "name": task.name,
        "round": book.round.number,
        "kind": task.query.kind,
    }
    entry = {"data": data, "predictions": [], "annotations": []}
    if task.query.kind != FULL or (task.query.guess != IGNORE).any():
        result = _results(book, task, task.query.guess)
        entry["predictions"] = [{"model_version": f"round {book.round.number}", "result": result}]
    if task.status:
        answer = {
            "result": _results(book, task, task.label),
            "was_cancelled": task.status == SKIPPED,
            "lead_time": task.seconds,
        }
        entry["annotations"] = [answer]
    return entry


def _results(book: Book, task: Task, label: np.ndarray) -> list[dict]:
    """The regions of uint8[H, W]: a keypoint per asked point, or a brush mask per class."""
    if task.query.kind == POINTS:
        height, width = task.shape
        marks = [
            (
                _POINT,
                "keypointlabels",
                book.classes[label[row, column]],
                {
                    "x": (column + 0.5) / width * 100,
                    "y": (row + 0.5) / height * 100,
                    "width": _DOT_PERCENT,
                },
            )
            for row, column in task.query.points.tolist()
            if label[row, column] != IGNORE
        ]
    else:
        marks = [
            (
                _BRUSH,
                "brushlabels",
                book.classes[class_id],
                {"format": "rle", "rle": encode_brush(label == class_id)},
            )
            for _, class_id in class_patches(label)
        ]
    return [
        {
            "id": f"{name}{number}",
            "type": kind,
            "from_name": name,
            "to_name": _IMAGE,
            "original_width": task.shape[1],
            "original_height": task.shape[0],
            "image_rotation": 0,
            "value": {**value, kind: [class_name]},
        }
        for number, (name, kind, class_name, value) in enumerate(marks)
    ]


def _drawing(book: Book, task: dict, where: str) -> Drawing:
    with well_formed(where, "a Label Studio task"):
        data = task["data"]
        name = book.image_of(data.get("name") or unquote(str(data["image"])), where)
        drawing = book.drawing(name, where)
        drawing.layered = True
        given = task["annotations"]
        kept = [entry for entry in given if not entry.get("was_cancelled")]
        if given:
            drawing.status = ANSWERED if kept else SKIPPED
        drawing.seconds = sum(seconds(entry.get("lead_time")) for entry in given)
        if len(kept) > 1:
            _LOG.warning("%s: %d annotations; one of them is taken", where, len(kept))
        for result in max(kept, key=_rank)["result"] if kept else ():
            _mark(book, drawing, result)
    return drawing


def _rank(annotation: dict) -> tuple:
    """Of several people's annotations the one that a reviewer chose counts, else the newest."""
    number = annotation.get("id")
    return (
        bool(annotation.get("ground_truth")),
        str(annotation.get("updated_at") or ""),
        number if isinstance(number, int) else 0,
    )


def _mark(book: Book, drawing: Drawing, result: dict) -> None:
    """Adds one region to the drawing."""
    where = drawing.where
    kind, value = result["type"], result["value"]
    if kind not in ("keypointlabels", "brushlabels"):
        raise UserError(
            f"{where}: a region of type {kind!r}. Use keypoints and brush masks, as in config.xml."
        )
    if result.get("image_rotation"):
        raise UserError(f"{where}: the image was rotated in the tool. Rotate it back.")
    drawing.check_size(result["original_height"], result["original_width"])
    names = value.get(kind) or []
    if len(names) != 1:
        raise UserError(f"{where}: a region has {len(names)} classes. Give it exactly one.")
    class_id = book.class_of(names[0], where)
    if kind == "keypointlabels":
        row, column = (
            math.floor(float(value[axis]) / 100 * size)
            for axis, size in zip("yx", drawing.shape, strict=True)
        )
        drawing.points.append((row, column, class_id))
    else:
        if value.get("format") != "rle":
            raise ValueError(f"brush format {value.get('format')!r}")
        mask = decode_brush(value["rle"], drawing.shape)
        drawing.patches += [(patch, class_id) for patch in split(mask)]
