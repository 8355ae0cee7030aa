"""Rounds small enough to label in a test, and a page's side of the conversation."""

import contextlib
import threading
import time
import uuid

import httpx
import numpy as np
import uvicorn

from jax_labor.classes import get_table
from jax_labor.labels.page.app import make_app
from jax_labor.labels.page.auth import Auth
from jax_labor.labels.page.database import Database
from jax_labor.labels.page.desk import Desk
from jax_labor.labels.page.pictures import Pictures
from jax_labor.labels.page.rounds import Rounds
from jax_labor.labels.store import FULL, MASK, POINTS, Query, Round

TABLE = get_table("camvid11")
HEADERS = {"X-Labor": "1"}


def open_round(workdir, names=("a", "b", "c"), kind=POINTS, number=0, shape=(12, 16), seed=0):
    """An open round of `kind`; every image has four points or four blocks to ask about."""
    rng = np.random.default_rng(seed)
    round_ = Round(workdir, number)
    for name in names:
        guess = np.full(shape, 255, np.uint8)
        points = np.zeros((0, 2), int)
        if kind == POINTS:
            flat = rng.choice(guess.size, 4, replace=False)
            points = np.stack(np.unravel_index(flat, shape), -1)
            guess[tuple(points.T)] = rng.integers(0, 11, 4)
        elif kind == MASK:
            for row, column, side in ((1, 1, 5), (1, 9, 4), (8, 1, 3), (8, 9, 2)):
                guess[row : row + side, column : column + side] = rng.integers(0, 11)
        round_.write_query(Query(name, guess, kind, points))
        round_.write_image(name, rng.integers(0, 256, (*shape, 3)).astype(np.uint8), kind == FULL)
    round_.open("ppl", names, TABLE)
    return round_


def make_page(workdir, database=None, claim_seconds=600, blind_review=False, secret=None):
    """The web application over `workdir`, with its token as `app.token`."""
    store = Database(str(database or workdir / "annotate.sqlite"))
    rounds = Rounds(workdir)

    def close():
        rounds.close()
        store.close()

    desk = Desk(rounds, store, claim_seconds, blind_review)
    pictures = Pictures(rounds, store, blind_review)
    token = secret or store.token()
    app = make_app(desk, pictures, Auth(store, token, False), "127.0.0.1", close)
    app.token, app.desk, app.database = token, desk, store
    return app


class Person:
    """A page at work: an HTTP client that is logged in."""

    def __init__(self, client, token, name):
        self.client = client
        self.name = name
        assert self.post("login", token=token, annotator=name).status_code == 204

    def post(self, path, **body):
        return self.client.post(f"/api/{path}", json=body, headers=HEADERS)

    def get(self, path):
        return self.client.get(f"/api/{path}")

    def claim(self, **wish):
        reply = self.post("claim", **wish)
        assert reply.status_code == 200, reply.text
        return reply.json()["claim"]

    def answer(self, claim, *answers):
        return self.post("answers", claim=claim["claim"], answers=list(answers))

    def finish(self, claim, status="answered"):
        return self.post("finish", claim=claim["claim"], status=status)

    def do(self, claim, class_=3):
        """Answers every item of a claim with one class and finishes it."""
        ids = [say(item["item"], class_) for item in claim["items"]]
        assert self.answer(claim, *ids).status_code == 200
        done = self.finish(claim)
        assert done.status_code == 200, done.text


def say(item, class_=3, **more):
    """One answer as the page posts it."""
    answer = {"id": str(uuid.uuid4()), "item": item, "action": "class", "class": class_}
    answer |= {"ms": 500, "clicks": 1, "keys": 1, "shown": True, "accepted": False}
    return {k: v for k, v in (answer | more).items() if v is not None}


def paint(item, top, left, block, **more):
    """A patch of `block`, integer[h, w], as the page posts it."""
    flat = np.ravel(block).tolist()
    runs = [n for value in flat for n in (value, 1)]
    height, width = np.shape(block)
    patch = {"top": top, "left": left, "height": height, "width": width, "runs": runs}
    return say(item, None, action="patch", patch=patch, **more)


@contextlib.contextmanager
def served(app, **settings):
    """A real server in a thread; yields its address. Stopping it closes the database."""
    config = uvicorn.Config(app, port=0, log_config=None, lifespan="on", **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextlib.contextmanager
def page(workdir, *names, **settings):
    """The application behind a real server, and one person per name."""
    app = make_page(workdir, **settings)
    with contextlib.ExitStack() as stack:
        app.address = stack.enter_context(served(app))
        clients = [stack.enter_context(httpx.Client(base_url=app.address)) for _ in names]
        yield (app, *(Person(c, app.token, n) for c, n in zip(clients, names, strict=True)))
