"""How fluid the labelling page is on a 2048x1024 image: python tests/benchmarks/page_fluid.py

Prints, for a mask of 2.2 % in thousands of pieces, the time from a key press to the next question
on the screen (after the frame that shows it), and for a full mask the time between frames during
brush strokes and the work of one step of a stroke, beside redrawing the whole label map each time.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from browser import Person, Server, full, launch, open_round

from jax_labor.labels.store import Query

SHAPE, SHARE = (1024, 2048), 0.022
VIEWPORT = {"width": 1440, "height": 900}
_TIME_KEYS = """() => {
  window.times = [];
  addEventListener("keydown", () => {
    const start = performance.now();
    requestAnimationFrame(() => {
      const channel = new MessageChannel();
      channel.port1.onmessage = () => times.push(performance.now() - start);
      channel.port2.postMessage(0);
    });
  }, true);
}"""
_TIME_FRAMES = """() => {
  window.frames_ = [];
  window.steps = [];
  let last = performance.now();
  const tick = (now) => { frames_.push(now - last); last = now; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  const crop = document.getElementById("crop");
  let start = 0;
  addEventListener("pointermove", () => (start = performance.now()), true);
  addEventListener("pointermove", () => steps.push(performance.now() - start));
}"""
_TIME_WHOLE = """() => {
  const { overlay } = document.getElementById("crop").view;
  const { width, height } = overlay.canvas;
  const start = performance.now();
  for (let i = 0; i < 10; i++) overlay.refresh({ top: 0, left: 0, bottom: height, right: width });
  return (performance.now() - start) / 10;
}"""


def _mask() -> Query:
    rng = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.8)
    classes = ndimage.gaussian_filter(rng.normal(size=(*SHAPE, 4)), (20, 20, 0)).argmax(-1)
    asked = noise > np.quantile(noise, 1 - SHARE)
    guess = np.where(asked, classes, 255).astype(np.uint8)
    return Query("mask", guess, "mask", np.zeros((0, 2), int))


def _spread(name: str, values) -> None:
    middle, most, worst = np.percentile(values, [50, 95, 100])
    print(f"{name:<34} median {middle:7.1f} ms   p95 {most:7.1f} ms   worst {worst:7.1f} ms")


def _questions(browser, query) -> None:
    with tempfile.TemporaryDirectory() as workdir:
        open_round(workdir, [query])
        server = Server(workdir)
        person = Person(browser, server.url, "Ada", viewport=VIEWPORT)
        person.sees("Piece 1 of")
        print(person.page.locator("#question strong").text_content(), SHAPE)
        person.page.evaluate(_TIME_KEYS)
        for number in range(60):
            person.page.keyboard.press("1234"[number % 4])
            while person.page.evaluate("times.length") <= number:
                person.page.wait_for_timeout(20)
        _spread("key press to next question", person.page.evaluate("times"))
        server.kill()


def _strokes(browser) -> None:
    with tempfile.TemporaryDirectory() as workdir:
        open_round(workdir, [full("full", shape=SHAPE)])
        server = Server(workdir)
        person = Person(browser, server.url, "Ada", viewport=VIEWPORT)
        person.page.locator("#question strong").wait_for()
        person.page.evaluate(_TIME_FRAMES)
        for row in range(100, 1000, 150):
            person.page.keyboard.press("1234"[row % 4])
            mouse = person.page.mouse
            mouse.move(*person.place(100, row))
            mouse.down()
            mouse.move(*person.place(1900, row + 60), steps=60)
            mouse.up()
        _spread("brush: time between frames", person.page.evaluate("frames_"))
        steps = person.page.evaluate("steps")
        _spread("brush: work of one step", steps)
        whole = person.page.evaluate(_TIME_WHOLE)
        ratio = whole / max(np.median(steps), 0.01)
        print(f"whole label map redrawn            {whole:14.1f} ms   {ratio:.0f} times a step")
        server.kill()


if __name__ == "__main__":
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        _questions(chromium, _mask())
        _strokes(chromium)
        chromium.close()
