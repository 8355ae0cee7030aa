"""Settings of a segmenter's card that cannot work, found before any work is done."""

import jax

from jax_labor.data.views import EvalView, TrainView
from jax_labor.engine.startup import check_batch
from jax_labor.errors import UserError, check_choice
from jax_labor.experiments.bounds import check_least, check_positive, check_share
from jax_labor.experiments.evaluation import read_scales
from jax_labor.labels.budget import check_budget
from jax_labor.labels.segments import check_specks
from jax_labor.ops.disagreement import BOTH, PROBABILITIES
from jax_labor.ops.prototypes import SIMILARITIES
from jax_labor.steps.pseudo_labels import RULES
from jax_labor.steps.select import ASK_SELECTOR, PROBS, RANDOM, STRATEGIES, TOP

CHOICES = {
    "train.statistics": ("each", "shared", "target"),
    "loss.discrepancy_kind": ("l1", "cosine"),
    "discriminator.kind": ("vanilla", "least_squares"),
    "discriminator.input": ("softmax", "entropy"),
    "pseudo.rule": RULES,
}
_SCHEDULES = ("optimizer", "discriminator")
_LEAST = {
    **dict.fromkeys(("train.steps", "data.eval_batch"), 1),
    **dict.fromkeys(("discriminator.width", "discriminator.layers"), 1),
    **dict.fromkeys(("train.eval_every", "model.bn_eps", "pseudo.gamma"), 0),
    **dict.fromkeys(("optimizer.weight_decay", "optimizer.head_factor"), 0),
    **dict.fromkeys((f"{s}.{name}" for s in _SCHEDULES for name in ("warmup", "decay_steps")), 0),
    **dict.fromkeys((f"{s}.power" for s in _SCHEDULES), 0),
}
ROUND_CHOICES = {
    "rounds.strategy": tuple(STRATEGIES),
    "rounds.similarity": tuple(SIMILARITIES),
    "rounds.cut": (TOP, RANDOM),
    "rounds.probs": PROBS,
    "rounds.class_of_pixel": (*PROBABILITIES, BOTH),
}


def check_training(config) -> None:
    """Refuses settings of losses and batches that do nothing, or not what they say.

    Raises:
        UserError: naming the setting and what it may be.
    """
    _check_choices(config, CHOICES)
    for role in ("source", "target"):
        setting = f"{role}_batch"
        check_batch(config.data[setting], jax.device_count(), f"config.data.{setting}")
    loss = config.loss
    read_scales(config.eval.scales, "config.eval.scales")
    EvalView(config.eval.size, normalize=config.data.normalize)
    check_positive(config, [f"{each}.lr" for each in _SCHEDULES])
    check_share(config, ("optimizer.momentum", "discriminator.b1", "discriminator.b2"), below=True)
    check_share(config, ("pseudo.alpha", "pseudo.beta", *(f"{each}.final" for each in _SCHEDULES)))
    check_least(config, _LEAST)
    check_least(config, {f"loss.{each}": 0 for each in loss if each != "discrepancy_kind"})
    if loss.adversarial_aux and not config.model.aux:
        raise UserError(
            "config.loss.adversarial_aux is set, but there is no auxiliary output: set"
            " config.model.aux, or leave it 0."
        )
    if loss.discrepancy_features and loss.discrepancy_kind != "l1":
        raise UserError(
            "config.loss.discrepancy_features asks for a discrepancy of outputs: set"
            " config.loss.discrepancy_kind=l1, or leave it off."
        )
    selector = config.model.selector == "shared" and not config.model.selector_gradient
    if loss.discrepancy_features and selector:
        raise UserError(
            "config.loss.discrepancy_features does nothing to a shared selector that may not train"
            " the backbone: set config.model.selector_gradient too, or config.model.selector=own."
        )
    sizes = tuple(train_view(config, role).size for role in ("source", "target"))
    if None in sizes:
        raise UserError(
            "config.data.source_view.size and target_view.size are (height, width) of what the"
            f" network is trained on; they are {sizes[0]} and {sizes[1]}."
        )
    if config.train.statistics == "shared" and sizes[0] != sizes[1]:
        raise UserError(
            f"config.train.statistics=shared joins source and target images of one size; they are"
            f" {sizes[0]} and {sizes[1]}: set config.data.source_view.size and target_view.size"
            " alike, or use each or target."
        )


def train_view(config, role: str) -> TrainView:
    """The view of `source` or `target` images; a UserError names a setting that cannot be."""
    settings, name = config.data[f"{role}_view"].to_dict(), f"config.data.{role}_view"
    return TrainView(**settings, normalize=config.data.normalize, name=name)


def check_rounds(config) -> None:
    """Refuses rounds that could not open, which else would show after the warm-up.

    Raises:
        UserError: naming the setting and what it may be.
    """
    rounds = config.rounds
    _check_choices(config, ROUND_CHOICES)
    check_budget(rounds.share, rounds.points)
    check_specks(rounds.smallest, rounds.specks)
    if rounds.strategy == "ppl" and not rounds.points:
        raise UserError(
            "config.rounds.strategy=ppl asks points: set config.rounds.points (40 in the paper) and"
            " config.rounds.share=0."
        )
    if rounds.per_class and rounds.strategy != "ppl":
        raise UserError(
            "config.rounds.per_class=True counts points of classes, which only"
            f" config.rounds.strategy=ppl asks; it is {rounds.strategy}."
        )
    if rounds.strategy in ASK_SELECTOR and config.model.selector == "none":
        raise UserError(
            f"config.rounds.strategy={rounds.strategy} asks two classifiers, but"
            " config.model.selector is none: use shared or own."
        )
    if rounds.strategy == "ripu" and not (rounds.radius >= 1 and 0 <= rounds.pick <= rounds.radius):
        raise UserError(
            f"config.rounds: radius is {rounds.radius}, pick {rounds.pick}: a region is scored by"
            " radius 1 or more, and pick is 0 (its pixel) to radius."
        )


def _check_choices(config, choices: dict) -> None:
    for name, values in choices.items():
        section, key = name.split(".")
        check_choice(f"config.{name}", config[section][key], values)
