"""Slow NumPy oracles of jax_labor.ops, in float64, written for reading: one image at a time."""

import itertools
import math

import numpy as np


def resize(x, size, align_corners):
    """Bilinear resize of [h,w,C] by its definition, one output pixel at a time."""
    (h, w), (height, width) = x.shape[:2], size

    def source(i, n, length):
        if align_corners:
            return i * (n - 1) / (length - 1) if length > 1 else 0.0
        return max((i + 0.5) * n / length - 0.5, 0.0)

    out = np.empty((height, width, x.shape[2]))
    for i, j in itertools.product(range(height), range(width)):
        y, z = source(i, h, height), source(j, w, width)
        y0, x0 = min(int(y), h - 1), min(int(z), w - 1)
        y1, x1 = min(y0 + 1, h - 1), min(x0 + 1, w - 1)
        a, b = y - y0, z - x0
        top = (1 - b) * x[y0, x0].astype(float) + b * x[y0, x1]
        bottom = (1 - b) * x[y1, x0].astype(float) + b * x[y1, x1]
        out[i, j] = (1 - a) * top + a * bottom
    return out


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def probabilities(x, size, align_corners):
    return softmax(resize(x, size, align_corners))


def margin(p):
    """Best less second best of [..., K]: where it is tiny, rounding may decide the argmax."""
    ordered = np.sort(p, -1)
    return ordered[..., -1] - ordered[..., -2]


def confusion(labels, predictions, num_classes):
    counts = np.zeros((num_classes, num_classes), np.int64)
    for truth, guess in zip(labels.ravel(), predictions.ravel(), strict=True):
        if 0 <= truth < num_classes:
            counts[truth, guess] += 1
    return counts


def iou(counts):
    values = []
    for k in range(len(counts)):
        union = counts[k].sum() + counts[:, k].sum() - counts[k, k]
        values.append(counts[k, k] / union if union else math.nan)
    return np.array(values)


def top(score, available, budget):
    """Exactly `budget` available pixels of the highest score; ties by flat index; NaN last."""
    flat = score.ravel()
    rank = [(math.isnan(flat[i]), -flat[i], i) for i in np.flatnonzero(available)]
    rank = [(nan, 0.0 if nan else value, i) for nan, value, i in rank]
    chosen = [i for _, _, i in sorted(rank)[: max(int(budget), 0)]]
    mask = np.zeros(flat.shape, bool)
    mask[chosen] = True
    return mask.reshape(score.shape)


def similarity(p, mu, kind):
    if kind == "cosine":
        return p @ mu / math.sqrt((p @ p) * (mu @ mu))
    if kind == "dot":
        return p @ mu
    if kind == "l2":
        return -math.sqrt(((p - mu) ** 2).sum())
    return -sum(a * (math.log(a + 1e-12) - math.log(b + 1e-12)) for a, b in zip(p, mu, strict=True))


def ranked_points(p, classes, candidates, kind):
    """Per class the candidates as (similarity, flat index), best first.

    `classes` is [H, W], or [N, H, W] where pixels have several classes.
    """
    width = classes.shape[-1]
    maps = classes.reshape(-1, *classes.shape[-2:])
    ranked = {}
    for k in range(p.shape[-1]):
        of_class = (maps == k).any(0)
        members = np.argwhere(candidates & of_class)
        mu = np.mean([p[y, x] for y, x in members], 0) if len(members) else None
        scored = [(similarity(p[y, x], mu, kind), y * width + x) for y, x in members]
        ranked[k] = sorted(scored, key=lambda pair: (-pair[0], pair[1]))
    return ranked


def ppl(p, classes, candidates, points, per_class, kind, first=0):
    """Flat indices in the order of choice: best of each class, second best of each class, ..."""
    ranked = ranked_points(p, classes, candidates, kind)
    turn = [*range(first, len(ranked)), *range(first)]
    ranks = range(points if per_class else max(map(len, ranked.values()), default=0))
    order = [ranked[k][r][1] for r in ranks for k in turn if r < len(ranked[k])]
    order = list(dict.fromkeys(order))
    return order if per_class else order[:points]


def windows(y, x, radius, shape):
    rows = range(max(y - radius, 0), min(y + radius + 1, shape[0]))
    return itertools.product(rows, range(max(x - radius, 0), min(x + radius + 1, shape[1])))


def region_impurity(p, radius, pick):
    num_classes, shape = p.shape[-1], p.shape[:2]
    classes = p.argmax(-1)
    entropy = -(p * np.log(p + 1e-6)).sum(-1) / math.log(num_classes)
    out = np.empty(shape)
    for y, x in np.ndindex(shape):
        inside = list(windows(y, x, radius, shape))
        share = np.bincount([classes[q] for q in inside], minlength=num_classes) / len(inside)
        impurity = -(share * np.log(share + 1e-6)).sum() / math.log(num_classes)
        out[y, x] = impurity * np.mean([entropy[q] for q in windows(y, x, pick, shape)])
    return out


def regions(score, available, budget, radius, suppress, centres=True):
    """Greedy windows with suppression; what no centre can spend goes to the best pixels left."""
    asked = np.zeros(score.shape, bool)
    centres = centres & available & ~np.isnan(score) & (score > -np.inf)
    while asked.sum() < budget and centres.any():
        y, x = np.unravel_index(np.argmax(np.where(centres, score, -np.inf)), score.shape)
        for q in windows(y, x, radius, score.shape):
            if available[q] and not asked[q] and asked.sum() < budget:
                asked[q] = True
        for q in windows(y, x, suppress, score.shape):
            centres[q] = False
    return asked | top(score, available & ~asked, budget - asked.sum())


def medoid_costs(points, chosen):
    """float64[N]: for every point, the sum of distances to the nearest of `chosen` and it."""
    x = points.astype(float)
    return np.array(
        [sum(min(math.dist(p, x[c]) for c in [*chosen, n]) for p in x) for n in range(len(x))]
    )
