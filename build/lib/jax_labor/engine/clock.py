"""Steps and images per second, without compilation and pauses, and the time still to go."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Rates in 1/s and times in s; None before the second step of a phase."""

    steps_per_second: float | None
    images_per_second: float | None
    eta_seconds: float | None
    total_seconds: float


class Clock:
    """Counts the time of a run.

    A phase begins with `start` (the first one on its own). Its first step, which compiles, is not
    in the rates, nor is what happens inside `pause` (evaluation, checkpoints, rounds). The total
    counts everything, and goes on over a resume through `state` and `load`.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter):
        self._now = now
        self._began = now()
        self._seconds_before = 0.0
        self._all_steps, self._all_images, self._all_seconds = 0, 0, 0.0
        self.start()

    def start(self) -> None:
        """Begin a phase: its first step is expected to compile."""
        self._compiled = False
        self._steps, self._images, self._seconds = 0, 0, 0.0
        self._last = self._now()

    def tick(self, images: int) -> None:
        """Count one step, just done, over `images` images (all devices and processes)."""
        now = self._now()
        if self._compiled:
            self._steps += 1
            self._images += images
            self._seconds += now - self._last
            self._all_steps += 1
            self._all_images += images
            self._all_seconds += now - self._last
        self._compiled = True
        self._last = now

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Keep what happens inside out of the rates (not out of the total)."""
        held = self._now() - self._last
        try:
            yield
        finally:
            self._last = self._now() - held

    def rates(self, steps_to_go: int = 0) -> Rates:
        """Return the rates of this phase and the time that `steps_to_go` steps will take."""
        steps = self._steps / self._seconds if self._seconds > 0 else None
        images = self._images / self._seconds if self._seconds > 0 else None
        eta = max(steps_to_go, 0) / steps if steps else None
        return Rates(steps, images, eta, self.total_seconds())

    def total_seconds(self) -> float:
        """Seconds of this run, of its earlier starts too (since `load`)."""
        return self._seconds_before + self._now() - self._began

    def mean_images_per_second(self) -> float | None:
        """Mean over all phases and starts, compile steps and pauses excluded."""
        return self._all_images / self._all_seconds if self._all_seconds > 0 else None

    def state(self) -> dict[str, float]:
        """Return what a checkpoint keeps of this clock (JSON)."""
        return {
            "seconds": self.total_seconds(),
            "steps": self._all_steps,
            "images": self._all_images,
            "step_seconds": self._all_seconds,
        }

    def load(self, state: dict[str, float]) -> None:
        """Go on from a `state`; the time of this process before the call is not counted twice."""
        self._began = self._now()
        self._seconds_before = state["seconds"]
        self._all_steps = int(state["steps"])
        self._all_images = int(state["images"])
        self._all_seconds = state["step_seconds"]
        self._last = self._now()


def as_time(seconds: float | None) -> str:
    """Write seconds as `m:ss` or `h:mm:ss`, None as `?`."""
    if seconds is None:
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
