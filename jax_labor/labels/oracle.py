"""The annotator of an experiment: ground truth, or a program, answers every query."""

from collections.abc import Callable

import numpy as np

from jax_labor.files import remove_parts
from jax_labor.labels.store import Answer, Round


def answer(round_: Round, truth: Callable[[str], np.ndarray], annotator: str = "oracle") -> None:
    """Answers what is still open in `round_` with ground truth.

    Args:
        round_: an open round.
        truth: name -> uint8[H, W] train ids at the query's size, 255 where void.
        annotator: who is said to have answered.
    """
    remove_parts(round_.folder / "answers")  # the oracle is the only annotator of its run
    for name in round_.unanswered():
        round_.write_answer(Answer(name, truth(name), annotator=annotator))
