"""CSV: one asked point per row, for spreadsheets and point-count tools such as CoralNet.

Export writes points.csv with the columns name, row, column, label, guess, status, seconds. Rows and
columns count from 0; `label` is the class by name, empty while unanswered or unsure; every asked
point has its row, and an image about which none is asked one row without row and column, for its
status. `status` is "answered", "skipped" or empty (open). On import only the first four columns are
needed; an image is answered when its status says so or each of its rows has a label.

Carried: points, unsure (an empty label in an answered image), skipped, seconds. Not carried: masks
(such a round is refused), annotator, clicks and keys.
"""

import csv
import io
from collections.abc import Iterator

from etils import epath

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.files import write_text
from jax_labor.labels.exchange.book import Book
from jax_labor.labels.exchange.marks import Drawing
from jax_labor.labels.exchange.source import file_in, read_bytes, seconds, well_formed
from jax_labor.labels.store import ANSWERED, POINTS, SKIPPED

_NEEDED = ("name", "row", "column", "label")


def write(book: Book, out: epath.Path) -> None:
    """Writes points.csv."""
    if book.kinds - {POINTS}:
        raise UserError(
            f"{book.round.folder} asks about masks, CSV holds points. Export it in another format."
        )
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([*_NEEDED, "guess", "status", "seconds"])
    for task in book.tasks():
        about = task.status or "", task.seconds
        points = task.query.points.tolist()
        for row, column in points:
            label, guess = (
                "" if ids[row, column] == IGNORE else book.classes[ids[row, column]]
                for ids in (task.label, task.query.guess)
            )
            rows.writerow([task.name, row, column, label, guess, *about])
        if not points:
            rows.writerow([task.name, "", "", "", "", *about])
    write_text(out / "points.csv", text.getvalue())


def read(book: Book, source: epath.Path) -> Iterator[Drawing]:
    """One drawing per image of the CSV file `source`, or of points.csv in it."""
    path = file_in(source, "points.csv")
    with well_formed(f"{path}", "CSV in UTF-8"):
        text = read_bytes(path).decode("utf-8-sig")
    drawings = {}
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if missing := [name for name in _NEEDED if name not in (rows.fieldnames or ())]:
            raise UserError(
                f"{path}: no column {', '.join(missing)} in its first line. Separate columns by"
                f" commas and name them {','.join(_NEEDED)}."
            )
        for row in rows:
            _row(book, drawings, row, f"{path}, line {rows.line_num}")
    except csv.Error as error:
        raise UserError(f"{path}, line {rows.line_num}: {error}. Save it as CSV again.") from error
    yield from drawings.values()


def _row(book: Book, drawings: dict[str, Drawing], row: dict, where: str) -> None:
    """Adds one row to its image's drawing."""
    with well_formed(where, "a point"):
        if None in row or None in row.values():
            raise ValueError("another number of columns than the first line")
        name = row["name"] if row["name"] in book.names else book.image_of(row["name"], where)
        if name not in drawings:
            drawings[name] = book.drawing(name, where)
        drawing = drawings[name]
        status = row.get("status") or None
        if status not in (None, ANSWERED, SKIPPED):
            raise ValueError(f"status {status!r} is neither {ANSWERED} nor {SKIPPED}")
        if None not in (status, drawing.status) and status != drawing.status:
            raise ValueError(f"{name} is both {status} and {drawing.status}")
        drawing.status = status or drawing.status
        drawing.seconds = seconds(row.get("seconds"))
        if row["label"]:
            point = int(row["row"]), int(row["column"])
            drawing.points.append((*point, book.class_of(row["label"], where)))
        elif row["row"]:
            drawing.unanswered += 1
