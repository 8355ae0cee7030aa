"""The files of one round: queries that training writes, answers that an annotator writes.

    rounds/images/NAME.jpg|.png   the picture to label, where people answer; shared by all rounds
    rounds/NNN/round.json         number, strategy, classes, names of the images asked about, and
                                  how segments are cut; written last: a round without it is still
                                  being written
    rounds/NNN/queries/NAME.png   8-bit label map: the model's guess at every asked pixel, else 255
    rounds/NNN/queries/NAME.json  {name, height, width, kind, asked, left_out, points}
    rounds/NNN/answers/NAME.png   8-bit label map: the true class; 255 where void, unsure, not asked
    rounds/NNN/answers/NAME.json  {name, status, annotator, seconds, clicks, keys, labelled, items,
                                  reviewer, review, agreement}; written after its PNG. {} will do
    rounds/NNN/closed.json        training has taken the answers: they may not change any more

A query and its answer are label maps of the same size, so that any tool that reads and writes label
PNGs is an annotator. Every file appears whole or not at all.
"""

import dataclasses
import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from etils import epath

from jax_labor.classes import IGNORE, ClassTable
from jax_labor.errors import UserError
from jax_labor.files import remove_parts, write_bytes, write_json
from jax_labor.labels.answer_checks import ANSWERED, CHECKS, ORACLE, SKIPPED
from jax_labor.labels.round_files import encode_jpeg, read_json, read_label, write_png
from jax_labor.pixels import BadFileError, encode_png, open_picture

POINTS, MASK, FULL = "points", "mask", "full"
PHOTO_TYPES = (".jpg", ".png")
LONGEST_NAME = 250  # bytes of an image's; file systems take 255, ".json" included


@dataclasses.dataclass(frozen=True)
class Query:
    """What is asked about one image.

    Attributes:
        name: the image's name, unique within the target data set.
        guess: uint8[H, W], the model's class at every asked pixel, 255 elsewhere. In a "full" query
            255 says that there is no guess.
        kind: "points" (single pixels), "mask" (connected pieces) or "full" (every pixel).
        points: int[n, 2], (row, column) in the order in which to ask; empty but for "points".
        left_out: pixels that the strategy chose but that are not asked, being in too small pieces.
    """

    name: str
    guess: np.ndarray
    kind: str
    points: np.ndarray
    left_out: int = 0

    @property
    def asked(self) -> np.ndarray:
        """bool[H, W], the pixels asked about."""
        return np.full(self.guess.shape, True) if self.kind == FULL else self.guess != IGNORE


@dataclasses.dataclass(frozen=True)
class Answer:
    """What an annotator said of one query.

    Attributes:
        name: the image's name.
        label: uint8[H, W] train ids, 255 where void, unsure or not asked.
        status: "answered" or "skipped".
        annotator: who answered.
        seconds: time spent, 0 for a program.
        clicks: pointer presses spent.
        keys: key presses spent.
        items: one dict per point or piece: {item, action, class, seconds, clicks, keys, shown,
            accepted, corrected, size}; empty when the annotator did not say.
        reviewer: the second person who went over the answer.
        review: what that took, {seconds, clicks, keys}; the sums above are the annotator's alone.
        agreement: of the two people, see `labels.agreement`.
    """

    name: str
    label: np.ndarray
    status: str = ANSWERED
    annotator: str = ORACLE
    seconds: float = 0.0
    clicks: int = 0
    keys: int = 0
    items: tuple[dict, ...] = ()
    reviewer: str | None = None
    review: dict | None = None
    agreement: dict | None = None


