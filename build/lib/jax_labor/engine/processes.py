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


def _outcome(work: Callable[[], T]) -> tuple[bool, T | str]:
    try:
        return True, work()
    except UserError as error:
        return False, str(error)
