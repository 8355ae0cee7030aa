"""What our commands log: lines on stderr."""

import logging
import sys


def show_log() -> None:
    """Sends our log to stderr, a line an event.

    The libraries below log by absl at every start and checkpoint; only errors are let through.
    """
    # The handlers, as some libraries set the loggers' levels anew.
    for inherited in logging.getLogger().handlers:
        inherited.setLevel(logging.ERROR)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(message)s", "%H:%M:%S"))
    ours = logging.getLogger("jax_labor")
    ours.handlers, ours.propagate = [handler], False
    ours.setLevel(logging.INFO)
