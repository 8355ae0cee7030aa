"""The pictures of an image: what is labelled, what is asked, what has been answered."""

from jax_labor.labels.page.database import Database
from jax_labor.labels.page.refusal import Refusal
from jax_labor.labels.page.reviews import first_answer
from jax_labor.labels.page.rounds import Board, Rounds
from jax_labor.pixels import encode_png


class Pictures:
    """Pictures by round and name; arguments as of `Desk`."""

    def __init__(self, rounds: Rounds, database: Database, blind_review: bool):
        self._rounds = rounds
        self._database = database
        self._blind = blind_review

    def picture(self, annotator: str, number: int, name: str, what: str) -> tuple[bytes, str]:
        """(content, media type) of an image's "photo", "guess", "segments" or "label"."""
        board = self._rounds.board(number)
        board.check(name)
        if what == "photo":
            return self._rounds.photo(board, name)
        if what == "guess":
            return self._rounds.guess(board, name), "image/png"
        if what == "segments":
            content = self._rounds.task(board, name).segments
        else:
            content = self._label(board, annotator, name)
        if content is None:
            raise Refusal(404, "no_picture", f"This image has no {what}.")
        return content, "image/png"

    def _label(self, board: Board, annotator: str, name: str) -> bytes | None:
        """The first person's answer for its reviewer, else the answer; blind: only one's own.

        Raises:
            Refusal: 403, it is somebody else's and review is blind; 409, it cannot be read.
        """
        board.refresh()
        done = board.done.get(name)
        if done is None:
            return None
        if self._blind and annotator not in (done.annotator, done.reviewer):
            raise Refusal(403, "blind", "The first answer is hidden from the reviewer.")
        row = self._database.row(
            "SELECT query FROM claims"
            " WHERE round = ? AND name = ? AND reviewer = ? AND query NOT NULL",
            board.number,
            name,
            annotator,
        )
        if row is not None:
            return first_answer(board, self._database, row["query"], name).png
        with board.reading(name):
            return encode_png(board.round.read_answer(name))
