"""The training step: terms, frozen parts, and one device against four."""

import functools
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from devices import map_step, place

from configs import spl
from jax_labor.experiments.assembly import build_network, initial_state
from jax_labor.models.factory import build_model
from jax_labor.ops.resize import resize_bilinear
from jax_labor.steps import losses
from jax_labor.steps.adapt import (
    discriminator_input,
    dropout_keys,
    make_pseudo_labels,
    make_train_step,
)
from jax_labor.steps.forward import forward
from jax_labor.steps.optimizer import groups, make_optimizer, schedule
from jax_labor.steps.pseudo_labels import INITIAL_THRESHOLD
from jax_labor.steps.state import copy_backbone

CLASSES, SIZE = 5, (32, 48)


pytestmark = pytest.mark.usefixtures("quick_compilation")


def small_config(**changes):
    config = spl.get_config("demo")
    config.model.width = 8
    config.data.source_view.size = config.data.target_view.size = SIZE
    config.discriminator.width, config.discriminator.layers = 4, 3
    config.optimizer.lr, config.optimizer.warmup = 1e-3, 0
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    return config


def make_batch(rng, labelled=0.1, size=8):
    def domain(share):
        image = rng.normal(size=(size, SIZE[0] // 8, SIZE[1] // 8, 3)).astype(np.float32)
        image = image.repeat(8, axis=1).repeat(8, axis=2)
        label = np.digitize(image[..., 0], [-0.8, -0.25, 0.25, 0.8])  # something to learn
        # Labels spread unevenly over the images, hence over the devices.
        keep = rng.random(label.shape) < share * np.linspace(0, 2, size)[:, None, None]
        return {"image": image, "label": np.where(keep, label, 255).astype(np.int32)}

    return {"source": domain(1.0), "target": domain(labelled)}


# Compiling a step is most of what a test here takes: tests share settings, and a step its program.
STEPS = {}


@pytest.fixture(scope="module", autouse=True)
def forgotten_steps():
    yield
    STEPS.clear()


def mapped_step(network, config, devices, trains_selector, self_trains, class_weights):
    """The step over the first `devices`; a step that a test before asked for is that one."""
    kind = trains_selector, self_trains, class_weights
    key = config.to_json(), devices, *kind[:2], class_weights is not None and tuple(class_weights)
    if key not in STEPS:
        STEPS[key] = map_step(make_train_step(network, config, *kind), devices)
    return STEPS[key]


def run_steps(config, devices, batches, **kind):
    """The state after a step on each batch, and the metrics of the last."""
    state, metrics = all_steps(config, devices, batches, **kind)
    return state, metrics[-1]


def all_steps(config, devices, batches, trains_selector=True, self_trains=True, class_weights=None):
    network = build_network(config, CLASSES)
    state = place(initial_state(config, network, CLASSES), devices)
    step = mapped_step(network, config, devices, trains_selector, self_trains, class_weights)
    found = []
    for batch in batches:
        batch = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
        state, metrics = step(state, batch)
        found.append(metrics)
    return jax.device_get((state, found))


ADVERSARIAL = {"loss.adversarial": 0.001, "discriminator.lr": 1e-3, "loss.discrepancy": 20.0}
ALL_TERMS = {
    "loss.adversarial": 0.01,
    "loss.pseudo": 0.5,
    "pseudo.alpha": 0.5,
    "model.aux": True,
    "loss.adversarial_aux": 0.01,
}


# They sum to less than 1, as those of a few pixels may.
WEIGHTS = np.array([4e-3, 1e-3, 2e-3, 1e-3, 8e-3], np.float32)


def every_term(statistics):
    settings = {"train.statistics": statistics, "optimizer.name": "sgd", "optimizer.lr": 0.05}
    return small_config(**ALL_TERMS, **settings)


# "each" differs from "target" in what is stored alone, see below.
@pytest.mark.parametrize(("statistics", "class_weights"), [("shared", WEIGHTS), ("target", None)])
def test_four_devices_equal_one(statistics, class_weights):
    config = every_term(statistics)
    rng = np.random.default_rng(0)
    batches = [make_batch(rng) for _ in range(3)]
    one, metrics1 = run_steps(config, 1, batches, class_weights=class_weights)
    four, metrics4 = run_steps(config, 4, batches, class_weights=class_weights)
    assert metrics1.keys() == metrics4.keys()
    for name in metrics1:
        np.testing.assert_allclose(
            metrics4[name], metrics1[name], rtol=2e-4, atol=2e-5, err_msg=name
        )
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(four), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize(
    ("statistics", "domains"),
    [("each", ["source", "target"]), ("target", ["target"]), ("target", ["source"])],
)
def test_stored_statistics_are_those_of(statistics, domains):
    class Mean:
        """A network whose running mean is the mean of the last images it saw, halved each time."""

        def apply(self, variables, images, mutable, **_):
            before = variables["batch_stats"]
            return images, {"batch_stats": before / 2 + images.mean() / 2}

    given = ["source"] if domains == ["source"] else ["source", "target"]
    values = {"source": 2.0, "target": 6.0}
    batch = {d: {"image": np.full((1, 2, 2, 3), values[d], np.float32)} for d in given}
    _, stored = forward(Mean(), {}, 0.0, batch, statistics)
    expected = 0.0
    for domain in domains:
        expected = expected / 2 + values[domain] / 2
    assert stored == expected


def test_every_term_is_there():
    config = every_term("target")
    batch = make_batch(np.random.default_rng(1))
    state, metrics = run_steps(config, 1, [batch])
    assert set(metrics) == {
        *("source", "source_aux", "target", "target_aux", "pseudo", "loss", "discrepancy"),
        *("adversarial_main", "adversarial_aux"),
        *(f"selector{i}_{d}" for i in (1, 2) for d in ("source", "target", "pseudo")),
        *(f"discriminator_{o}_{d}" for o in ("main", "aux") for d in ("source", "target")),
    }
    weights = {
        "source_aux": 0.1,
        "target_aux": 0.1,
        "pseudo": 0.5,
        "discrepancy": -config.loss.discrepancy,
    }
    weights |= {"adversarial_main": 0.01, "adversarial_aux": 0.01}
    total = sum(
        weights.get(name, 1.0) * value
        for name, value in metrics.items()
        if name != "loss" and not name.startswith("discriminator")
    )
    np.testing.assert_allclose(metrics["loss"], total, rtol=1e-4)
    assert (abs(state.thresholds - INITIAL_THRESHOLD) > 1e-3).any()
    check_adversary(config, batch, state, metrics)


def check_adversary(config, batch, after, metrics):
    """L3 and the discriminator's step by hand: who is pulled where, and by how much."""
    network = build_network(config, CLASSES)
    before = initial_state(config, network, CLASSES)
    model = build_model(config.model, CLASSES)  # of one device: no axis to share statistics over
    outputs, _ = forward(model, before.params, before.batch_stats, batch, "target")

    def loss(params, domain, label):
        raised = resize_bilinear(outputs[domain].main, SIZE, config.align_corners)
        logits = network.discriminator.apply({"params": params}, jax.nn.softmax(raised))
        return -jax.nn.log_sigmoid(logits if label else -logits).mean()

    main = before.discriminator["main"]
    np.testing.assert_allclose(metrics["adversarial_main"], loss(main, "target", 0), rtol=1e-4)
    for domain, label in (("source", 0), ("target", 1)):
        got = metrics[f"discriminator_main_{domain}"]
        np.testing.assert_allclose(got, loss(main, domain, label), rtol=1e-4)
    grads = jax.grad(lambda p: (loss(p, "source", 0) + loss(p, "target", 1)) / 2)(main)
    # After one step Adam's first moment is a tenth of the gradient.
    moment = after.discriminator_opt_state[0].mu["main"]
    for got, wanted in zip(*map(jax.tree.leaves, (moment, grads)), strict=True):
        np.testing.assert_allclose(got, 0.1 * wanted, rtol=2e-3, atol=1e-7)


@pytest.mark.parametrize(("kind", "seen"), [("softmax", False), ("entropy", True)])
def test_what_a_discriminator_sees(kind, seen):
    config = small_config(**{"discriminator.input": kind})
    logits = np.random.default_rng(7).normal(size=(1, 4, 6, CLASSES)).astype(np.float32)
    got = discriminator_input(config, logits, SIZE)
    probs = jax.nn.softmax(resize_bilinear(logits, SIZE, config.align_corners))
    wanted = losses.weighted_self_information(probs) if seen else probs
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def term_names(config, **kind):
    """Names of a step's metrics, without compiling it."""
    network = build_network(config, CLASSES)
    batch = jax.tree.map(lambda x: x[None], make_batch(np.random.default_rng(1)))
    step = map_step(make_train_step(network, config, **kind), 1)
    return set(jax.eval_shape(step, initial_state(config, network, CLASSES), batch)[1])


def test_a_segmenter_that_does_not_train_itself():
    """As in the warm-up, where the selector alone learns from pseudo-labels."""
    config = small_config(**ALL_TERMS)
    alone = term_names(config, trains_selector=True, self_trains=False)
    both = term_names(config, trains_selector=True, self_trains=True)
    assert both - alone == {"pseudo"}
    assert {"selector1_pseudo", "selector2_pseudo"} < alone
    neither = term_names(config, trains_selector=False, self_trains=False)
    assert not any("selector" in name or "pseudo" in name for name in neither)


def test_a_selector_that_nobody_trains_stays_as_it_is():
    """Weight decay alone would wear it down, and a finished run could not be asked again."""
    changes = {"model.selector": "own", "optimizer.weight_decay": 0.5, **ALL_TERMS}
    config = small_config(**changes)
    before = initial_state(config, build_network(config, CLASSES), CLASSES)
    batch = make_batch(np.random.default_rng(6))
    after, _ = run_steps(config, 1, [batch], trains_selector=False, self_trains=False)
    for part in ("params", "batch_stats"):
        pair = [getattr(state, part)["selector"] for state in (before, after)]
        jax.tree.map(np.testing.assert_array_equal, *pair)
    np.testing.assert_array_equal(before.thresholds, after.thresholds)
    assert np.any(
        before.params["head"]["branch0"]["kernel"] != after.params["head"]["branch0"]["kernel"]
    )


def test_pseudo_labels_may_be_all_of_what_the_segmenter_says():
    target = types.SimpleNamespace(main=np.random.default_rng(8).normal(size=(2, 4, 6, CLASSES)))
    before = np.full(CLASSES, INITIAL_THRESHOLD, np.float32)
    config = small_config(**{"pseudo.rule": "argmax"})
    thresholds, labels = make_pseudo_labels(config, before, target, True)
    np.testing.assert_array_equal(labels, target.main.argmax(-1))
    np.testing.assert_array_equal(thresholds, before)


@pytest.mark.parametrize("rule", ["iast", "argmax"])
def test_nothing_is_learned_beside_the_images(rule):
    """Of a view at a small scale; the masked pixels would all be of the surest class."""
    rng = np.random.default_rng(8)
    logits, mask = 5 * rng.normal(size=(2, 4, 6, CLASSES)), np.ones((2, 8, 12, 1), np.float32)
    mask[:, :, 8:] = 0
    logits[:, :, 4:, 0] = 50
    before = np.full(CLASSES, INITIAL_THRESHOLD, np.float32)
    config = small_config(**{"pseudo.rule": rule})

    def found(main, mask):
        main = types.SimpleNamespace(main=main)
        make = functools.partial(make_pseudo_labels, config, before, mask=mask)
        return jax.jit(jax.vmap(lambda _: make(main, True), axis_name="data"))(np.arange(1))

    thresholds, labels = found(logits, mask)
    cut, wanted = found(logits[:, :, :4], None)
    np.testing.assert_array_equal(thresholds, cut)
    np.testing.assert_array_equal(labels[..., :4], wanted)
    assert (labels[..., 4:] == 255).all() and (wanted != 255).any()
    inside = mask[:, ::2, ::2, 0] > 0
    other = rng.normal(size=logits.shape)
    total, count = losses.discrepancy(logits, other, inside)
    wanted = losses.discrepancy(logits[:, :, :4], other[:, :, :4])
    np.testing.assert_allclose([total, count], wanted, rtol=1e-5)


def test_a_backbone_is_copied_for_the_selector():
    config = small_config(**{"model.selector": "copied"})
    before = initial_state(config, build_network(config, CLASSES), CLASSES)
    after = copy_backbone(before)
    for part in ("params", "batch_stats"):
        a, b = getattr(before, part), getattr(after, part)
        jax.tree.map(np.testing.assert_array_equal, a["backbone"], b["selector"]["backbone"])
        jax.tree.map(np.testing.assert_array_equal, a["backbone"], b["backbone"])
    kernels = [state.params["selector"]["backbone"]["conv1"]["kernel"] for state in (before, after)]
    assert np.any(kernels[0] != kernels[1])
    heads = [state.params["selector"]["classifier1"] for state in (before, after)]
    jax.tree.map(np.testing.assert_array_equal, *heads)


def test_the_selector_does_not_touch_the_segmenter():
    batches = [make_batch(np.random.default_rng(2)) for _ in range(2)]
    config = small_config(**ADVERSARIAL)
    with_selector, _ = run_steps(config, 1, batches, trains_selector=True)
    without, _ = run_steps(config, 1, batches, trains_selector=False)
    for part in ("backbone", "head"):
        for a, b in zip(
            jax.tree.leaves(with_selector.params[part]),
            jax.tree.leaves(without.params[part]),
            strict=True,
        ):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    moved = jax.tree.map(
        lambda a, b: float(jnp.abs(a - b).max()),
        with_selector.params["selector"],
        without.params["selector"],
    )
    assert min(jax.tree.leaves(moved)) > 1e-4


@pytest.mark.parametrize("features", [False, True])
def test_discrepancy_moves_the_features_only_where_it_may(features):
    changes = {"loss.selector_source": 0.0, "loss.selector_target": 0.0}
    changes |= {"loss.selector_pseudo": 0.0, "loss.discrepancy_features": features}
    changes |= {"model.selector": "own", "optimizer.weight_decay": 0.0}
    config = small_config(**changes)
    before = initial_state(config, build_network(config, CLASSES), CLASSES).params["selector"]
    after, _ = run_steps(config, 1, [make_batch(np.random.default_rng(6))])
    moved = {
        part: any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, pair), strict=True))
        for part, pair in {p: (before[p], after.params["selector"][p]) for p in before}.items()
    }
    assert moved == {"backbone": features, "classifier1": True, "classifier2": True}


