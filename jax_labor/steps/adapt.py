"""One training step of LabOR (Shin et al., ICCV 2021): losses L1 to L6 and the discriminator.

The equations of the paper are reconstructed from its ancestors; see `losses` and `pseudo_labels`.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from jax_labor.classes import IGNORE
from jax_labor.ops.resize import resize_bilinear
from jax_labor.steps import losses, pseudo_labels
from jax_labor.steps.forward import forward
from jax_labor.steps.parallel import AXIS
from jax_labor.steps.state import TrainState


def make_train_step(network, config, trains_selector: bool, self_trains: bool, class_weights=None):
    """Builds step(state, batch) -> (state, metrics) for one device of the axis "data".

    Args:
        network: has `model` (a LaborNet), `discriminator` (an FCDiscriminator, used where
            `config.loss.adversarial*` is not 0) and their optimisers `tx`, `discriminator_tx`.
        config: a card; read are `loss`, `discriminator`, `pseudo`, `model`, `train`, `seed` and
            `align_corners`.
        trains_selector: whether the two classifiers learn, where the network has them.
        self_trains: whether the segmenter learns from pseudo-labels, weighted `loss.pseudo`.
        class_weights: float32[C], what a pixel of each class weighs in every cross-entropy; None
            = 1.

    The batch holds "source" and, where the phase uses the target domain, "target": each a dict of
    image float32[B, H, W, 3] and label int32[B, H, W] (255 = none), and perhaps mask
    float32[B, H, W, 1], 0 beside the image, where the target's pixels teach nothing. Metrics are
    float32[] by loss term, equal on every device.
    """

    model, discriminator, tx = network.model, network.discriminator, network.tx
    trains_selector = trains_selector and config.model.selector != "none"
    self_trains = self_trains and config.loss.pseudo
    wants_pseudo = self_trains or (trains_selector and config.loss.selector_pseudo)
    cross_entropy = functools.partial(
        losses.cross_entropy, align_corners=config.align_corners, class_weights=class_weights
    )

    def step(state: TrainState, batch):
        keys = dropout_keys(config, state.step, batch) if config.model.dropout else None
        passes = functools.partial(
            forward, model, batch=batch, statistics=config.train.statistics, keys=keys
        )

        def objective(params):
            outputs, stats = passes(params, state.batch_stats, select=trains_selector)
            thresholds, pseudo = make_pseudo_labels(
                config, state.thresholds, outputs.get("target"), wants_pseudo, _mask(batch)
            )
            trusted = pseudo if self_trains else None
            terms = dict(_segmenter_terms(config.loss, cross_entropy, outputs, batch, trusted))
            terms |= _adversarial_terms(config, discriminator, state.discriminator, outputs, batch)
            if trains_selector:
                terms |= _selector_terms(config.loss, cross_entropy, outputs, batch, pseudo)
                again = functools.partial(passes, batch_stats=state.batch_stats)
                terms |= _discrepancy_terms(config, params, outputs, again, _mask(batch))
            shares, means = _normalise(terms)
            return shares, (stats, thresholds, means, outputs)

        grads, (stats, thresholds, metrics, outputs) = jax.grad(objective, has_aux=True)(
            state.params
        )
        grads = jax.lax.psum(grads, AXIS)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        if "selector" in updates and not trains_selector:
            # Without a loss, weight decay alone would wear it down: Adam makes steps of full size
            # of that.
            still = jax.tree.map(jnp.zeros_like, updates["selector"])
            updates = {**updates, "selector": still}
        state = state.replace(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            batch_stats=stats,
            opt_state=opt_state,
            thresholds=thresholds,
        )
        if state.discriminator and "target" in batch:
            state, more = _discriminator_step(config, network, state, outputs, batch)
            metrics |= more
        return state, metrics

    return step


def _segmenter_terms(weights, cross_entropy, outputs, batch, pseudo):
    """L1 and L2 on both outputs, and IAST's self-training where it is asked for."""
    for domain, weight in (("source", weights.source), ("target", weights.target)):
        if domain not in batch or not weight:
            continue
        label = batch[domain]["label"]
        yield domain, (weight, cross_entropy(outputs[domain].main, label))
        if outputs[domain].aux is not None:
            term = cross_entropy(outputs[domain].aux, label)
            yield f"{domain}_aux", (weight * weights.aux, term)
    if pseudo is not None:
        yield "pseudo", (weights.pseudo, cross_entropy(outputs["target"].main, pseudo))


