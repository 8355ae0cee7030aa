"""COCO: instances.json with run-length masks, and the suggestions as a result file.

Export writes instances.json (`images`, `categories`, and per image and class one annotation whose
`segmentation` is a compressed RLE; asked points are such masks too, since COCO's keypoints are
parts of an object) and predictions.json (COCO's result format, with the score 1). Category ids
start at 1: many tools take 0 for the background. Categories are read by name.

Carried: points and masks as pixels, and in a field `status` of the image, which other tools may
drop, answered and skipped. An image without annotation and status stays open. Not carried: the
order of points, annotator, seconds, clicks and keys.
"""

from collections.abc import Iterator

import numpy as np
from etils import epath
from pycocotools import mask as rle

from jax_labor.errors import UserError
from jax_labor.files import write_json
from jax_labor.labels.exchange.book import Book
from jax_labor.labels.exchange.marks import Drawing, class_patches, split
from jax_labor.labels.exchange.source import file_in, read_json, well_formed
from jax_labor.labels.store import ANSWERED, SKIPPED


def write(book: Book, out: epath.Path) -> None:
    """Writes instances.json and predictions.json."""
    images, annotations, predictions = [], [], []
    for number, task in enumerate(book.tasks(), start=1):
        height, width = task.shape
        image = {"id": number, "file_name": task.file_name, "height": height, "width": width}
        images.append({**image, "status": task.status} if task.status else image)
        for mark in _masks(number, task.label):
            annotations.append({"id": len(annotations) + 1, "iscrowd": 0, **mark})
        predictions += [{**mark, "score": 1.0} for mark in _masks(number, task.query.guess)]
    categories = [
        {"id": class_id + 1, "name": name, "supercategory": ""}
        for class_id, name in enumerate(book.classes)
    ]
    info = {"description": f"jax_labor, round {book.round.number}", "version": "1"}
    parts = {"images": images, "annotations": annotations, "categories": categories}
    write_json(out / "instances.json", {"info": info, "licenses": [], **parts})
    write_json(out / "predictions.json", predictions)


def read(book: Book, source: epath.Path) -> Iterator[Drawing]:
    """One drawing per image of the JSON file `source`, or of instances.json in it."""
    path = file_in(source, "instances.json")
    content = read_json(path)
    with well_formed(f"{path}", "a COCO file"):
        classes = {entry["id"]: entry["name"] for entry in content["categories"]}
        marks = {entry["id"]: [] for entry in content["images"]}
        for entry in content["annotations"]:
            if entry["image_id"] not in marks:
                raise ValueError(f"annotation {entry.get('id')} is of an image that is not there")
            marks[entry["image_id"]].append(entry)
        images = content["images"]
    for image in images:
        with well_formed(f"{path}, image {image.get('id')}", "a COCO image"):
            drawing = book.drawing(book.image_of(image["file_name"], f"{path}"), f"{path}")
            drawing.check_size(image["height"], image["width"])
            if image.get("status") in (ANSWERED, SKIPPED):
                drawing.status = image["status"]
            for entry in marks[image["id"]]:
                class_id = book.class_of(classes[entry["category_id"]], drawing.where)
                if not entry.get("segmentation"):
                    raise UserError(
                        f"{drawing.where}: annotation {entry.get('id')} has a box and no mask."
                        " Draw masks or polygons."
                    )
                mask = _mask(entry["segmentation"], drawing)
                drawing.patches += [(patch, class_id) for patch in split(mask)]
        yield drawing


def _masks(image_id: int, label: np.ndarray) -> Iterator[dict]:
    """Per class of uint8[H, W]: image, category, RLE, area and box."""
    for _, class_id in class_patches(label):
        coded = rle.encode(np.asfortranarray(label == class_id))
        yield {
            "image_id": image_id,
            "category_id": class_id + 1,
            "segmentation": {"size": coded["size"], "counts": coded["counts"].decode()},
            "area": int(rle.area(coded)),
            "bbox": [float(value) for value in rle.toBbox(coded)],
        }


def _mask(segmentation, drawing: Drawing) -> np.ndarray:
    """A compressed or listed RLE, or polygons, as bool[H, W]."""
    height, width = drawing.shape
    if isinstance(segmentation, list):
        segmentation = _polygons(segmentation, height, width)
    if list(segmentation["size"]) != [height, width]:
        raise UserError(
            f"{drawing.where}: a mask of {segmentation['size']} in an image of"
            f" {[height, width]} (height, width). Export it again from the tool."
        )
    counts = segmentation["counts"]
    runs = np.array(counts if isinstance(counts, list) else _runs(counts), np.int64)
    if runs.min(initial=0) < 0 or runs.sum() != height * width:
        raise ValueError("a mask's runs do not fill its image")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _polygons(lists: list[list[float]], height: int, width: int) -> dict:
    """The compressed RLE of polygons, each x, y, x, y, ...; COCO's own rule of what is inside."""
    for corners in lists:
        pairs = np.array(corners, float).reshape(-1, 2)
        if len(pairs) < 3 or not ((pairs >= -1) & (pairs <= (width + 1, height + 1))).all():
            raise ValueError("a polygon needs three corners or more, all of them in the image")
    return rle.merge(rle.frPyObjects(lists, height, width))


def _runs(counts: str | bytes) -> list[int]:
    """The run lengths of a compressed RLE: 5 bits a character, differences after the third.

    Taken apart here because pycocotools trusts them: it decodes a damaged one to stray memory.
    """
    runs, value, shift = [], 0, 0
    for character in counts.encode("ascii") if isinstance(counts, str) else counts:
        digit = character - 48
        if not 0 <= digit < 64:
            raise ValueError("a character in a mask's counts that cannot be there")
        value |= (digit & 31) << shift
        shift += 5
        if shift > 60:
            raise ValueError("a mask's counts are longer than any image")
        if not digit & 32:
            if digit & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value, shift = 0, 0
    if shift:
        raise ValueError("a mask's counts are cut short")
    return runs
