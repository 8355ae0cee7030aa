"""A clean stop on SIGTERM or Ctrl-C: a flag, looked at between steps."""

import signal
from types import FrameType

import jax
import numpy as np
from jax.experimental import multihost_utils

EXIT_STOPPED = 143
"""Exit status of a run that stopped cleanly on a signal: its checkpoint is written, and starting it
again goes on. It is 128 + SIGTERM, which Slurm and SkyPilot take for a preemption and requeue."""

EXIT_WAITING = 75
"""Exit status of a run that waits for people: its queries are written, nothing is wrong, and
starting it again goes on once they have answered. It is EX_TEMPFAIL of sysexits.h, "try later"."""


class StopFlag:
    """Inside `with StopFlag() as stop`, SIGTERM and SIGINT only set `stop.set`.

    A second SIGINT raises `KeyboardInterrupt` as usual, for whoever cannot wait. The handlers from
    before come back at the end; where they are another flag's, it is set then, too: a signal that
    came too late for the work inside stops the work around it. Use in the main thread, after
    `jax.distributed.initialize`, which installs a SIGTERM handler of its own.
    """

    def __init__(self) -> None:
        self.set = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopFlag":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
            outer = getattr(handler, "__self__", None)
            if self.set and isinstance(outer, StopFlag):
                outer.set = True

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.set and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.set = True


def agreed(flag: bool) -> bool:
    """Return whether any process wants to stop: the same answer in all of them.

    A signal reaches the processes at different steps, and one that stopped alone would leave the
    others waiting in a collective. All must call this at the same steps; with several processes it
    costs a small gather, so call it every few steps.
    """
    if jax.process_count() == 1:
        return flag
    return bool(np.any(multihost_utils.process_allgather(np.array([flag]))))
