"""Exchange of a round with the annotation tools that people already use; one module a format."""

import dataclasses
import functools
import logging
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from etils import epath

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError, unknown
from jax_labor.files import write_bytes
from jax_labor.labels.answer_checks import annotator_name
from jax_labor.labels.exchange import coco, csv_points, cvat, label_studio, labelme, png
from jax_labor.labels.exchange.book import Book
from jax_labor.labels.exchange.marks import Drawing, compose, silent
from jax_labor.labels.store import SKIPPED, Answer, Round

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Format:
    """A file format of another tool.

    Attributes:
        write: writes a round to a folder.
        read: gives what a file or folder says of each image.
        lost: what the format cannot carry, beside clicks and keys.
    """

    write: Callable[[Book, epath.Path], None]
    read: Callable[[Book, epath.Path], Iterator[Drawing]]
    lost: str


_PNG_LOST = "skipped images (they stay open), the order of points, annotator, seconds"
FORMATS = {
    "cvat": Format(cvat.write, cvat.read, "the suggestion of full masks, annotator, seconds"),
    "label_studio": Format(label_studio.write, label_studio.read, "annotator"),
    "labelme": Format(
        labelme.write, labelme.read, "the suggestion of full masks, annotator, seconds"
    ),
    "coco": Format(coco.write, coco.read, "the order of points, annotator, seconds"),
    "csv": Format(csv_points.write, csv_points.read, "masks, annotator"),
    "png": Format(png.write, png.read, _PNG_LOST),
    "png_palette": Format(functools.partial(png.write, palette=True), png.read, _PNG_LOST),
    "png_label_ids": Format(
        functools.partial(png.write, label_ids=True),
        functools.partial(png.read, label_ids=True),
        _PNG_LOST,
    ),
}


def export_round(round_: Round, format: str, out) -> None:
    """Writes what a round asks, the model's suggestions and the answers so far.

    Args:
        round_: an open round.
        format: a key of `FORMATS`; what it carries stands in its module.
        out: folder for the files and, in images/, the pictures; local or in a bucket.

    Raises:
        UserError: unknown format, or one that cannot hold the round; the round is not open.
    """
    kind, out = _format(format), epath.Path(out)
    book = Book(round_)
    kind.write(book, out)
    pictures = [path for path in map(round_.image_path, book.names) if path]
    for path in pictures:
        write_bytes(out / "images" / path.name, path.read_bytes())
    if missing := len(book.names) - len(pictures):
        _LOG.warning("%s: %d images have no picture to look at", round_.folder, missing)
    _LOG.info("Exported %d images to %s as %s", len(book.names), out, format)
    _LOG.info("%s does not carry %s, clicks and keys", format, kind.lost)


def import_round(round_: Round, format: str, source, annotator: str) -> list[str]:
    """Writes what a person did in another tool as answers of the round: all of it or nothing.

    Images without annotation stay open, and those with a question left unanswered, unless the file
    says that they are done; an image whose answer already says the same is left as it is. Pixels
    that were not asked about are left out.

    Args:
        round_: an open round that training has not taken yet.
        format: a key of `FORMATS`.
        source: the tool's file, or the folder that holds it.
        annotator: who did it, 1 to 64 printable characters.

    Returns:
        Names of the images whose answers were written, in the order of the source.

    Raises:
        UserError: anything in the source that does not fit; the message names the file.
    """
    kind, source = _format(format), epath.Path(source)
    try:
        annotator = annotator_name(annotator)
    except ValueError as rule:
        raise UserError(f"annotator {annotator!r}: give {rule}.") from None
    book = Book(round_)
    if round_.is_closed:
        raise UserError(
            f"{round_.folder}: training has taken the answers of this round. Import into a round"
            " that is still open."
        )
    done = set(round_.answered())
    found, checked, covered = set(), [], []
    for drawing in kind.read(book, source):
        if drawing.name in found:
            raise UserError(f"{drawing.where}: a second entry of this image. Keep one of them.")
        found.add(drawing.name)
        checked += _check(round_, drawing, annotator, drawing.name in done)
        covered += [drawing.covered] if drawing.covered else []
    if not found:
        raise UserError(f"{source}: no image in it. Give the file that the tool exported.")
    if covered:
        _LOG.warning(
            "%s: %d pixels of %d images lie under two classes; the mask on top, or else the later"
            " one, counts",
            *(source, sum(covered), len(covered)),
        )
    for answer in checked:
        round_.write_answer(answer.unpack())
    _LOG.info(
        "Imported %d images of %d in %s; %d of the round are still open",
        *(len(checked), len(found), source, len(round_.unanswered())),
    )
    return [answer.facts["name"] for answer in checked]


@dataclasses.dataclass(frozen=True)
class _Checked:
    """An answer that may be written, its label map compressed: a round may hold thousands."""

    facts: dict
    label: bytes
    shape: tuple[int, int]

    def unpack(self) -> Answer:
        label = np.frombuffer(zlib.decompress(self.label), np.uint8).reshape(self.shape)
        return Answer(label=label, **self.facts)


def _check(round_: Round, drawing: Drawing, annotator: str, done: bool) -> list[_Checked]:
    """The answer that a drawing means; none when it is open or stands already."""
    status = drawing.outcome
    if status is None:
        return []
    query = round_.read_query(drawing.name)
    label, outside = compose(drawing, query)
    if drawing.status is None and drawing.unanswered and (left := silent(drawing, query, label)):
        _LOG.warning(
            "%s: %d of its questions are unanswered, and %d pixels have no class, so it stays open."
            " Answer them, or mark the image as answered",
            *(drawing.where, drawing.unanswered, left),
        )
        return []
    if outside:
        _LOG.warning("%s: %d pixels were not asked and are left out", drawing.where, outside)
    if status != SKIPPED and (left := int(query.asked.sum() - (label != IGNORE).sum())):
        _LOG.info("%s: %d of the asked pixels are left unlabelled", drawing.where, left)
    if done:
        facts = round_.answer_facts(drawing.name)
        if facts["status"] == status and (round_.read_answer(drawing.name) == label).all():
            return []
        by = facts["annotator"], facts.get("reviewer")
        if by != (annotator, None):
            who = by[0] if by[1] is None else f"{by[0]}, with {by[1]} as the reviewer,"
            raise UserError(
                f"{drawing.where}: {who} has answered this image, and differently."
                f" Take it out of the file, or remove {drawing.name} from {round_.folder}/answers."
            )
    facts = {
        "name": drawing.name,
        "status": status,
        "annotator": annotator,
        "seconds": drawing.seconds,
    }
    return [_Checked(facts, zlib.compress(label.tobytes(), 1), label.shape)]


def _format(name: str) -> Format:
    if name not in FORMATS:
        raise unknown("format", name, FORMATS)
    return FORMATS[name]
