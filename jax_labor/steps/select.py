"""The per-device steps of a round: what the network says, and which pixels to ask about.

Two functions for the reason given in `evaluate`: the second alone is compiled for every label size.
"""

import jax
import jax.numpy as jnp

from jax_labor.classes import IGNORE
from jax_labor.ops.disagreement import PROBABILITIES, disagreement
from jax_labor.ops.metrics import predict
from jax_labor.ops.prototypes import select_ppl
from jax_labor.ops.regions import select_regions
from jax_labor.ops.select import select_spl, select_top
from jax_labor.ops.uncertainty import region_impurity, uncertainty, window_sum
from jax_labor.steps.forward import infer

ASK_SELECTOR = ("spl", "ppl")
SEGMENTER = "segmenter"
PROBS = (*PROBABILITIES, SEGMENTER)
TOP, RANDOM = "top", "random"


def make_proposal(model, strategy: str):
    """Builds step(variables, image) -> outputs, of which `strategy` reads some.

    `image` is float32[B, h, w, 3]; the outputs are those of a LaborNet without feature maps, and
    without the two classifiers unless they are asked.
    """

    def step(variables, image):
        outputs = infer(model, variables["params"], variables["batch_stats"], image)
        if strategy not in ASK_SELECTOR:
            outputs = outputs._replace(classifier1=None, classifier2=None)
        return outputs._replace(aux=None, features={})

    return step


def make_choice(rounds, align_corners: bool):
    """Builds step(outputs, batch) -> guess uint8[B, H, W], points int32[B, n].

    The batch holds "available" bool[B, H, W] (pixels not yet asked), "budget" int32[B] in pixels
    and "key" key[B], one per image. `guess` is the segmenter's class at every asked pixel and 255
    elsewhere; `points` are the flat indices of PPL's points in their order, padded with -1 (n = 0
    for the other strategies).

    Args:
        rounds: settings of a card: `strategy`, `cut`, `points`, `similarity`, `probs`,
            `class_of_pixel`, `per_class`, `radius`, `pick`.
        align_corners: how logits are raised to label resolution.
    """
    choose = STRATEGIES[rounds.strategy]

    def step(outputs, batch):
        size = batch["available"].shape[-2:]
        asked, points = choose(outputs, batch, rounds, align_corners)
        guess = predict(outputs.main, size, align_corners)
        return jnp.where(asked, guess, IGNORE).astype(jnp.uint8), points

    return step


def _disagree(outputs, batch, rounds, align):
    size, logits = batch["available"].shape[-2:], (outputs.classifier1, outputs.classifier2)
    return disagreement(*logits, size, align, rounds.class_of_pixel)


def _spl(outputs, batch, rounds, align):
    found = _disagree(outputs, batch, rounds, align)
    order = _drawn(batch) if rounds.cut == RANDOM else None
    return select_spl(found, batch["available"], batch["budget"], order), _no_points(batch)


def _ppl(outputs, batch, rounds, align):
    found = _disagree(outputs, batch, rounds, align)
    pair, probs = (outputs.classifier1, outputs.classifier2), rounds.probs
    if probs == SEGMENTER:  # of the pixels on which the two disagree all the same
        pair, probs = (outputs.main, outputs.main), "c1"
    return select_ppl(
        *pair,
        found,
        batch["available"],
        points=rounds.points,
        budget=batch["budget"],
        # Where a deal of all points asked before would have ended, if every class had enough.
        first=(~batch["available"]).sum((1, 2)) % outputs.main.shape[-1],
        per_class=rounds.per_class,
        similarity=rounds.similarity,
        probs=probs,
        align_corners=align,
    )


def _random(outputs, batch, rounds, align):
    return select_top(_drawn(batch), batch["available"], batch["budget"]), _no_points(batch)


def _drawn(batch):
    """float32[B, H, W], drawn evenly."""
    size = batch["available"].shape[-2:]
    return jax.vmap(lambda key: jax.random.uniform(key, size))(batch["key"])


def _uncertain(kind):
    def choose(outputs, batch, rounds, align):
        size = batch["available"].shape[-2:]
        score = uncertainty(outputs.main, size, kind, align)
        return select_top(score, batch["available"], batch["budget"]), _no_points(batch)

    return choose


def _ripu(outputs, batch, rounds, align):
    size = batch["available"].shape[-2:]
    score = region_impurity(outputs.main, size, rounds.radius, align, rounds.pick)
    # Regions (radius 1, pick 1) may touch but not overlap; points (32, 0) keep their distance.
    suppress = max(2 * rounds.pick, rounds.radius)
    asked = (~batch["available"]).astype(jnp.float32)
    far = jax.vmap(lambda x: window_sum(x, suppress - rounds.pick))(asked) == 0
    chosen = select_regions(
        score, batch["available"], batch["budget"], rounds.pick, suppress, centres=far
    )
    return chosen, _no_points(batch)


def _no_points(batch):
    return jnp.full((batch["budget"].shape[0], 0), -1, jnp.int32)


STRATEGIES = {
    "spl": _spl,
    "ppl": _ppl,
    "random": _random,
    "entropy": _uncertain("entropy"),
    "margin": _uncertain("margin"),
    "ripu": _ripu,
}
