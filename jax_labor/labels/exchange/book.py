"""A round as the formats see it: images with their queries and answers, classes by name."""

import dataclasses
import difflib
import functools
import re
import unicodedata
from collections.abc import Iterator

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.labels.exchange.marks import Drawing, Patch, class_patches, split
from jax_labor.labels.segments import pieces
from jax_labor.labels.store import ANSWERED, MASK, POINTS, Query, Round

_UPLOADED = re.compile("^[0-9a-f]{8}-")
UNANSWERED, UNSURE = "unanswered", "unsure"


@dataclasses.dataclass(frozen=True)
class Task:
    """One image of a round, as it leaves.

    Attributes:
        query: what is asked.
        file_name: of its picture, without folder.
        label: uint8[H, W], the answer that stands; 255 everywhere while there is none.
        status: "answered", "skipped" or None (open).
        seconds: time spent on the answer.
    """

    query: Query
    file_name: str
    label: np.ndarray
    status: str | None
    seconds: float

    @property
    def name(self) -> str:
        """The image's name."""
        return self.query.name

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self.query.guess.shape


@dataclasses.dataclass(frozen=True)
class Shape:
    """What a tool without predictions shows: a question, or an answer drawn beside the questions.

    Attributes:
        patch: the pixels.
        is_point: whether it is one asked pixel.
        label: the class by name, "unsure", or "unanswered".
        suggestion: the model's class by name (the commonest in a piece), "" for none.
        is_question: whether this is an asked point or piece.
    """

    patch: Patch
    is_point: bool
    label: str
    suggestion: str = ""
    is_question: bool = False


class Book:
    """A round with its names looked up once: classes by name, images by file name.

    Raises:
        UserError: the round is not open yet.
    """

    def __init__(self, round_: Round):
        if not round_.is_open:
            raise UserError(
                f"{round_.folder}: no open round here (round.json is missing). Check the workdir"
                " and the round's number, or let the trainer finish writing its queries."
            )
        self.round = round_
        self._facts = round_.facts()
        self.classes = tuple(entry["name"] for entry in self._facts["classes"])
        self.colors = tuple(tuple(entry["color"]) for entry in self._facts["classes"])
        self.names = tuple(self._facts["names"])

    def tasks(self) -> Iterator[Task]:
        """The round's images one after the other, in order."""
        done = set(self.round.answered())
        for name in self.names:
            query = self.round.read_query(name)
            photo = self.round.image_path(name)
            facts = self.round.answer_facts(name) if name in done else {}
            label = self.round.read_answer(name) if facts else np.full_like(query.guess, IGNORE)
            yield Task(
                query,
                photo.name if photo else f"{name}.png",
                label,
                facts.get("status"),
                facts.get("seconds", 0.0),
            )

    @functools.cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of query in the round."""
        return frozenset(self.round.query_facts(name)["kind"] for name in self.names)

    def class_of(self, name: str, where: str) -> int:
        """Train id of the class called `name`; a UserError names `where` and a close match."""
        if name in self.classes:
            return self.classes.index(name)
        raise UserError(
            f"{where}: no class {_quoted(name)}{_close(name, self.classes)}. Rename it in the tool;"
            f" the round has {', '.join(map(_quoted, self.classes))}."
        )

    def image_of(self, file_name: str, where: str) -> str:
        """Name of the image whose picture is called `file_name`, folders and ending aside.

        An accent counts as one character or two (macOS), and the eight digits that Label Studio
        puts before the name of an uploaded file are left out.
        """
        last = _composed(str(file_name).replace("\\", "/").rsplit("/", 1)[-1])
        for name in (last, _UPLOADED.sub("", last)):
            for known in (name, name.rsplit(".", 1)[0]):
                if known in self._images:
                    return self._images[known]
        raise UserError(
            f"{where}: no image {_quoted(last)} in {self.round.folder}"
            f"{_close(last, self.names)}. Import into the round that was exported"
            " and leave the file names as they were."
        )

    def drawing(self, name: str, where: str) -> Drawing:
        """An empty drawing on image `name`."""
        facts = self.round.query_facts(name)
        return Drawing(name, f"{where} ({name})", (facts["height"], facts["width"]))

    @functools.cached_property
    def _images(self) -> dict[str, str]:
        return {_composed(name): name for name in self.names}

    def reserved(self, word: str) -> str:
        """`word` as a name of our own that no class has."""
        while word in self.classes:
            word += "_"
        return word

    def shapes(self, task: Task) -> Iterator[Shape]:
        """Each point in the order to ask or each piece by decreasing size, answered or not.

        After them, per class, one patch of what was answered in other ways: in pieces of several
        classes and in full masks.
        """
        drawn = task.label.copy()
        for patch in self._places(task.query):
            guesses = task.query.guess[patch.window][patch.mask]
            answers = np.unique(drawn[patch.window][patch.mask])
            label = self.reserved(UNANSWERED)
            if task.status == ANSWERED and len(answers) == 1:
                label = self._said(int(answers[0]))
                drawn[patch.window][patch.mask] = IGNORE
            suggestion = self.classes[np.bincount(guesses).argmax()]
            yield Shape(patch, task.query.kind == POINTS, label, suggestion, is_question=True)
        for patch, class_id in class_patches(drawn):
            yield Shape(patch, False, self.classes[class_id])

    def _places(self, query: Query) -> Iterator[Patch]:
        if query.kind == POINTS:
            dot = np.ones((1, 1), bool)
            yield from (Patch(row, column, dot) for row, column in query.points.tolist())
        elif query.kind == MASK:
            yield from split(pieces(query.asked, self._facts["smallest"]))

    def _said(self, class_id: int) -> str:
        return self.reserved(UNSURE) if class_id == IGNORE else self.classes[class_id]

    def answer_of(self, label: str, where: str) -> int | None:
        """The class that a shape's label says, 255 for unsure, None for unanswered."""
        if label == self.reserved(UNANSWERED):
            return None
        return IGNORE if label == self.reserved(UNSURE) else self.class_of(label, where)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _quoted(name) -> str:
    return repr(name) if isinstance(name, str) else f"{name!r} (not text)"


def _close(name, names) -> str:
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    return f"; did you mean {_quoted(close[0])}?" if close else ""