def _adversarial_terms(config, discriminator, params, outputs, batch):
    """L3: the target's outputs are to look like the source's to each discriminator."""
    terms = {}
    if "target" not in outputs:
        return terms
    size = batch["target"]["image"].shape[1:3]
    for name in params:
        weight = config.loss.adversarial if name == "main" else config.loss.adversarial_aux
        seen = discriminator_input(config, getattr(outputs["target"], name), size)
        logits = discriminator.apply({"params": params[name]}, seen)
        term = losses.adversarial(logits, is_target=False, kind=config.discriminator.kind)
        terms[f"adversarial_{name}"] = (weight, term)
    return terms


def _selector_terms(weights, cross_entropy, outputs, batch, pseudo):
    """What trains the two classifiers to be right: cross-entropy on labels, and L5."""
    terms = {}
    labels = {"source": batch["source"]["label"]}
    if "target" in batch:
        labels |= {"target": batch["target"]["label"], "pseudo": pseudo}
    for name, label in labels.items():
        weight = weights[f"selector_{name}"]
        if not weight or label is None:
            continue
        out = outputs["source" if name == "source" else "target"]
        for i, logits in enumerate((out.classifier1, out.classifier2), 1):
            terms[f"selector{i}_{name}"] = (weight, cross_entropy(logits, label))
    return terms


def dropout_keys(config, step: jax.Array, batch) -> dict[str, jax.Array]:
    """By domain key[B], a function of the seed, the step and the image's place in the whole batch.

    So the same image drops the same values on any number of devices.
    """
    key = jax.random.fold_in(jax.random.key(config.seed), step)
    keys = {}
    for number, domain in enumerate(sorted(batch)):
        count = len(batch[domain]["image"])
        places = jax.lax.axis_index(AXIS) * count + jnp.arange(count)
        own = jax.random.fold_in(key, number)
        keys[domain] = jax.vmap(jax.random.fold_in, (None, 0))(own, places)
    return keys


def _mask(batch) -> jax.Array | None:
    """float32[B, H, W, 1], 0 beside the target's images, whose pixels are none; or None."""
    return batch["target"].get("mask") if "target" in batch else None


def _inside(mask: jax.Array, logits: jax.Array) -> jax.Array:
    """bool[B, h, w], the mask at the resolution of the logits."""
    return jax.image.resize(mask[..., 0], logits.shape[:3], "nearest") > 0


def _discrepancy_terms(config, params, outputs, passes, mask):
    """L6, which pushes the two classifiers apart: by their outputs (MCD) or by their weights.

    `passes` gives the outputs of other parameters on the same batch; `mask` is that of `_mask`.
    """
    weight, kind = config.loss.discrepancy, config.loss.discrepancy_kind
    if not weight:
        return {}
    if kind == "cosine":
        first, second = (params["selector"][f"classifier{i}"] for i in (1, 2))
        # The same number on every device, so each carries its share of it.
        return {"weight_cosine": (weight, (losses.weight_cosine(first, second), jnp.ones(())))}
    if "target" not in outputs:
        return {}
    out = outputs["target"]
    reaches_features = config.model.selector != "shared" or config.model.selector_gradient
    if reaches_features and not config.loss.discrepancy_features:
        # The same pass with constant features, for the gradient's sake.
        out = passes(_only_classifiers(params))[0]["target"]
    inside = None if mask is None else _inside(mask, out.classifier1)
    return {"discrepancy": (-weight, losses.discrepancy(out.classifier1, out.classifier2, inside))}


