"""The rounds of a run as the server sees them: read from their files, kept within bounds."""

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from etils import epath

from jax_labor.errors import UserError
from jax_labor.files import is_remote
from jax_labor.labels.page.cache import Cache
from jax_labor.labels.page.refusal import Refusal, Unreadable
from jax_labor.labels.page.task import Task, load_task
from jax_labor.labels.store import PHOTO_TYPES, Round, newest_round

_LOG = logging.getLogger(__name__)
_CACHE_BYTES = 256 * 2**20
_REFRESH_SECONDS = {False: 1.0, True: 15.0}  # a bucket is listed less often than a local folder
_READERS = 8
_LOOKS = 64  # answers known already, of which each refresh looks whether they changed in a bucket
_MEDIA = {".jpg": "image/jpeg", ".png": "image/png"}


class Done(NamedTuple):
    """Who finished an image, who went over it, and the stamp of the file that says so."""

    status: str
    annotator: str
    reviewer: str | None
    stamp: tuple | None


class Broken(NamedTuple):
    """Why an image is left out, and the stamp of its files at which it was."""

    sentence: str
    stamp: tuple


class Board:
    """One open round.

    Attributes:
        round: its files.
        names: its images in order; a name that comes with a request counts only if it is in here.
        classes: [{id, name, color}].
        kind: of its first query.
        done: the images with an answer file, as of the last `refresh`.
        broken: the images with a file that cannot be read; they are handed out to nobody.
    """

    def __init__(self, round_: Round):
        facts = round_.facts()
        if "classes" not in facts:
            raise UserError(
                f"{round_.folder}: was written by a run that asks no people. Start a run with"
                " --config.annotator=people in another workdir"
            )
        self.round = round_
        self.number = round_.number
        self.names: list[str] = facts["names"]
        self.classes = [{"id": i} | row for i, row in enumerate(facts["classes"])]
        self.strategy = facts["strategy"]
        self.smallest = facts["smallest"]
        self.specks = facts["specks"]
        self.kind = round_.query_facts(self.names[0])["kind"] if self.names else None
        self.done: dict[str, Done] = {}
        self.broken: dict[str, Broken] = {}
        self._known = frozenset(self.names)
        self._refreshed = -float("inf")
        self._turn = 0
        self._answers = os.fspath(round_.folder / "answers")  # joined thousands of times a second
        self._lock = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether training has taken the answers; looked up anew."""
        return self.round.is_closed

    def check(self, name: str) -> None:
        """Refuses (404) an image that the round does not ask about."""
        if name not in self._known:
            raise Refusal(404, "no_image", "This round has no image of that name.")

    def unfinished(self) -> list[str]:
        """What is neither done nor broken, in order."""
        return [name for name in self.names if name not in self.done and name not in self.broken]

    def note(self, name: str) -> None:
        """Reads who finished `name`, whose answer has just been written."""
        with self._lock:  # not between a refresh's look at the folder and its conclusions
            self.done[name] = self._read(name)

    @contextlib.contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Around what reads files of image `name`: one that cannot be read leaves the image out.

        Raises:
            Unreadable: for the UserError of the block.
        """
        stamp = self._stamp(name)  # before it is read: a file mended meanwhile is looked at again
        try:
            yield
        except UserError as error:
            if name not in self.broken:
                _LOG.error("left out of round %d: %s", self.number, error)
            self.broken[name] = Broken(str(error), stamp)
            raise Unreadable(str(error)) from error

    def refresh(self) -> None:
        """Sees what came from elsewhere, an import or a file that was mended for instance.

        At most once a second. In a bucket, where each look at a file takes long, an answer that
        was there already is looked at anew in turn with the others.
        """
        remote = is_remote(self.round.folder)
        with self._lock:
            if time.monotonic() - self._refreshed < _REFRESH_SECONDS[remote]:
                return
            answered = self.round.answered()
            known = [name for name in answered if name in self.done and name not in self.broken]
            turns = 1 + len(known) // _LOOKS if remote else 1
            known = known[self._turn % turns :: turns]
            self._turn += 1
            with ThreadPoolExecutor(_READERS) as pool:
                broken = list(self.broken.items())
                stamps = pool.map(self._stamp, [name for name, _ in broken])
                for (name, before), stamp in zip(broken, stamps, strict=True):
                    if stamp != before.stamp:
                        del self.broken[name]
                stamps = (pool.map if remote else map)(self._answer_stamp, known)
                pairs = zip(known, stamps, strict=True)
                changed = [n for n, stamp in pairs if stamp not in (None, self.done[n].stamp)]
                fresh = [n for n in answered if n not in self.done and n not in self.broken]
                fresh += changed  # each stays done meanwhile: others choose what is open from it
                for name, done in zip(fresh, pool.map(self._look, fresh), strict=True):
                    if done is not None:
                        self.done[name] = done
                    else:
                        self.done.pop(name, None)
            for name in self.done.keys() - set(answered):
                del self.done[name]
            self._refreshed = time.monotonic()

    def _look(self, name: str) -> Done | None:
        """Who finished `name`; None, and it is left out, where its answer file cannot be read."""
        with contextlib.suppress(UserError):
            return self._read(name)
        with contextlib.suppress(Unreadable), self.reading(name):
            return self._read(name)
        return None

    def _stamp(self, name: str) -> tuple:
        """Changes when a file of the image does."""
        folder = self.round.folder
        kinds = [folder / kind / name for kind in ("queries", "answers")]
        paths = [f"{path}{suffix}" for path in kinds for suffix in (".json", ".png")]
        paths += [f"{folder.parent / 'images' / name}{suffix}" for suffix in PHOTO_TYPES]
        return tuple(map(_stamp, paths))

    def _answer_stamp(self, name: str) -> tuple | None:
        return _stamp(f"{self._answers}/{name}.json")

    def _read(self, name: str) -> Done:
        stamp = self._answer_stamp(name)  # before it is read: see `reading`
        facts = self.round.answer_facts(name)
        return Done(facts["status"], facts["annotator"], facts.get("reviewer"), stamp)