class Round:
    """Round `number` of the run in `workdir`."""

    def __init__(self, workdir, number: int):
        self.number = number
        self.folder = epath.Path(workdir) / "rounds" / f"{number:03d}"

    def remove_parts(self) -> None:
        """Clears what a killed trainer left of its writing; for the trainer, before it writes."""
        for folder in (self.folder, self.folder / "queries", self.folder.parent / "images"):
            remove_parts(folder)

    def write_query(self, query: Query) -> None:
        """Writes one query; an earlier one of the same name is replaced."""
        height, width = query.guess.shape
        write_png(self.folder / "queries" / f"{query.name}.png", query.guess)
        facts = {
            "name": query.name,
            "height": height,
            "width": width,
            "kind": query.kind,
            "asked": int(query.asked.sum()),
            "left_out": query.left_out,
            "points": np.asarray(query.points).tolist(),
        }
        write_json(self.folder / "queries" / f"{query.name}.json", facts)

    def query_facts(self, name: str) -> dict:
        """What stands in queries/NAME.json."""
        return read_json(self.folder / "queries" / f"{name}.json")

    def read_query(self, name: str) -> Query:
        """Reads the query about image `name`; a UserError names a file that cannot be read."""
        facts = self.query_facts(name)
        guess = read_label(self.folder / "queries" / f"{name}.png")
        points = np.asarray(facts["points"], np.int64).reshape(-1, 2)
        return Query(name, guess, facts["kind"], points, facts["left_out"])

    def write_image(self, name: str, image: np.ndarray, lossless: bool = False) -> None:
        """Writes the picture that people see, uint8[H, W, 3], unless an earlier round has."""
        if self.image_path(name) is not None:
            return
        suffix, encode = (".png", encode_png) if lossless else (".jpg", encode_jpeg)
        write_bytes(self.folder.parent / "images" / f"{name}{suffix}", encode(image))

    def image_path(self, name: str) -> epath.Path | None:
        """The file of the picture that people see, None when there is none."""
        paths = (self.folder.parent / "images" / f"{name}{suffix}" for suffix in PHOTO_TYPES)
        return next((path for path in paths if path.exists()), None)

    def read_image(self, name: str) -> np.ndarray:
        """The picture that people see, uint8[H, W, 3]; a UserError where it cannot be read."""
        path = self.image_path(name)
        if path is None:
            raise UserError(
                f"{self.folder.parent / 'images' / name} is missing as .png and .jpg: restore it."
            )
        try:
            return np.asarray(open_picture(path.read_bytes()).convert("RGB"))
        except (OSError, BadFileError) as error:
            raise UserError(f"{path} is no readable picture ({error}): restore it.") from error

    def open(
        self, strategy: str, names, table: ClassTable, smallest: int = 0, specks: str = "merge"
    ) -> None:
        """Declares all queries written: from now on annotators may answer.

        Args:
            strategy: how the pixels were chosen.
            names: the images asked about.
            table: the classes to answer in.
            smallest: pixels below which a connected piece of a mask is a speck, 0 for none.
            specks: "merge" (into the nearest larger piece's question) or "leave" (not asked).
        """
        pairs = zip(table.names, table.colors, strict=True)
        facts = {
            "round": self.number,
            "strategy": strategy,
            "classes": [{"name": name, "color": list(color)} for name, color in pairs],
            "smallest": smallest,
            "specks": specks,
            "names": sorted(names),
        }
        write_json(self.folder / "round.json", facts)

    def facts(self) -> dict:
        """What stands in round.json."""
        return read_json(self.folder / "round.json")

    @property
    def is_open(self) -> bool:
        """Whether every query of the round has been written."""
        return (self.folder / "round.json").exists()

    def close(self) -> None:
        """Declares the answers taken: nobody may change them any more."""
        if not self.is_closed:
            write_json(self.folder / "closed.json", {"round": self.number})

    @property
    def is_closed(self) -> bool:
        """Whether training has taken the answers."""
        return (self.folder / "closed.json").exists()

    @functools.cached_property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes to answer in, by id."""
        return tuple(each["name"] for each in self.facts()["classes"])

    def names(self) -> list[str]:
        """Names of the images asked about, in order."""
        return self.facts()["names"]

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
        write_png(self.folder / "answers" / f"{answer.name}.png", label)
        facts = dataclasses.asdict(answer)
        del facts["label"]
        facts["labelled"] = int((label != IGNORE).sum())
        write_json(self.folder / "answers" / f"{answer.name}.json", facts)

    def answered(self) -> list[str]:
        """Names of the queries that are answered or skipped."""
        folder = self.folder / "answers"
        done = {p.name for p in folder.iterdir()} if folder.exists() else set()
        return [name for name in self.names() if f"{name}.json" in done]

    def unanswered(self) -> list[str]:
        """Names of the queries that are neither answered nor skipped."""
        done = set(self.answered())
        return [name for name in self.names() if name not in done]

    def answer_facts(self, name: str) -> dict:
        """What stands in answers/NAME.json, with `name`, `status` and `annotator` in any case.

        That the file is there says that the image is answered, unless it says "skipped"; of which
        image it is, its own name says.

        Raises:
            UserError: it cannot be read, or says something that no answer can be.
        """
        path = self.folder / "answers" / f"{name}.json"
        unsaid = {"status": ANSWERED, "annotator": "another tool"}
        facts = unsaid | read_json(path) | {"name": name}
        for key, good, wanted in CHECKS:
            if key in facts and not good(facts[key]):
                raise UserError(
                    f"{path} has the {key} {str(facts[key])[:80]!r}: write {wanted}, or nothing of"
                    " it."
                )
        given = {item["class"] for item in facts.get("items") or () if item["action"] == "class"}
        if given and not given <= set(range(len(self.class_names))):
            raise UserError(
                f"{path} has items of class {max(given)}; the classes are 0 to"
                f" {len(self.class_names) - 1}: mend them, or write no items."
            )
        return facts

    def read_answer(self, name: str) -> np.ndarray:
        """The answered label map of image `name`, cut to the pixels that were asked.

        Returns:
            uint8[H, W] of the query's size, 255 everywhere if it was skipped.

        Raises:
            UserError: it cannot be read, has another size than its query, or an id of no class.
        """
        query = self.read_query(name)
        guess = query.guess
        if self.answer_facts(name)["status"] == SKIPPED:
            return np.full_like(guess, IGNORE)
        path = self.folder / "answers" / f"{name}.png"
        label = read_label(path)
        if label.shape != guess.shape:
            raise UserError(
                f"{path} is {label.shape[0]}x{label.shape[1]} pixels, its query"
                f" {guess.shape[0]}x{guess.shape[1]}: label at the query's own size."
            )
        label = np.where(query.asked, label, IGNORE)
        wrong = label[(label >= len(self.class_names)) & (label != IGNORE)]
        if wrong.size:
            raise UserError(
                f"{path} has the id {wrong[0]}, but the classes are 0 to"
                f" {len(self.class_names) - 1} ({', '.join(self.class_names)}) and 255 for void:"
                " mend the label map."
            )
        return label

    def check_answers(self) -> None:
        """Raises the UserError of the first answer that `read_answer` refuses."""
        with ThreadPoolExecutor() as pool:
            for _ in pool.map(self.read_answer, self.names()):
                pass


def open_rounds(workdir) -> list[Round]:
    """The rounds that have been opened, in order, closed ones included."""
    return [round_ for round_ in _rounds(workdir) if round_.is_open]


def newest_round(workdir) -> Round | None:
    """The open round of the highest number, None when no round is open."""
    return next((round_ for round_ in reversed(_rounds(workdir)) if round_.is_open), None)


def _rounds(workdir) -> list[Round]:
    folder = epath.Path(workdir) / "rounds"
    numbers = [int(p.name) for p in folder.iterdir() if p.name.isdigit()] if folder.exists() else []
    return [Round(workdir, number) for number in sorted(numbers)]
