"""Processes of one run end together: none waits for one that has ended."""

import contextlib
import json
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Iterator

import jax
from orbax.checkpoint import multihost

from jax_labor.errors import UserError

_KEY = "jax_labor/ended"
_EVERY = 1.0  # seconds between two looks
_PATIENCE = 10.0  # seconds, in which those that found the same mistake end by themselves
_LAST = 2.0  # seconds more for process 0: JAX aborts the others once their coordinator is gone


@contextlib.contextmanager
def end_together(agreed: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Runs the block in all processes; an error that leaves it in one ends the others.

    JAX would let them wait for it, five minutes, and then abort all. Here they say what happened
    where, and take the exit status of the one that failed: 2 for a `UserError`, else 1.

    Args:
      agreed: exceptions with which all processes leave the block by agreement.
    """
    if not jax.distributed.is_initialized():
        yield
        return
    client = multihost.get_jax_distributed_client()
    left, heard = threading.Event(), threading.Event()
    _start(_watch, client, left, heard)
    try:
        yield
    except agreed:
        raise
    except BaseException as error:
        if heard.is_set() and not isinstance(error, UserError):
            threading.Event().wait()  # it comes of the other's end, with which this process ends
        _start(_end, _tell(client, error))
        raise
    finally:
        left.set()


def _start(work, *arguments) -> None:
    threading.Thread(target=work, args=arguments, daemon=True).start()


def _tell(client, error: BaseException) -> dict:
    if isinstance(error, UserError):
        said = {"status": 2, "text": str(error)}
    else:
        said = {"status": 1, "text": f"{type(error).__name__}: {error}"}
    said["process"] = jax.process_index()
    with contextlib.suppress(jax.errors.JaxRuntimeError):  # another process was first
        client.key_value_set(_KEY, json.dumps(said))
    return said


def _watch(client, left: threading.Event, heard: threading.Event) -> None:
    while not left.wait(_EVERY):
        with contextlib.suppress(jax.errors.JaxRuntimeError):  # nobody has said anything
            said = json.loads(client.key_value_try_get(_KEY))
            heard.set()
            _end(said)


def _end(said: dict) -> None:
    """Ends this process if it has not ended by itself in time."""
    me = jax.process_index()
    time.sleep(_PATIENCE)
    if me != said["process"]:
        print(f"error: process {said['process']} ended: {said['text']}", file=sys.stderr)
    if me == 0:
        time.sleep(_LAST)
    for child in multiprocessing.active_children():
        child.kill()  # workers that read data are deaf to SIGTERM
    sys.stderr.flush()
    os._exit(said["status"])
