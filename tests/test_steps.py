"""The training step: terms, frozen parts, and one device against four."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from devices import map_step, place

from configs import spl
from jax_labor.experiments.assembly import build_network, initial_state
from jax_labor.steps.adapt import make_train_step
from jax_labor.steps.forward import forward
from jax_labor.steps.optimizer import groups, schedule
from jax_labor.steps.pseudo_labels import INITIAL_THRESHOLD

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


def run_steps(config, devices, batches, trains_selector=True, self_trains=True):
    """The state after a step on each batch, and the metrics of the last."""
    state, metrics = all_steps(config, devices, batches, trains_selector, self_trains)
    return state, metrics[-1]


def all_steps(config, devices, batches, trains_selector=True, self_trains=True):
    network = build_network(config, CLASSES)
    state = place(initial_state(config, network, CLASSES), devices)
    step = map_step(make_train_step(network, config, trains_selector, self_trains), devices)
    found = []
    for batch in batches:
        batch = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
        state, metrics = step(state, batch)
        found.append(metrics)
    return jax.device_get((state, found))


ALL_TERMS = {
    "loss.adversarial": 0.01,
    "loss.pseudo": 0.5,
    "pseudo.alpha": 0.5,
    "model.aux": True,
    "loss.adversarial_aux": 0.01,
}


@pytest.mark.parametrize("statistics", ["shared", "each", "target"])
def test_four_devices_equal_one(statistics):
    config = small_config(**ALL_TERMS, **{"train.statistics": statistics, "optimizer.name": "sgd"})
    config.optimizer.lr = 0.05
    rng = np.random.default_rng(0)
    batches = [make_batch(rng) for _ in range(3)]
    one, metrics1 = run_steps(config, 1, batches)
    four, metrics4 = run_steps(config, 4, batches)
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

        def apply(self, variables, images, train, mutable):
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
    config = small_config(**ALL_TERMS)
    _, metrics = run_steps(config, 4, [make_batch(np.random.default_rng(1))])
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


def test_a_segmenter_that_does_not_train_itself():
    """As in the warm-up, where the selector alone learns from pseudo-labels."""
    config = small_config(**ALL_TERMS)
    batch = make_batch(np.random.default_rng(1))
    _, alone = run_steps(config, 1, [batch], self_trains=False)
    state, both = run_steps(config, 1, [batch])
    assert set(both) - set(alone) == {"pseudo"}
    assert {"selector1_pseudo", "selector2_pseudo"} < set(alone)
    without, _ = run_steps(config, 1, [batch], trains_selector=False, self_trains=False)
    np.testing.assert_allclose(without.thresholds, INITIAL_THRESHOLD)
    assert (abs(state.thresholds - INITIAL_THRESHOLD) > 1e-3).any()


def test_the_selector_does_not_touch_the_segmenter():
    batches = [make_batch(np.random.default_rng(2)) for _ in range(2)]
    config = small_config()
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
    apart, far = run_steps(small_config(**{"loss.discrepancy": 20.0}), 1, batches)
    together, near = run_steps(small_config(**{"loss.discrepancy": 0.0}), 1, batches)
    assert "discrepancy" not in near
    assert far["discrepancy"] > 0.05
    cosine = {"loss.discrepancy_kind": "cosine", "loss.discrepancy": 5.0}
    _, metrics = run_steps(small_config(**cosine), 1, batches)
    assert metrics["weight_cosine"] < -0.3


def test_training_lowers_the_loss_and_the_discriminator_learns():
    batch = make_batch(np.random.default_rng(4))
    batch["target"]["image"] += 2.0  # else there is nothing to tell the domains by
    config = small_config(**{"loss.adversarial": 0.001, "discriminator.lr": 1e-3})
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
