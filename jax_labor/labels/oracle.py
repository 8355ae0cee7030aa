"""The annotator of an experiment: ground truth, or a program, answers every query."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jax_labor.files import remove_parts
from jax_labor.labels.answer_checks import ORACLE
from jax_labor.labels.store import Answer, Round


def answer(round_: Round, truth: Callable[[str], np.ndarray], annotator: str = ORACLE) -> None:
    """Answers what is still open in `round_` with ground truth.

    Args:
        round_: an open round.
        truth: name -> uint8[H, W] train ids at the query's size, 255 where void; called by threads.
        annotator: who is said to have answered.
    """
    remove_parts(round_.folder / "answers")  # the oracle is the only annotator of its run

    def one(name: str) -> None:
        round_.write_answer(Answer(name, truth(name), annotator=annotator))

    with ThreadPoolExecutor() as pool:  # an accelerator waits meanwhile
        list(pool.map(one, round_.unanswered()))
