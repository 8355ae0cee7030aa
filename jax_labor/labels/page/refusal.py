"""How the server says no: a status, a short code for the page, a sentence for the person."""

import errno
import sqlite3

from jax_labor.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
_SQLITE_STORAGE = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
)


class Refusal(Exception):
    """A request that is refused and has changed nothing.

    Attributes:
        status: HTTP status.
        reason: short code that the page acts on.
        sentence: what the person is told.
        headers: further response headers.
    """

    def __init__(self, status: int, reason: str, sentence: str, headers: dict | None = None):
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.sentence = sentence
        self.headers = headers or {}


def lost() -> Refusal:
    """The claim is not the person's, or no longer."""
    return Refusal(
        409,
        "claim_lost",
        "This image is no longer yours: its time ran out, or you have opened another one since.",
    )


def finished() -> Refusal:
    """The person has finished the image under this claim before."""
    return Refusal(
        409, "finished", "You have finished this image already, in another tab or visit."
    )


def closed() -> Refusal:
    """Training has taken the round's answers."""
    return Refusal(409, "round_closed", "This round is closed: training has taken its answers.")


def changed() -> Refusal:
    """The query is another one than when the image was handed out."""
    return Refusal(
        409, "query_changed", "What is asked about this image has changed: open it anew."
    )


class Unreadable(Refusal):
    """A file of an image cannot be read: nobody gets the image until one of its files changes."""

    def __init__(self, sentence: str):
        super().__init__(409, "unreadable", sentence)


def storage_refusal(error: BaseException) -> Refusal | None:
    """The 507 that `error`, met while storing something, stands for; None for any other error."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, sqlite3.OperationalError):
            code = getattr(found, "sqlite_errorcode", 0) & 0xFF  # the primary code
            full = code in _SQLITE_STORAGE
        else:
            full = isinstance(found, OSError) and found.errno in _FULL
        if full:
            text = str(error) if isinstance(error, UserError) else f"the disk is full ({error})"
            sentence = (
                f"Nothing can be stored: {text}. Tell whoever runs the server; answers are kept in"
                " this page."
            )
            return Refusal(507, "disk_full", sentence)
        found = found.__cause__ or found.__context__
    return None