def _only_classifiers(params):
    """The parameters, constant but for the two classifiers (MCD's step B)."""
    constant = jax.lax.stop_gradient(params)
    free = {name: params["selector"][name] for name in ("classifier1", "classifier2")}
    return {**constant, "selector": {**constant["selector"], **free}}


def _normalise(terms):
    """This device's share of the objective, and every term's mean over all devices."""
    shares, means = jnp.zeros(()), {}
    for name, (weight, (total, count)) in terms.items():
        count = jax.lax.psum(jax.lax.stop_gradient(count), AXIS)
        count = jnp.where(count > 0, count, 1)  # weights may sum to less than 1
        shares += weight * total / count
        means[name] = jax.lax.psum(jax.lax.stop_gradient(total), AXIS) / count
    means["loss"] = jax.lax.psum(jax.lax.stop_gradient(shares), AXIS)
    return shares, means


def make_pseudo_labels(config, thresholds, target, wanted, mask=None):
    """IAST's thresholds over the batch of all devices, and this device's pseudo-labels; L5's yhat.

    They are taken at the resolution of the logits, where a prediction is made.

    Args:
        config: `pseudo`, the rule and its numbers.
        thresholds: float32[C].
        target: outputs on the target's images, None without any.
        wanted: whether any loss reads them.
        mask: float32[B, H, W, 1], 0 beside the images; None where there is nothing beside.

    Returns:
        (thresholds, int32[B, h, w] with 255 where a label is not trusted, or None).
    """
    if target is None or not wanted:
        return thresholds, None
    probs = jax.lax.stop_gradient(jax.nn.softmax(target.main))
    confidence, prediction = probs.max(-1), probs.argmax(-1).astype(jnp.int32)
    if mask is not None:
        prediction = jnp.where(_inside(mask, target.main), prediction, IGNORE)
    rule = config.pseudo
    if rule.rule == pseudo_labels.ARGMAX:
        return thresholds, prediction
    everywhere = [jax.lax.all_gather(x, AXIS) for x in (confidence, prediction)]
    how = rule.alpha, rule.beta, rule.gamma
    thresholds = pseudo_labels.update_thresholds(thresholds, *everywhere, *how)
    return thresholds, pseudo_labels.select(thresholds, confidence, prediction)


def discriminator_input(config, logits: jax.Array, size: tuple[int, int]) -> jax.Array:
    """What a discriminator sees: the output raised to the image's size, as AdaptSegNet does.

    Args:
        config: `discriminator.input` ("softmax", or "entropy" for ADVENT's) and `align_corners`.
        logits: float32[B, h, w, C].
        size: (height, width) of the image.

    Returns:
        float32[B, height, width, C].
    """
    probs = jax.nn.softmax(resize_bilinear(logits, size, config.align_corners))
    return (
        losses.weighted_self_information(probs)
        if config.discriminator.input == "entropy"
        else probs
    )


def _discriminator_step(config, network, state, outputs, batch):
    """Half the loss on source outputs (label 0), half on target outputs (label 1), detached."""
    kind, discriminator = config.discriminator.kind, network.discriminator

    def objective(params):
        terms = {}
        for name in params:
            for domain in ("source", "target"):
                output = jax.lax.stop_gradient(getattr(outputs[domain], name))
                size = batch[domain]["image"].shape[1:3]
                seen = discriminator_input(config, output, size)
                logits = discriminator.apply({"params": params[name]}, seen)
                term = losses.adversarial(logits, is_target=domain == "target", kind=kind)
                terms[f"discriminator_{name}_{domain}"] = (0.5, term)
        shares, means = _normalise(terms)
        del means["loss"]
        return shares, means

    grads, means = jax.grad(objective, has_aux=True)(state.discriminator)
    grads = jax.lax.psum(grads, AXIS)
    tx = network.discriminator_tx
    updates, opt_state = tx.update(grads, state.discriminator_opt_state, state.discriminator)
    params = optax.apply_updates(state.discriminator, updates)
    return state.replace(discriminator=params, discriminator_opt_state=opt_state), means
