"""Who may talk to the server: token, cookie, and requests that come from our own page."""

import hashlib
import hmac
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict, deque
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request

from jax_labor.labels.page.database import Database
from jax_labor.labels.page.refusal import Refusal

_SESSION_SECONDS = 30 * 24 * 3600
_TRIES, _TRIES_OF_ALL, _WINDOW = 10, 100, 60.0
_ADDRESSES = 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Auth:
    """Logins and sessions.

    Args:
        database: keeps sessions, so that pages stay logged in over a restart.
        secret: the token or password that logs in; another one ends all sessions of the last.
        secure: whether cookies travel over TLS only.
    """

    def __init__(self, database: Database, secret: str, secure: bool):
        self._database = database
        self._secret = _digest(secret)
        self._secure = secure
        # Nobody guesses a token of 192 bits; behind a proxy all people share one address.
        self._failures = Failures() if secret != database.token() else None
        # Cookies know no port: two servers on one machine must not log each other's pages out.
        self._cookie = f"labor_{_digest(database.token())[:8]}"
        with database.transaction() as run:
            ended = self._secret, time.time()
            run("DELETE FROM sessions WHERE secret <> ? OR until < ?", ended)

    def login(self, address: str, token: str, annotator: str) -> tuple[str, dict]:
        """Starts a session; returns the cookie's value and its attributes for `set_cookie`.

        Raises:
            Refusal: 403, the token is wrong; 429, it is a password and was wrong too often.
        """
        if self._failures:
            self._failures.check(address)
        if not hmac.compare_digest(_digest(token), self._secret):
            if self._failures:
                self._failures.add(address)
            raise Refusal(403, "wrong_token", "That is not the token this server was started with.")
        value = secrets.token_urlsafe(32)
        until = time.time() + _SESSION_SECONDS
        with self._database.transaction() as run:
            session = _digest(value), annotator, self._secret, until
            run("INSERT INTO sessions VALUES (?, ?, ?, ?)", session)
        return value, self._attributes() | {"max_age": _SESSION_SECONDS}

    def logout(self, request: Request) -> dict:
        """Ends the request's session; returns the cookie's attributes for `delete_cookie`."""
        value = request.cookies.get(self._cookie, "")
        with self._database.transaction() as run:
            run("DELETE FROM sessions WHERE digest = ?", (_digest(value),))
        return self._attributes()

    def annotator(self, request: Request) -> str:
        """Who is logged in; 401 without a session."""
        value = request.cookies.get(self._cookie, "")
        select = "SELECT annotator FROM sessions WHERE digest = ? AND until > ?"
        row = self._database.row(select, _digest(value), time.time())
        if row is None:
            raise Refusal(401, "login", "Log in first.")
        return row["annotator"]

    def _attributes(self) -> dict:
        common = {"key": self._cookie, "path": "/", "httponly": True, "samesite": "strict"}
        return common | {"secure": self._secure}


class Failures:
    """Wrong logins of the last minute, by address and together."""

    def __init__(self):
        self._lock = threading.Lock()
        self._times: OrderedDict[str, deque] = OrderedDict()
        self._all: deque = deque(maxlen=_TRIES_OF_ALL)

    def check(self, address: str) -> None:
        """Refuses (429) an address, or everybody, after too many wrong tries."""
        with self._lock:
            mine = self._times.get(address, ())
            for times, limit in ((mine, _TRIES), (self._all, _TRIES_OF_ALL)):
                if len(times) == limit and (wait := times[0] + _WINDOW - time.monotonic()) > 0:
                    raise Refusal(
                        429,
                        "too_many_tries",
                        f"Too many wrong tries: wait {wait:.0f} seconds.",
                        {"Retry-After": str(int(wait) + 1)},
                    )

    def add(self, address: str) -> None:
        """Counts a wrong try."""
        with self._lock:
            self._times.setdefault(address, deque(maxlen=_TRIES)).append(time.monotonic())
            self._times.move_to_end(address)
            self._all.append(time.monotonic())
            if len(self._times) > _ADDRESSES:
                self._times.popitem(last=False)


def check_host(headers: Headers, bound: str) -> None:
    """Refuses (403) other names than this machine's when it is bound to itself: DNS rebinding."""
    if is_loopback(bound) and _split(f"//{headers.get('host', '')}")[0] not in (*_LOOPBACK, bound):
        raise Refusal(403, "wrong_host", "This server answers to this machine's own name only.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server bound to `host`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_same_origin(request: Request) -> None:
    """Refuses (403) what another site's page sends, as far as the browser tells.

    A state-changing request must be one that a foreign page cannot make without asking first
    (JSON and a header of our own); the cookie alone never suffices.
    """
    headers = request.headers
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    foreign = origin is not None and _split(origin)[1] != headers.get("host")
    if foreign or site not in (None, "same-origin", "none"):
        raise Refusal(403, "cross_site", "The request comes from another site.")
    if request.method in ("GET", "HEAD"):
        return
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" or headers.get("x-labor") != "1":
        raise Refusal(403, "cross_site", "The request was not made by the labelling page.")


def _split(address: str) -> tuple[str | None, str | None]:
    """(host name, host with port) of an address, None of one that is none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return None, None
    return parts.hostname, parts.netloc or None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