def test_discrepancy_pushes_the_classifiers_apart():
    rng = np.random.default_rng(3)
    batches = [make_batch(rng)] * 10
    _, far = run_steps(small_config(**ADVERSARIAL), 1, batches)
    assert far["discrepancy"] > 0.05
    kind = {"trains_selector": True, "self_trains": True}
    assert "discrepancy" not in term_names(small_config(**{"loss.discrepancy": 0.0}), **kind)
    cosine = {"loss.discrepancy_kind": "cosine", "loss.discrepancy": 5.0}
    _, metrics = run_steps(small_config(**cosine), 1, batches)
    assert metrics["weight_cosine"] < -0.3


def test_dropout_is_the_same_on_any_number_of_devices():
    changes = {"model.head": "v3", "model.dropout": 0.5, "model.channels": 8, "model.aux": False}
    changes |= {"train.statistics": "shared", "optimizer.name": "sgd"}
    changes |= {"model.backbone": "resnettiny"}  # compiles in less time
    config = small_config(**changes)
    batch = make_batch(np.random.default_rng(9))
    kind = {"trains_selector": True, "self_trains": False}
    one, first = all_steps(config, 1, [batch] * 2, **kind)
    two, second = all_steps(config, 2, [batch] * 2, **kind)
    for a, b in zip(*map(jax.tree.leaves, (one.params, two.params)), strict=True):
        np.testing.assert_allclose(b, a, rtol=2e-3, atol=2e-4)
    assert second[0]["source"] == pytest.approx(first[0]["source"], rel=1e-4)
    keys = jax.vmap(
        lambda _: dropout_keys(config, np.int32(3), {"source": batch["source"]}),
        axis_name="data",
        axis_size=2,
    )(np.arange(2))["source"]
    assert len(np.unique(jax.random.key_data(keys).reshape(16, -1), axis=0)) == 16


