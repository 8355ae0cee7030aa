"""What an ensemble agrees on, and by how much its members diverge.

Arrays have classes before pixels: sums over a few classes then run along a middle axis, with the
long axis free for vector instructions.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

VOTES = ("hard", "soft")
SCORES = ("top", "sum")


class Opinion(NamedTuple):
    """One member's view of P pixels, or the sum over members.

    Attributes:
      probability: float32[K, P].
      entropy: float32[P], in nats.
      votes: int32[K, P], one for the best class (the smallest of equals).
    """

    probability: jax.Array
    entropy: jax.Array
    votes: jax.Array


def opinion(logits: jax.Array) -> Opinion:
    """Returns one member's `Opinion` from its logits [K, P]; stable for logits of any size."""
    x = logits.astype(jnp.float32)
    x = x - x.max(0, keepdims=True)
    e = jnp.exp(x)
    total = e.sum(0)
    # H(p) = log sum_k e_k - sum_k p_k x_k: no logarithm of a probability that may be 0.
    entropy = jnp.log(total) - (e * x).sum(0) / total
    classes = jnp.arange(x.shape[0])[:, None]
    return Opinion(e / total[None], entropy, (classes == _first_best(x)[None]).astype(jnp.int32))


def divergence(total: Opinion, members: int) -> jax.Array:
    """Returns the Jensen-Shannon divergence H(mean p) - mean H(p) of M members, in [0, log M].

    DatasetGAN's uncertainty of a pixel (Zhang et al., CVPR 2021, section 3.3), in nats. The mean is
    of probabilities; the first published code took that of logits.

    Args:
      total: the members' opinions, summed.
      members: M.

    Returns:
      float32[P], not below 0 whatever the rounding.
    """
    mean = total.probability / members
    spread = -jax.scipy.special.xlogy(mean, mean).sum(0)
    return jnp.maximum(spread - total.entropy / members, 0)


def vote(total: Opinion, kind: str) -> jax.Array:
    """Returns the ensemble's class int32[P]; ties go to the smallest.

    Args:
      total: the members' opinions, summed.
      kind: static; `hard`, the class that most members rank first (DatasetGAN), or `soft`, that of
        the highest mean probability.

    Raises:
      ValueError: an unknown `kind`.
    """
    if kind not in VOTES:
        raise ValueError(f"vote is one of {VOTES}, not {kind!r}")
    return _first_best(total.votes if kind == "hard" else total.probability)


def _first_best(x: jax.Array) -> jax.Array:
    """Returns the first best class int32[P] of [K, P], by two reductions that vectorise."""
    last = x.shape[0] - 1
    place = jnp.arange(last + 1, dtype=jnp.int32)[:, None]
    return jnp.where(x == x.max(0, keepdims=True), place, last).min(0)


def image_score(js: jax.Array, kind: str) -> jax.Array:
    """Returns one image's uncertainty float32[] from its divergence map [H, W].

    Args:
      js: as `divergence` gives it.
      kind: static; `top`, the mean of the highest tenth of the pixels, rounded down (DatasetGAN's
        code; all pixels where there are fewer than ten, as there), or `sum` (its paper).

    Raises:
      ValueError: an unknown `kind`.
    """
    if kind not in SCORES:
        raise ValueError(f"image score is one of {SCORES}, not {kind!r}")
    if kind == "sum":
        return js.sum()
    return jax.lax.top_k(js.ravel(), js.size // 10 or js.size)[0].mean()
