"""PPL: the uncertain pixels most similar to the prototype of their class."""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jax_labor.ops.disagreement import Disagreement, combine
from jax_labor.ops.rows import class_softmax, map_rows, sum_rows

# Pixels whose best value is computed first, so that the search for the best is short.
GROUP = 64
TINY = 1e-12


def _sum(
    term: Callable[[jax.Array, jax.Array], jax.Array], p: jax.Array, mu: jax.Array, k: jax.Array
) -> jax.Array:
    """Returns the sum over classes c of term(p_c, mu(k)_c) in [R, W].

    `p` is [R, K, W], `mu` [K, K] with a prototype in each row, `k` the class [R, W] of each pixel.
    One class at a time: the prototypes spread over the pixels never exist as an array.
    """
    return sum(term(p[:, c], mu[:, c][k]) for c in range(p.shape[1]))


def _dot(p: jax.Array, mu: jax.Array, k: jax.Array) -> jax.Array:
    return _sum(jnp.multiply, p, mu, k)


def _cosine(p: jax.Array, mu: jax.Array, k: jax.Array) -> jax.Array:
    lengths = _sum(lambda a, _: a * a, p, mu, k) * jnp.square(mu).sum(1)[k]
    return _dot(p, mu, k) * jax.lax.rsqrt(lengths + TINY)


def _negative_l2(p: jax.Array, mu: jax.Array, k: jax.Array) -> jax.Array:
    return -jnp.sqrt(_sum(lambda a, b: jnp.square(a - b), p, mu, k))


def _negative_kl(p: jax.Array, mu: jax.Array, k: jax.Array) -> jax.Array:
    return -_sum(lambda a, b: a * (jnp.log(a + TINY) - jnp.log(b + TINY)), p, mu, k)


# How close probabilities [R, K, W] are to the prototype of their pixel's class; higher is closer.
SIMILARITIES = {"cosine": _cosine, "l2": _negative_l2, "dot": _dot, "kl": _negative_kl}


def _prototypes(
    logits: tuple[jax.Array, jax.Array],
    classes: Sequence[jax.Array],
    candidates: jax.Array,
    probs: str,
    align_corners: bool,
) -> jax.Array:
    """Returns mu(k) = mean of D(k) as row k of float32[K, K]; zeros where D(k) is empty.

    `classes` are maps int32[H,W] that differ at every candidate: it is in D of each of its classes.
    """
    num_classes = logits[0].shape[-1]
    ids = jnp.arange(num_classes, dtype=jnp.int32)[None, :, None]

    def block(x1, x2, candidate, *maps):
        p = combine(class_softmax(x1), class_softmax(x2), probs)
        member = functools.reduce(jnp.logical_or, [k[:, None] == ids for k in maps])
        member = (member & candidate[:, None]).astype(jnp.float32)
        full = jax.lax.Precision.HIGHEST
        total = jnp.einsum("rkw,rcw->rkc", member, p, precision=full)
        return total.sum(0), member.sum((0, 2))

    maps = candidates, *classes
    total, count = sum_rows(block, logits, candidates.shape, align_corners, maps)
    return total / jnp.maximum(count, 1)[:, None]


