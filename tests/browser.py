"""A real browser before a real server: rounds to label, the server as a process, people's pages."""

import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from jax_labor.classes import ClassTable
from jax_labor.labels.store import Query, Round

ROOT = Path(__file__).resolve().parents[1]
TABLE = ClassTable(
    name="page",
    names=("sky", "road", "tree", "car"),
    colors=((70, 130, 180), (128, 64, 128), (107, 142, 35), (0, 0, 142)),
    ids=(0, 1, 2, 3),
    ignored_ids=(255,),
    source="tests",
)
_LOST = ("ERR_CONNECTION", "ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "ERR_EMPTY_RESPONSE")


def open_round(workdir, queries, table=TABLE, number=1):
    """Writes queries with photos of noise and opens the round."""
    round_ = Round(workdir, number)
    rng = np.random.default_rng(0)
    for query in queries:
        round_.write_query(query)
        round_.write_image(query.name, rng.integers(0, 255, (*query.guess.shape, 3), np.uint8))
    round_.open("test", [query.name for query in queries], table)
    return round_


def points(name, *places, guess=2, shape=(40, 60)):
    """A query about single pixels (row, column), all guessed to be of one class."""
    guesses = np.full(shape, 255, np.uint8)
    rows, columns = np.transpose(places)
    guesses[rows, columns] = guess
    return Query(name, guesses, "points", np.array(places))


def mask(name, *boxes, shape=(64, 96)):
    """A query about rectangles (top, left, bottom, right, guess)."""
    guess = np.full(shape, 255, np.uint8)
    for top, left, bottom, right, label in boxes:
        guess[top:bottom, left:right] = label
    return Query(name, guess, "mask", np.zeros((0, 2), int))


def full(name, guess=None, shape=(64, 96)):
    """A query about every pixel."""
    guesses = np.full(shape, 255, np.uint8) if guess is None else guess
    return Query(name, guesses, "full", np.zeros((0, 2), int))


def labels(round_, name):
    """The answer file as it is on disk, uint8[H, W]."""
    return np.asarray(Image.open(round_.folder / "answers" / f"{name}.png"))


class Server:
    """The labelling server of a workdir, as a process of its own on a fixed port."""

    def __init__(self, workdir, **options):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._settings = {"workdir": str(workdir), "port": self.port, **options}
        self.start()

    def start(self):
        """Starts it and waits for the address it prints."""
        code = f"from jax_labor.labels.page.serve import serve; serve(**{self._settings!r})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        printed = []
        for line in self._process.stdout:
            printed.append(line)
            if found := re.search(r"http://\S+#token=\S+", line):
                self.url = found[0]
                return
        raise AssertionError("the server did not start:\n" + "".join(printed))

    def kill(self):
        """Ends it at once, as a power cut would."""
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()


def launch(playwright):
    """Debian's browser; a missing one fails the test."""
    path = shutil.which("chromium")
    assert path, "no chromium on PATH: these tests drive it; apt-get install chromium"
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


class Person:
    """Somebody at the page; what the browser complains about is kept in `complaints`."""

    def __init__(self, browser, url, name, **context):
        settings = {"viewport": {"width": 1200, "height": 800}, **context}
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)  # a loaded machine is slow, not wrong
        self.complaints = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)
        self.page.fill("#name", name)
        self.page.keyboard.press("Enter")

    def _note(self, message):
        lost = any(word in message.text for word in _LOST)
        if message.type in ("error", "warning") and not lost:
            self.complaints.append(message.text)

    def sees(self, text, where="#question"):
        """Waits until `text` stands on the page."""
        self.page.locator(where).get_by_text(text).first.wait_for()

    def press(self, *keys):
        """Presses keys one after another."""
        for key in keys:
            self.page.keyboard.press(key)

    def saved(self):
        """Waits until the server has everything."""
        self.page.locator('#connection[data-state="saved"]').wait_for()

    def place(self, column, row):
        """Where an image point lies on the screen."""
        return tuple(
            self.page.evaluate(
                """([x, y]) => {
                  const { view } = document.getElementById("crop");
                  const box = view.element.getBoundingClientRect();
                  return [box.left + view.width / 2 + (x - view.x) * view.scale,
                          box.top + view.height / 2 + (y - view.y) * view.scale];
                }""",
                [column, row],
            )
        )

    def drag(self, *places):
        """Drags the mouse over image points (column, row)."""
        mouse = self.page.mouse
        mouse.move(*self.place(*places[0]))
        mouse.down()
        for place in places[1:]:
            mouse.move(*self.place(*place), steps=5)
        mouse.up()

    def click(self, column, row):
        """Clicks an image point."""
        self.page.mouse.click(*self.place(column, row))
