"""Which candidates are kept."""

import numpy as np

from jax_labor.errors import UserError


def keep_certain(scores: np.ndarray, count: int) -> np.ndarray:
    """Indices int64[count], ascending, of the `count` lowest of `scores` float[M].

    Dropping the most uncertain is the filter of DatasetGAN (Zhang et al., CVPR 2021). Among equal
    scores the lower index is kept.

    Raises:
      UserError: a score is not finite; the candidates are named.
      ValueError: `count` is not between 1 and M.
    """
    scores = np.asarray(scores)
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        listed = ", ".join(map(str, wrong[:10])) + (", ..." if len(wrong) > 10 else "")
        raise UserError(
            f"the score of candidate {listed} is not finite: the generator or the classifiers are "
            "broken. Take another checkpoint of them"
        )
    if not 1 <= count <= len(scores):
        raise ValueError(f"cannot keep {count} of {len(scores)} candidates")
    return np.sort(np.argsort(scores, kind="stable")[:count])
