"""The web application: routes, and what every request and every reply has in common."""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from jax_labor.errors import UserError
from jax_labor.labels.page import checks
from jax_labor.labels.page.auth import Auth, check_host, check_same_origin
from jax_labor.labels.page.desk import Desk
from jax_labor.labels.page.pictures import Pictures
from jax_labor.labels.page.refusal import Refusal, storage_refusal

_LOG = logging.getLogger(__name__)
_STATIC = Path(__file__).parent / "static"
_BODY_BYTES = 8 * 2**20
_LOGIN_BYTES = 4096
_BODY_SECONDS = 60
_PICTURE_PATH = "/api/rounds/{number}/images/{name:path}/{what}"
_PICTURES = ("photo", "guess", "segments", "label")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
        " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

# What a route does once the request is known to be ours: (annotator, request, body) -> reply.
Work = Callable[[str, Request, bytes], Response]


def make_app(
    desk: Desk, pictures: Pictures, auth: Auth, host: str, close: Callable[[], None]
) -> Starlette:
    """The application.

    Args:
        desk: the work.
        pictures: of the images.
        auth: logins.
        host: the address it is bound to.
        close: called when the server stops.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_):
        yield
        await run_in_threadpool(close)

    def post(path: str, work: Callable[[str, dict], dict | None]) -> Route:
        return Route(path, _endpoint(auth, partial(_call, work)), methods=["POST"])

    def answers(annotator, body):
        return desk.answers(annotator, checks.claim_id(body), checks.entries(body))

    def finish(annotator, body):
        return desk.finish(annotator, checks.claim_id(body), checks.status(body))

    routes = [
        Route("/", lambda _: FileResponse(_STATIC / "index.html")),
        Mount("/static", StaticFiles(directory=_STATIC)),
        Route("/api/login", _login(auth), methods=["POST"]),
        Route("/api/logout", _endpoint(auth, partial(_logout, auth)), methods=["POST"]),
        Route("/api/round", _endpoint(auth, lambda name, *_: _json(desk.overview(name)))),
        Route(_PICTURE_PATH, _endpoint(auth, _picture(pictures))),
        post("/api/claim", lambda who, body: {"claim": desk.claim(who, *checks.wish(body))}),
        post("/api/answers", answers),
        post("/api/finish", finish),
        post("/api/release", lambda who, body: desk.release(who, checks.claim_id(body))),
        post("/api/broken", lambda who, body: desk.leave_out(who, checks.claim_id(body))),
        post("/api/heartbeat", lambda who, body: desk.heartbeat(who, checks.claim_id(body))),
    ]
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers={HTTPException: _http})
    app.add_middleware(_Frame, host=host)
    return app


def _endpoint(auth: Auth, work: Work) -> Callable:
    """A route for people who are logged in; all that may take long runs beside the event loop."""

    async def endpoint(request: Request) -> Response:
        annotator = None
        try:
            check_same_origin(request)
            annotator = await run_in_threadpool(auth.annotator, request)
            body = await _body(request, _BODY_BYTES)
            return await run_in_threadpool(work, annotator, request, body)
        except Exception as error:
            return _refused(request, annotator, error)

    return endpoint


def _login(auth: Auth) -> Callable:
    async def endpoint(request: Request) -> Response:
        annotator = None
        try:
            check_same_origin(request)
            body = checks.read_object(await _body(request, _LOGIN_BYTES))
            token, annotator = checks.login(body)
            address = request.client.host if request.client else ""
            value, attributes = await run_in_threadpool(auth.login, address, token, annotator)
        except Exception as error:
            return _refused(request, annotator, error)
        _LOG.info("%r logged in from %s", annotator, address)
        response = Response(status_code=204)
        response.set_cookie(value=value, **attributes)
        return response

    return endpoint


def _logout(auth: Auth, annotator: str, request: Request, body: bytes) -> Response:
    response = Response(status_code=204)
    response.delete_cookie(**auth.logout(request))
    return response


def _call(work: Callable, annotator: str, request: Request, body: bytes) -> Response:
    """Runs what works on a JSON body."""
    result = work(annotator, checks.read_object(body))
    return Response(status_code=204) if result is None else _json(result)


def _picture(pictures: Pictures) -> Work:
    def work(annotator: str, request: Request, body: bytes) -> Response:
        number, name, what = (request.path_params[key] for key in ("number", "name", "what"))
        if not (number.isascii() and number.isdigit() and len(number) < 7) or what not in _PICTURES:
            raise Refusal(404, "no_page", "There is no such page.")
        content, kind = pictures.picture(annotator, int(number), name, what)
        if what == "label":
            return Response(content, media_type=kind, headers={"Cache-Control": "no-store"})
        tag = f'"{hashlib.blake2b(content, digest_size=16).hexdigest()}"'
        headers = {"Cache-Control": "private, no-cache", "ETag": tag}
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return work


async def _body(request: Request, limit: int) -> bytes:
    """The request's body; 413 above `limit` bytes, declared or not, 408 when it never ends."""
    too_large = Refusal(413, "too_large", f"The request is larger than {limit} bytes.")
    declared = request.headers.get("content-length", "0")
    if not declared.isdigit() or int(declared[:20]) > limit:
        raise too_large
    content = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limit:
                    raise too_large
    except TimeoutError:
        raise Refusal(408, "too_slow", "The request did not arrive in time.") from None
    except ClientDisconnect:
        raise Refusal(400, "cut_off", "The request was cut off.") from None
    return bytes(content)


def _refused(request: Request, annotator: str | None, error: Exception) -> Response:
    """The reply to a request that failed, and its line in the log."""
    if not isinstance(error, Refusal):
        refusal = storage_refusal(error)
        if refusal is None and isinstance(error, UserError):
            refusal = Refusal(500, "files", str(error))
        if refusal is None:
            _LOG.error("bug in %s", request.url.path[:200].encode("unicode_escape"), exc_info=error)
            refusal = Refusal(500, "bug", "Something went wrong in the server; see its log.")
        error = refusal
    _LOG.warning(
        "refused %d %s: %s %r by %r from %s: %s",
        error.status,
        error.reason,
        request.method,
        request.url.path[:200],
        annotator,
        request.client.host if request.client else None,
        error.sentence,
    )
    return _json({"error": error.sentence, "reason": error.reason}, error.status, error.headers)


async def _http(request: Request, error: HTTPException) -> Response:
    refusal = Refusal(error.status_code, "no_page", f"{error.detail}.", dict(error.headers or {}))
    return _refused(request, None, refusal)


def _json(content: dict, status: int = 200, headers: dict | None = None) -> Response:
    return JSONResponse(content, status, {"Cache-Control": "no-store"} | (headers or {}))


class _Frame:
    """Around everything: the host check, and the security headers on every reply."""

    def __init__(self, app, host: str):
        self._app = app
        self._host = host

    async def __call__(self, scope, receive, send):
        """As an ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def framed(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-cache")
            await send(message)

        app = self._app
        try:
            check_host(Headers(scope=scope), self._host)
        except Refusal as refusal:
            app = _refused(Request(scope), None, refusal)
        await app(scope, receive, framed)
