"""Optimisers and learning-rate schedules, all of optax."""

import jax
import optax

from jax_labor.errors import UserError

BACKBONE, HEAD, FROZEN = "backbone", "head", "frozen"


def schedule(settings, total_steps: int, section: str = "optimizer") -> optax.Schedule:
    """Learning rate by step: a linear warm-up, then the named decay.

    Args:
        settings: `lr`, `schedule` ("poly", "cosine" or "constant"), `power` (of poly), `warmup`
            (steps of linear warm-up), `final` (cosine's last rate as a share of `lr`),
            `decay_steps` (the step at which the decay ends, 0 for `total_steps`: published codes
            decay over more steps than they train).
        total_steps: steps of the training.
        section: of the card, for messages.

    Raises:
        UserError: no such schedule.
    """
    steps = max((settings.decay_steps or total_steps) - settings.warmup, 1)
    if settings.schedule == "poly":
        decay = optax.polynomial_schedule(settings.lr, 0.0, settings.power, steps)
    elif settings.schedule == "cosine":
        decay = optax.cosine_decay_schedule(settings.lr, steps, settings.final)
    elif settings.schedule == "constant":
        decay = optax.constant_schedule(settings.lr)
    else:
        raise UserError(
            f"config.{section}.schedule is {settings.schedule!r}: use poly, cosine or constant."
        )
    if not settings.warmup:
        return decay
    rise = optax.linear_schedule(0.0, settings.lr, settings.warmup)
    return optax.join_schedules([rise, decay], [settings.warmup])


def make_optimizer(settings, total_steps: int, freeze_norm: bool) -> optax.GradientTransformation:
    """The segmenter's optimiser: heads learn `head_factor` times faster than the backbone.

    Args:
        settings: as in `schedule`, and `name` ("sgd" or "adam"), `momentum` (Adam's b1),
            `weight_decay` (L2 added to the gradient, as the published codes do), `head_factor`.
        total_steps: steps of the training.
        freeze_norm: leave every normalisation's scale and bias alone, weight decay included.

    Raises:
        UserError: no such optimiser or schedule.
    """
    rate = schedule(settings, total_steps)

    def rule(factor: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(settings.weight_decay),
            _direction(settings),
            optax.scale_by_learning_rate(lambda step: factor * rate(step)),
        )

    rules = {BACKBONE: rule(1.0), HEAD: rule(settings.head_factor), FROZEN: optax.set_to_zero()}
    return optax.multi_transform(rules, lambda params: groups(params, freeze_norm))


def make_discriminator_optimizer(settings, total_steps: int) -> optax.GradientTransformation:
    """Adam for the discriminator (AdaptSegNet: 1e-4, betas .9 and .99, poly)."""
    rate = schedule(settings, total_steps, "discriminator")
    return optax.adam(rate, b1=settings.b1, b2=settings.b2)


def groups(params, freeze_norm: bool):
    """Names each parameter's group: "backbone", "head" or "frozen" (a norm's scale and bias)."""

    def name(path, _):
        keys = [entry.key for entry in path]
        if freeze_norm and "bn" in keys[-2]:
            return FROZEN
        return BACKBONE if "backbone" in keys[:2] else HEAD

    return jax.tree_util.tree_map_with_path(name, params)


def _direction(settings) -> optax.GradientTransformation:
    if settings.name == "sgd":
        return optax.trace(settings.momentum)
    if settings.name == "adam":
        return optax.scale_by_adam(b1=settings.momentum)
    raise UserError(f"config.optimizer.name is {settings.name!r}: use sgd or adam.")
