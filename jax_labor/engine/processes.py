"""What several processes of one run tell each other."""

import pickle
from collections.abc import Callable
from typing import TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils

from jax_labor.errors import UserError

T = TypeVar("T")


def from_main(work: Callable[[], T]) -> T:
    """Do `work` in process 0 and return its result in all of them.

    All processes must call this together. A `UserError` of process 0 is raised in all of them.
    """
    if jax.process_count() == 1:
        return work()
    content = b""
    if jax.process_index() == 0:
        content = pickle.dumps(_outcome(work))
    size = int(multihost_utils.broadcast_one_to_all(np.uint32(len(content))))
    sent = np.frombuffer(content.ljust(size, b"\0"), np.uint8)
    ok, result = pickle.loads(np.asarray(multihost_utils.broadcast_one_to_all(sent)).tobytes())
    if not ok:
        raise UserError(result)
    return result


def from_all(value: T) -> list[T]:
    """The `value` of every process, in all of them; all must call this together."""
    if jax.process_count() == 1:
        return [value]
    content = np.frombuffer(pickle.dumps(value), np.uint8)
    sizes = multihost_utils.process_allgather(np.uint32(len(content)))
    padded = np.pad(content, (0, int(sizes.max()) - len(content)))
    sent = zip(multihost_utils.process_allgather(padded), sizes, strict=True)
    return [pickle.loads(row[:size].tobytes()) for row, size in sent]


def together(work: Callable[[], T]) -> T:
    """Do `work` in every process; a `UserError` of any is raised in all of them.

    For what a start may refuse in one alone, such as reading its machine's disk: nothing of the run
    is written then (later, `alarm.end_together` ends them). All processes must call this together,
    and `work` must not wait for the others.
    """
    if jax.process_count() == 1:
        return work()
    ok, result = _outcome(work)
    mistakes = from_all("" if ok else result)
    if not ok:
        raise UserError(result)
    for process, mistake in enumerate(mistakes):
        if mistake:
            raise UserError(f"process {process}: {mistake}")
    return result


def _outcome(work: Callable[[], T]) -> tuple[bool, T | str]:
    try:
        return True, work()
    except UserError as error:
        return False, str(error)