def top_per_class(
    score: jax.Array, classes: jax.Array, candidates: jax.Array, num_classes: int, n: int
) -> tuple[jax.Array, jax.Array]:
    """Finds the n highest scores of every class.

    The n best groups of neighbours by (maximum, position) contain the n best pixels by (score,
    position), so that only the maxima and then n groups are searched, never the whole image.

    Args:
      score: float32[H,W], finite.
      classes: int32[H,W].
      candidates: bool[H,W].
      num_classes: static K.
      n: static number per class.

    Returns:
      (flat indices int32[K,n], scores float32[K,n]): best first, ties by lowest flat index; beyond
      a class's candidates the score is -inf.
    """
    pixels = score.size
    excess = -pixels % GROUP
    flat = jnp.where(candidates, score, -jnp.inf).ravel()
    flat = jnp.pad(flat, (0, excess), constant_values=-jnp.inf).reshape(-1, GROUP)
    group_class = jnp.pad(classes.ravel(), (0, excess)).reshape(-1, GROUP)
    maxima = jax.lax.map(
        lambda k: jnp.where(group_class == k, flat, -jnp.inf).max(1), jnp.arange(num_classes)
    )
    groups = jnp.sort(jax.lax.top_k(maxima, min(n, flat.shape[0]))[1])
    inside = group_class[groups] == jnp.arange(num_classes)[:, None, None]
    values = jnp.where(inside, flat[groups], -jnp.inf).reshape(num_classes, -1)
    best, place = jax.lax.top_k(values, min(n, values.shape[1]))
    index = jnp.take_along_axis(groups, place // GROUP, axis=1) * GROUP + place % GROUP
    missing = n - best.shape[1]
    best = jnp.pad(best, ((0, 0), (0, missing)), constant_values=-jnp.inf)
    return jnp.pad(index, ((0, 0), (0, missing))).astype(jnp.int32), best


def _joined(tops: Sequence[tuple[jax.Array, jax.Array]]) -> tuple[jax.Array, jax.Array]:
    """Returns the best of several results of `top_per_class` whose classes share no pixel."""
    if len(tops) == 1:
        return tops[0]
    index, best = (jnp.concatenate(parts, 1) for parts in zip(*tops, strict=True))
    best, index = jax.lax.sort((-best, index), num_keys=2)
    n = tops[0][0].shape[1]
    return index[:, :n], -best[:, :n]


def _rank_by_rank(
    index: jax.Array, valid: jax.Array, points: int, first: jax.Array, distinct: bool
) -> jax.Array:
    """Returns int32[points]: the best of every class in turn, the second best, ..., then -1.

    `index` and `valid` are [K, n], best first; every rank begins with class `first`. Unless all
    are `distinct`, a pixel counts where it comes first.
    """
    index, valid = (jnp.roll(x, -first, axis=0).T.ravel() for x in (index, valid))
    if not distinct:
        same = (index[:, None] == index[None, :]) & valid[None, :]
        valid &= ~jnp.tril(same, -1).any(1)
    place = jnp.where(valid, jnp.cumsum(valid.astype(jnp.int32)) - 1, points)
    return jnp.full(points, -1, jnp.int32).at[place].set(index, mode="drop")


def select_ppl(
    logits1: jax.Array,
    logits2: jax.Array,
    disagreement: Disagreement,
    available: jax.Array,
    *,
    points: int,
    budget: jax.Array | None = None,
    first: jax.Array | None = None,
    per_class: bool = False,
    similarity: str = "cosine",
    probs: str = "mean",
    align_corners: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """Point-based pixel labelling (PPL; Shin et al., ICCV 2021, section 3.3).

    D(k) holds the probabilities of the available mask pixels of class k (`disagreement.prediction`)
    and mu(k) is their mean. Asked are the pixels of D(k) most similar to mu(k). Two passes over
    blocks of rows: one sums the prototypes, one writes the similarity of each pixel to its own. A
    pixel of two classes is in D of both, and asked once.

    Args:
      logits1: float [B,h,w,K] of the first classifier.
      logits2: float [B,h,w,K] of the second.
      disagreement: of the two, arrays [B,H,W].
      available: bool[B,H,W], the pixels that may be asked.
      points: static number of points: per image in all, dealt out rank by rank (the best pixel of
        every class, then the second best of every class, ...; classes in id order from `first`
        on within a rank), or with `per_class` the number for every class.
      budget: int32[B], how many of these each image takes, the first ones; all by default.
      first: int32[B], the class that each image's ranks begin with; 0 by default. Rounds that take
        a part of the points each begin with another, or classes with high ids are hardly asked.
      per_class: what `points` counts; pixels of two classes count for both.
      similarity: `cosine`, `l2` (negative distance), `dot`, or `kl` (negative KL(p || mu)).
      probs: which probabilities are compared: `mean` of both classifiers, `c1` or `c2`.
      align_corners: as in `resize_bilinear`.

    Returns:
      asked: bool[B,H,W].
      points: int32[B, points], or [B, K*points] with `per_class`: flat indices y*W + x in the order
        of choice, padded with -1. Exactly `points` (or `budget`) when the mask has as many, without
        `per_class`. Ties in similarity go to the lowest flat index.

    Raises:
      ValueError: an unknown `similarity` or `probs`, or no `points`.
    """
    if similarity not in SIMILARITIES:
        raise ValueError(f"similarity is one of {tuple(SIMILARITIES)}, not {similarity!r}")
    if points < 1:
        raise ValueError(f"points is at least 1, not {points}")
    num_classes, size = logits1.shape[-1], available.shape[1:]
    total = points * num_classes if per_class else points

    def image(args):
        x1, x2, classes, candidates, most, start = args
        pair = (x1, x2)
        mu = _prototypes(pair, classes, candidates, probs, align_corners)

        def block(b1, b2, *maps):
            p = combine(class_softmax(b1), class_softmax(b2), probs)
            return tuple(SIMILARITIES[similarity](p, mu, k) for k in maps)

        close = zip(map_rows(block, pair, size, align_corners, classes), classes, strict=True)
        tops = [top_per_class(c, k, candidates, num_classes, points) for c, k in close]
        index, best = _joined(tops)
        chosen = _rank_by_rank(index, best > -jnp.inf, total, start, len(classes) == 1)
        chosen = jnp.where(jnp.arange(total) < most, chosen, -1)
        place = jnp.where(chosen < 0, size[0] * size[1], chosen)
        asked = jnp.zeros(size[0] * size[1], bool).at[place].set(True, mode="drop")
        return asked.reshape(size), chosen

    mask, prediction = disagreement.mask & available, disagreement.prediction
    classes = jnp.unstack(prediction, axis=1) if prediction.ndim == 4 else (prediction,)
    budget = jnp.full(len(mask), total) if budget is None else budget
    first = jnp.zeros(len(mask), jnp.int32) if first is None else first
    return jax.lax.map(image, (logits1, logits2, tuple(classes), mask, budget, first))