def test_training_lowers_the_loss_and_the_discriminator_learns():
    batch = make_batch(np.random.default_rng(4))
    batch["target"]["image"] += 2.0  # else there is nothing to tell the domains by
    config = small_config(**ADVERSARIAL)
    _, (first, *_, last) = all_steps(config, 1, [batch] * 25)
    assert last["source"] < 0.9 * first["source"]
    both = [f"discriminator_main_{domain}" for domain in ("source", "target")]
    assert sum(last[name] for name in both) < sum(first[name] for name in both)


def test_frozen_norms_stay_although_there_is_weight_decay():
    config = small_config(**{"model.bn": "affine_frozen", "optimizer.weight_decay": 0.5})
    network = build_network(config, CLASSES)
    before = initial_state(config, network, CLASSES)
    after, _ = run_steps(config, 1, [make_batch(np.random.default_rng(5))] * 2)
    names = groups(before.params, freeze_norm=True)
    changed = {"frozen": set(), "backbone": set(), "head": set()}
    for name, a, b in zip(
        jax.tree.leaves(names),
        jax.tree.leaves(before.params),
        jax.tree.leaves(after.params),
        strict=True,
    ):
        changed[name].add(bool(np.any(a != b)))
    assert changed == {"frozen": {False}, "backbone": {True}, "head": {True}}


