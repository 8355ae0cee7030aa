"""The files of one round: queries that training writes, answers that an annotator writes.

    rounds/NNN/round.json         number, strategy and names of the images asked about; written
                                  last: a round without it is still being written
    rounds/NNN/queries/NAME.png   8-bit label map: the model's guess at every asked pixel, else 255
    rounds/NNN/queries/NAME.json  {name, height, width, kind, asked, points}
    rounds/NNN/answers/NAME.png   8-bit label map: the true class; 255 where void, unsure, not asked
    rounds/NNN/answers/NAME.json  {name, status, annotator, seconds, labelled}; after its PNG

A query and its answer are label maps of the same size, so that any tool that reads and writes label
PNGs is an annotator. Every file appears whole or not at all.
"""

import dataclasses
import io
import json

import numpy as np
from etils import epath
from PIL import Image

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.files import remove_parts, write_bytes, write_json

ANSWERED, SKIPPED = "answered", "skipped"


@dataclasses.dataclass(frozen=True)
class Query:
    """What is asked about one image.

    Attributes:
        name: the image's name, unique within the target data set.
        guess: uint8[H, W], the model's class at every asked pixel, 255 elsewhere.
        kind: "points" or "mask".
        points: int[n, 2], (row, column) in the order in which to ask; empty for a mask.
    """

    name: str
    guess: np.ndarray
    kind: str
    points: np.ndarray

    @property
    def asked(self) -> np.ndarray:
        """bool[H, W], the pixels asked about."""
        return self.guess != IGNORE


@dataclasses.dataclass(frozen=True)
class Answer:
    """What an annotator said of one query.

    Attributes:
        name: the image's name.
        label: uint8[H, W] train ids, 255 where void, unsure or not asked.
        status: "answered" or "skipped".
        annotator: who answered.
        seconds: time spent, 0 for a program.
    """

    name: str
    label: np.ndarray
    status: str = ANSWERED
    annotator: str = "oracle"
    seconds: float = 0.0


class Round:
    """Round `number` of the run in `workdir`."""

    def __init__(self, workdir, number: int):
        self.number = number
        self.folder = epath.Path(workdir) / "rounds" / f"{number:03d}"

    def remove_parts(self) -> None:
        """Clears what a killed trainer left of its writing; for the trainer, before it writes."""
        for folder in (self.folder, self.folder / "queries"):
            remove_parts(folder)

    def write_query(self, query: Query) -> None:
        """Writes one query; an earlier one of the same name is replaced."""
        height, width = query.guess.shape
        _write_png(self.folder / "queries" / f"{query.name}.png", query.guess)
        facts = {
            "name": query.name,
            "height": height,
            "width": width,
            "kind": query.kind,
            "asked": int(query.asked.sum()),
            "points": np.asarray(query.points).tolist(),
        }
        write_json(self.folder / "queries" / f"{query.name}.json", facts)

    def read_query(self, name: str) -> Query:
        """Reads the query about image `name`; a UserError names a file that cannot be read."""
        facts = _read_json(self.folder / "queries" / f"{name}.json")
        guess = _read_png(self.folder / "queries" / f"{name}.png")
        points = np.asarray(facts["points"], np.int64).reshape(-1, 2)
        return Query(name, guess, facts["kind"], points)

    def open(self, strategy: str, names) -> None:
        """Declares all queries written: from now on annotators may answer."""
        facts = {"round": self.number, "strategy": strategy, "names": sorted(names)}
        write_json(self.folder / "round.json", facts)

    @property
    def is_open(self) -> bool:
        """Whether every query of the round has been written."""
        return (self.folder / "round.json").exists()

    def names(self) -> list[str]:
        """Names of the images asked about, in order."""
        return _read_json(self.folder / "round.json")["names"]

    def asked(self) -> dict[str, int]:
        """Pixels asked by image, void ones included."""
        return {n: _read_json(self.folder / "queries" / f"{n}.json")["asked"] for n in self.names()}

    def write_answer(self, answer: Answer) -> None:
        """Writes one answer, cut to the pixels that were asked.

        Raises:
            UserError: the answer has another size than its query.
        """
        query = self.read_query(answer.name)
        if answer.label.shape != query.guess.shape:
            raise UserError(
                f"The answer for {answer.name} in {self.folder} is {answer.label.shape}, its query"
                f" {query.guess.shape}: answer at the query's size."
            )
        label = np.where(query.asked, answer.label, IGNORE).astype(np.uint8)
        _write_png(self.folder / "answers" / f"{answer.name}.png", label)
        facts = {
            "name": answer.name,
            "status": answer.status,
            "annotator": answer.annotator,
            "seconds": answer.seconds,
            "labelled": int((label != IGNORE).sum()),
        }
        write_json(self.folder / "answers" / f"{answer.name}.json", facts)

    def unanswered(self) -> list[str]:
        """Names of the queries that are neither answered nor skipped."""
        folder = self.folder / "answers"
        done = {p.name for p in folder.iterdir()} if folder.exists() else set()
        return [name for name in self.names() if f"{name}.json" not in done]

    def read_answer(self, name: str) -> np.ndarray:
        """The answered label map of image `name`, uint8[H, W]; 255 everywhere if it was skipped."""
        facts = _read_json(self.folder / "answers" / f"{name}.json")
        label = _read_png(self.folder / "answers" / f"{name}.png")
        return label if facts["status"] == ANSWERED else np.full_like(label, IGNORE)


def _write_png(path, array: np.ndarray) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(array, np.uint8)).save(buffer, "PNG", compress_level=3)
    write_bytes(path, buffer.getvalue())


def _read_png(path) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(epath.Path(path).read_bytes())) as image:
            return np.asarray(image.convert("L"))
    except (OSError, SyntaxError) as error:
        raise UserError(
            f"{path} is missing or not a readable PNG ({error}): remove its round's folder to ask"
            " again, or restore the file."
        ) from error


def _read_json(path) -> dict:
    try:
        return json.loads(epath.Path(path).read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is missing or not readable JSON ({error}): remove its round's folder to ask"
            " again, or restore the file."
        ) from error