class Rounds:
    """The rounds of the run in `workdir`, which may hold none yet."""

    def __init__(self, workdir):
        self._workdir = workdir
        self._cache = Cache(_CACHE_BYTES)
        self._boards: dict[int, tuple[object, Board]] = {}
        self._lock = threading.Lock()
        self._looked = -float("inf")
        self._newest: Round | None = None
        self._ahead = ThreadPoolExecutor(1, "prepare")
        self._coming: set[tuple[int, str]] = set()  # asked of `_ahead` and not yet made

    def newest(self) -> Board | None:
        """The newest open round, None while there is none."""
        with self._lock:
            every = _REFRESH_SECONDS[is_remote(self._workdir)]
            if self._newest is None or time.monotonic() - self._looked > every:
                self._newest = newest_round(self._workdir)
                self._looked = time.monotonic()
            return None if self._newest is None else self._board(self._newest)

    def board(self, number: int) -> Board:
        """Round `number`; 404 when it is not open."""
        with self._lock:
            round_ = Round(self._workdir, number)
            if not round_.is_open:
                raise Refusal(404, "no_round", f"There is no open round {number}.")
            return self._board(round_)

    def _board(self, round_: Round) -> Board:
        """The kept board of a round, read anew when its file has changed; two are kept."""
        stamp = _stamp(round_.folder / "round.json")
        kept = self._boards.get(round_.number)
        if kept is None or kept[0] != stamp:
            self._boards[round_.number] = kept = stamp, Board(round_)
            while len(self._boards) > 2:
                del self._boards[min(self._boards.keys() - {round_.number})]
        return kept[1]

    def task(self, board: Board, name: str) -> Task:
        """What is asked about an image; a UserError names a file that cannot be read."""
        return self._cache.get(
            ("task", board.number, name, _stamp(board.round.folder / "queries" / f"{name}.json")),
            lambda: load_task(board.round, name, board.smallest, board.specks),
            lambda task: task.nbytes,
        )

    def photo_path(self, board: Board, name: str):
        """The file of the picture to label; a UserError when there is none."""
        path = board.round.image_path(name)
        if path is None:
            folder = board.round.folder.parent / "images"
            raise UserError(f"{folder}: there is no picture of {name}. Restore {name}.jpg or .png")
        return path

    def photo(self, board: Board, name: str) -> tuple[bytes, str]:
        """(content, media type) of the picture to label; a UserError when there is none."""
        path = self.photo_path(board, name)
        key = "photo", str(path), _stamp(path)
        return self._cache.get(key, path.read_bytes, len), _MEDIA[path.suffix]

    def guess(self, board: Board, name: str) -> bytes:
        """The query's PNG."""
        return (board.round.folder / "queries" / f"{name}.png").read_bytes()

    def prepare(self, board: Board, names: Iterable[str]) -> None:
        """Makes the questions about `names` ready in the background, for whoever comes next."""
        for name in names:
            if (board.number, name) not in self._coming:
                self._coming.add((board.number, name))
                self._ahead.submit(self._prepare, board, name)

    def _prepare(self, board: Board, name: str) -> None:
        try:
            self.task(board, name)
            self.photo(board, name)
        except (UserError, OSError) as error:
            _LOG.warning("not prepared: %s", error)
        finally:
            self._coming.discard((board.number, name))

    def close(self) -> None:
        """Lets go of what is still to be prepared."""
        self._ahead.shutdown(wait=True, cancel_futures=True)


def _stamp(path) -> tuple | None:
    """Changes when the file does; None when it is missing."""
    try:
        if is_remote(path):
            stat = epath.Path(path).stat()
            return stat.mtime, stat.length
        stat = os.stat(path)  # to the nanosecond, and a quarter of the time
        return stat.st_mtime_ns, stat.st_size
    except OSError:
        return None
