"""The server's memory: who holds which image, every answer ever given, who is logged in.

One SQLite file in WAL mode. An answer is acknowledged only after its commit is flushed to the disk
(synchronous=FULL): even a power cut loses nothing that a page was told is saved. Everything else
(claims, logins, what was finished: the files say that too) survives a killed server without a flush
(NORMAL), and is flushed with the next answer.

    answers   append-only, in order of arrival; `undone` alone changes, by a later undo or redo
    claims    the images being worked on; a row past its time stays until another person takes it
    finishes  images finished, by the claim they were finished under: a repeated request is known
    firsts    the first person's answer to an image under review, as it was before the review
    paces     sums over `answers` by round and annotator
"""

import contextlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator

from jax_labor.errors import UserError

_VERSION = 1
_SCHEMA = """
CREATE TABLE facts(key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE sessions(
    digest TEXT PRIMARY KEY, annotator TEXT NOT NULL, secret TEXT NOT NULL, until REAL NOT NULL);
CREATE TABLE queries(
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL,
    UNIQUE(round, name, digest));
CREATE TABLE claims(
    id TEXT PRIMARY KEY, round INTEGER NOT NULL, name TEXT NOT NULL, query INTEGER,
    reviewer TEXT NOT NULL, annotator TEXT NOT NULL UNIQUE, until REAL NOT NULL,
    UNIQUE(round, name));
CREATE TABLE answers(
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, query INTEGER NOT NULL,
    reviewer TEXT NOT NULL, annotator TEXT NOT NULL, item INTEGER NOT NULL, action TEXT NOT NULL,
    body TEXT NOT NULL, undone INTEGER NOT NULL DEFAULT 0, ms INTEGER NOT NULL, at REAL NOT NULL);
CREATE INDEX answers_of_image ON answers(query, reviewer, action, undone, item);
CREATE TABLE finishes(
    claim TEXT PRIMARY KEY, round INTEGER NOT NULL, name TEXT NOT NULL, reviewer TEXT NOT NULL,
    annotator TEXT NOT NULL, at REAL NOT NULL);
CREATE INDEX finishes_of_person ON finishes(annotator, round, at);
CREATE TABLE firsts(
    query INTEGER PRIMARY KEY, label BLOB NOT NULL, facts TEXT NOT NULL);
CREATE TABLE paces(
    round INTEGER NOT NULL, annotator TEXT NOT NULL, items INTEGER NOT NULL, ms INTEGER NOT NULL,
    PRIMARY KEY(round, annotator));
"""


class Database:
    """The file at `path`, made when it is missing; threads take turns.

    Raises:
        UserError: it cannot be opened, is no database, or is of another version.
    """

    def __init__(self, path: str):
        self._lock = threading.RLock()
        try:
            os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # it holds the login token
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._set_up()
        except (OSError, sqlite3.Error) as error:
            raise UserError(
                f"{path}: cannot be used as the labelling database ({error}). Choose another path"
                " with --database, on a local disk"
            ) from error

    def _set_up(self) -> None:
        self._connection.row_factory = sqlite3.Row
        for pragma in ("busy_timeout=10000", "journal_mode=WAL"):
            self._connection.execute(f"PRAGMA {pragma}")
        with self.transaction() as run:
            version = run("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.strip().split(";\n"):
                    run(statement)
                run(f"PRAGMA user_version={_VERSION}")
            elif version != _VERSION:
                raise sqlite3.DatabaseError(f"it is of version {version}, not {_VERSION}")

    @contextlib.contextmanager
    def transaction(self, durable: bool = False) -> Iterator:
        """All statements run in the block take effect, or none does.

        Yields the function that executes a statement.

        Args:
            durable: whether they outlive a power cut once the block has ended.
        """
        with self._lock:
            self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def rows(self, statement: str, *values) -> list[sqlite3.Row]:
        """What a SELECT finds."""
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, *values) -> sqlite3.Row | None:
        """The first row that a SELECT finds."""
        with self._lock:
            return self._connection.execute(statement, values).fetchone()

    def token(self) -> str:
        """The login token, drawn when the file is made: pages stay logged in over a restart."""
        with self.transaction() as run:
            fresh = secrets.token_urlsafe(24)
            run("INSERT OR IGNORE INTO facts VALUES ('token', ?)", (fresh,))
            return run("SELECT value FROM facts WHERE key = 'token'").fetchone()["value"]

    def close(self) -> None:
        """Closes the file after the statement that runs."""
        with self._lock:
            self._connection.close()
