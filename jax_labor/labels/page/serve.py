"""Starts the labelling page's server and stops it cleanly."""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import stat
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from jax_labor.errors import UserError
from jax_labor.files import is_remote
from jax_labor.labels.page.app import make_app
from jax_labor.labels.page.auth import Auth, is_loopback
from jax_labor.labels.page.database import Database
from jax_labor.labels.page.desk import Desk
from jax_labor.labels.page.pictures import Pictures
from jax_labor.labels.page.rounds import Rounds
from jax_labor.log import show_log

_LOG = logging.getLogger(__name__)
_DATABASE = "annotate.sqlite"
_SHORTEST_PASSWORD = 8
_GRACE_SECONDS = 5
_CONNECTIONS = 512
_IDLE_SECONDS = 30
_LAST_PORT = 65535


def serve(
    workdir,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    password_file: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    database: str | None = None,
    claim_seconds: float = 600,
    blind_review: bool = False,
) -> None:
    """Serves the labelling page of the run in `workdir` until SIGTERM or Ctrl-C.

    Args:
        workdir: of the run; it may hold no round yet: the page waits for the first.
        host: address to bind to; by default only this machine can reach it.
        port: to listen on; 0 takes a free one.
        password_file: file with the password that all annotators share; by default a random
            token is part of the address that is printed.
        certificate: PEM file, for TLS; with `key`.
        key: PEM file of the certificate's private key.
        database: file on a local disk for claims and history; default inside the workdir.
        claim_seconds: after how long without a sign of life an image may go to somebody else.
        blind_review: whether a reviewer works without seeing the first answer.

    Raises:
        UserError: a file or setting is wrong, there is no workdir, or the port is taken.
    """
    show_log()
    if not is_remote(workdir) and not Path(workdir).is_dir():  # a typo would wait for ever
        raise UserError(f"--workdir={workdir}: no such folder. Give that of a run which has begun")
    _check_tls(certificate, key)
    if claim_seconds <= 0:
        raise UserError(f"--claim_seconds is {claim_seconds}: give a positive number, such as 600")
    password = _read_password(password_file)
    with (
        contextlib.closing(_bind(host, port)) as listening,
        contextlib.closing(Database(_database_path(workdir, database))) as store,
    ):
        token = store.token()
        rounds = Rounds(workdir)
        desk = Desk(rounds, store, claim_seconds, blind_review)
        pictures = Pictures(rounds, store, blind_review)
        auth = Auth(store, password or token, bool(certificate))

        def close():
            rounds.close()
            store.close()
            _LOG.info("stopped; everything that was acknowledged is saved")

        app = make_app(desk, pictures, auth, host, close)
        _announce(workdir, rounds, host, listening, certificate, None if password else token)
        _run(app, listening, certificate, key)


def _run(app, listening: socket.socket, certificate: str | None, key: str | None) -> None:
    """Runs the application until a signal, then lets requests end and calls its `close`."""
    config = uvicorn.Config(
        app,
        http=Connection,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        lifespan="on",
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_IDLE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=certificate,
        ssl_keyfile=key,
    )
    with contextlib.suppress(KeyboardInterrupt):  # passed on after the server has stopped cleanly
        uvicorn.Server(config).run(sockets=[listening])


class Connection(AutoHTTPProtocol):
    """One that does not get its request's head out, or that does not take its reply, is closed.

    uvicorn would count it among its few for ever. A request whose head is there has a limit for its
    body in the application, and a connection between two requests one of uvicorn's.
    """

    def connection_made(self, transport):
        """Gives it some time."""
        # What is not taken starts a clock; under TLS a limit of 0 is over it at once.
        transport.set_write_buffer_limits(1, 0)
        super().connection_made(transport)
        self._wait()

    def data_received(self, data):
        """Stops the clock with the end of a head, starts it with the first byte of the next."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._deadline.cancel()
        elif self._deadline.cancelled():
            self._wait()

    def pause_writing(self):
        """From here on the client has to take something of what is written in every while."""
        super().pause_writing()
        self._watch()

    def resume_writing(self):
        """It has taken all of it."""
        super().resume_writing()
        self._stalled.cancel()

    def _wait(self):
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(_IDLE_SECONDS, self.transport.close)

    def _watch(self):
        left = self.transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._stalled = loop.call_later(_IDLE_SECONDS, self._look, left)

    def _look(self, left):
        if self.transport.get_write_buffer_size() == left:
            self.transport.abort()  # to close it would wait for the client
        else:
            self._watch()


def _database_path(workdir, database: str | None) -> str:
    if database is not None:
        if is_remote(database):
            raise UserError(f"--database={database}: give a path on a local disk")
        return os.fspath(database)
    if is_remote(workdir):
        raise UserError(
            f"{workdir} is in a bucket, where no database can live: give --database=PATH on a local"
            " disk, and the same PATH at every start"
        )
    return os.path.join(workdir, _DATABASE)


def _read_password(path: str | None) -> str | None:
    """The first line of the password file."""
    if path is None:
        return None
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"--password_file={path}: cannot be read ({error})") from error
    password = lines[0].strip() if lines else ""
    if len(password) < _SHORTEST_PASSWORD:
        raise UserError(
            f"{path}: its first line must be a password of {_SHORTEST_PASSWORD} characters or more"
        )
    if os.stat(path).st_mode & (stat.S_IRGRP | stat.S_IROTH):
        _LOG.warning("%s can be read by other users of this machine: chmod 600 %s", path, path)
    return password


def _check_tls(certificate: str | None, key: str | None) -> None:
    if (certificate is None) != (key is None):
        raise UserError("TLS takes both --certificate and --key")
    if certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise UserError(
            f"--certificate={certificate} --key={key}: not a PEM certificate and its key without"
            f" a passphrase ({error})"
        ) from error


def _bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; bound here so that a taken port is one clear sentence."""
    if not 0 <= port <= _LAST_PORT:  # the system would take its last 16 bits
        raise UserError(f"--port={port}: give a port from 1 to {_LAST_PORT}, or 0 for a free one")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # It listens from here on: who opens the printed address at once is not turned away.
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        raise UserError(
            f"cannot listen on {host}:{port} ({error}): another server may be running there."
            " Choose another --port (0 takes a free one) or --host"
        ) from error


def _announce(workdir, rounds: Rounds, host, listening, certificate, token: str | None) -> None:
    """Prints the address to open."""
    scheme = "https" if certificate else "http"
    port = listening.getsockname()[1]
    shown = socket.gethostname() if host in ("0.0.0.0", "::", "") else host
    shown = f"[{shown}]" if ":" in shown else shown
    fragment = f"#token={token}" if token else ""
    board = rounds.newest()
    state = "no open round yet: the page waits" if board is None else f"round {board.number}"
    print(f"Labelling {workdir} ({state}). Open\n{scheme}://{shown}:{port}/{fragment}", flush=True)
    if not is_loopback(host) and not certificate:
        _LOG.warning(
            "bound to %s without TLS: who can listen in on the network can read the login and the"
            " images. Give --certificate and --key, or bind to 127.0.0.1 and use an SSH tunnel",
            host,
        )