@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_optimisers_equal_torch(name, rng):
    """Momentum, L2, poly decay over more steps than are trained, and heads ten times as fast."""
    settings = small_config().optimizer
    settings.name, settings.momentum, settings.weight_decay = name, 0.7, 0.05
    settings.schedule, settings.lr, settings.head_factor = "poly", 0.02, 10.0
    settings.decay_steps = 20
    names = ("backbone", "head")
    params = {n: {"conv": {"kernel": rng.normal(size=(3, 4)).astype(np.float32)}} for n in names}
    theirs = {n: torch.tensor(params[n]["conv"]["kernel"], requires_grad=True) for n in names}
    rates = [{"params": [theirs[n]], "lr": 0.02 * (10 if n == "head" else 1)} for n in names]
    kind = {
        "sgd": functools.partial(torch.optim.SGD, momentum=0.7),
        "adam": functools.partial(torch.optim.Adam, betas=(0.7, 0.999)),
    }[name]
    other = kind(rates, weight_decay=0.05)
    poly = torch.optim.lr_scheduler.PolynomialLR(other, 20, 0.9)
    tx = make_optimizer(settings, 8, freeze_norm=False)
    state = tx.init(params)
    for _ in range(8):
        grads = jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32), params)
        updates, state = tx.update(grads, state, params)
        params = optax.apply_updates(params, updates)
        for n in names:
            theirs[n].grad = torch.tensor(grads[n]["conv"]["kernel"])
        other.step()
        poly.step()
    for n in names:
        got = params[n]["conv"]["kernel"]
        np.testing.assert_allclose(got, theirs[n].detach(), rtol=2e-4, atol=2e-5)


def test_schedules_by_hand():
    settings = small_config().optimizer
    settings.lr, settings.warmup, settings.power = 2.0, 10, 0.9
    settings.schedule = "poly"
    rate = schedule(settings, 110)
    np.testing.assert_allclose(rate(5), 1.0, rtol=1e-6)
    np.testing.assert_allclose(rate(60), 2.0 * 0.5**0.9, rtol=1e-6)
    np.testing.assert_allclose(rate(110), 0.0, atol=1e-7)
    settings.schedule, settings.final = "cosine", 0.1
    np.testing.assert_allclose(schedule(settings, 110)(60), 2.0 * 0.55, rtol=1e-6)
    np.testing.assert_allclose(schedule(settings, 110)(500), 0.2, rtol=1e-6)
