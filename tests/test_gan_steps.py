"""The phases of StyleGAN2's training: against plain formulas, and on one device and four."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from devices import map_step, place
from small_gan import config as small_config

from jax_labor.errors import UserError
from jax_labor.experiments import gan_assembly
from jax_labor.models.stylegan2.discriminator import minibatch_deviation
from jax_labor.steps import gan as steps
from jax_labor.steps import gan_losses, parallel
from jax_labor.steps.ada import adjust
from jax_labor.steps.gan import _interleaved, _update
from jax_labor.steps.gan_state import lazy_adam

pytestmark = pytest.mark.usefixtures("quick_compilation")


def reals(devices, seed=0):
    """Eight images, each of another width, over some devices."""
    images = np.random.default_rng(seed).normal(0, 0.5, (8, 8, 12, 3)).astype(np.float32)
    masks = np.zeros((8, 8, 12, 1), np.float32)
    for width, mask in enumerate(masks, 3):
        mask[:, :width] = 1
    batch = {"image": images, "mask": masks}
    return {name: x.reshape(devices, -1, *x.shape[1:]) for name, x in batch.items()}


@pytest.fixture(scope="module")
def trained():
    """States and metrics after two iterations with every phase, on one device and on four.

    Returns the first state, those found, and the phases on one device.
    """
    config = small_config()
    config.loss.path_every = config.loss.r1_every = config.augment.every = 1
    config.augment.p = config.loss.path_decay = 0.5
    # Adam would turn the least difference of a small gradient into a whole step.
    gan = dataclasses.replace(
        gan_assembly.build_gan(config),
        generator_tx=optax.sgd(0.01),
        discriminator_tx=optax.sgd(0.01),
    )
    first = gan_assembly.first_state(config, gan)
    found = {}
    for devices in (4, 1):
        mapped = {
            name: map_step(phase, devices) for name, phase in steps.make_phases(gan, config).items()
        }
        state, metrics = place(first, devices), {}
        for step in range(2):
            batch = reals(devices, step)
            for name in steps.phases_of(step, config.loss):
                state, more = mapped[name](state, batch)
                metrics |= more
        found[devices] = jax.device_get((state, metrics))
    return place(first, 1), found, mapped


def test_four_devices_equal_one(trained):
    _, found, _ = trained
    (one, metrics1), (four, metrics4) = found[1], found[4]
    assert metrics1.keys() == metrics4.keys()
    for name, value in metrics1.items():
        np.testing.assert_allclose(metrics4[name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(four), strict=True):
        np.testing.assert_allclose(y, x, rtol=1e-3, atol=1e-5)


def test_an_iteration_changes_what_it_should(trained):
    first, found, _ = trained
    state, metrics = found[1]
    assert state.step == 2
    assert all(np.isfinite(value) for value in metrics.values())
    for name in ("generator", "discriminator", "average"):
        a, b = (jax.tree.leaves(getattr(s, name)) for s in (first, state))
        assert any(np.abs(x - y).max() > 1e-5 for x, y in zip(a, b, strict=True)), name
    assert np.abs(state.stats["w_avg"]).max() > 0
    assert state.path_length > 0
    noise = [s.stats["synthesis"]["b8"]["conv1"]["noise_const"] for s in (first, state)]
    np.testing.assert_array_equal(*noise)


def test_the_path_s_gradient_is_its_penalty_s_slope(trained):
    """The moving mean is a part of the penalty, and has a slope of its own."""
    first, _, phases = trained
    state = phases["path"](first, reals(1))[0]
    step = jax.tree.map(lambda new, old: new - old, state.generator, first.generator)
    length = float(np.sqrt(sum(np.square(u).sum() for u in jax.tree.leaves(step))))

    def penalty(by):
        moved = jax.tree.map(lambda x, u: x + by / length * u, first.generator, step)
        return phases["path"](first.replace(generator=moved), reals(1))[1]["path_penalty"]

    slope = (penalty(1e-3) - penalty(-1e-3)) / 2e-3
    np.testing.assert_allclose(slope, -length / (0.01 * 2), rtol=1e-2)  # rate, weight


def assert_equal(a, b):
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, a, b)))


def test_what_is_beside_an_image_counts_for_nothing(trained):
    first, _, phases = trained
    batch = reals(1)
    other = batch | {"image": np.where(batch["mask"] > 0, batch["image"], 9)}
    for name in ("discriminator", "r1"):
        assert_equal(*(jax.device_get(phases[name](first, b)) for b in (batch, other)))
    nothing = batch | {"mask": 0 * batch["mask"]}
    assert_equal(phases["generator"](first, nothing)[0].generator, first.generator)
    assert phases["r1"](first, nothing)[1]["r1_penalty"] == 0


def test_phases_run_when_due():
    loss = small_config().loss
    loss.path_every, loss.r1_every = 4, 16
    plans = [steps.phases_of(step, loss) for step in range(16)]
    assert plans[0] == ["generator", "discriminator", "finish"]
    assert plans[15] == ["generator", "path", "discriminator", "r1", "finish"]
    assert [i for i, plan in enumerate(plans) if "path" in plan] == [3, 7, 11, 15]
    loss.r1_gamma = loss.path_weight = 0.0
    assert steps.phases_of(15, loss) == plans[0]


def test_the_average_has_its_half_life():
    config = small_config(**{"average.kimg": 0.032, "average.ramp": 0.0})
    phase = steps.make_phases(None, config)["finish"]
    state = gan_assembly.GanState(
        jnp.asarray(10),
        {"w": jnp.zeros(2)},
        {"w": jnp.ones(2)},
        *([{}] * 4),
        path_length=0.0,
        augment_p=jnp.zeros(()),
        signs=jnp.zeros(2),
    )
    for _ in range(4):
        state, _ = phase(state, None)
    np.testing.assert_allclose(state.average["w"], 0.5, rtol=1e-6)  # after 32 images
    # With a ramp of .05, the half-life is 5 % of the images seen: 4 of 80.
    config.average.ramp = 0.05
    state = state.replace(step=jnp.asarray(10), average={"w": jnp.ones(2)})
    state, _ = steps.make_phases(None, config)["finish"](state, None)
    np.testing.assert_allclose(state.average["w"], 0.25, rtol=1e-5)
    # The first average is the generator itself.
    state = state.replace(step=jnp.asarray(0), average={"w": jnp.ones(2)})
    state, _ = steps.make_phases(None, config)["finish"](state, None)
    np.testing.assert_array_equal(state.average["w"], 0)


@pytest.mark.parametrize(
    ("signs", "p", "expected"),
    [((8, 10), 0.5, 0.564), ((0, 10), 0.5, 0.436), ((0, 10), 0.01, 0.0), ((8, 10), 1.2, 1.264)],
)
def test_p_follows_the_signs(signs, p, expected):
    config = small_config(**{"augment.kimg": 0.5, "augment.every": 4})
    state = gan_assembly.GanState(
        *([None] * 8), augment_p=jnp.asarray(p), signs=jnp.asarray(signs, jnp.float32)
    )
    for step, moves in ((2, False), (3, True)):
        moved = adjust(state.replace(step=jnp.asarray(step)), config.augment, 8)
        np.testing.assert_allclose(moved.augment_p, expected if moves else p, atol=1e-6)
        np.testing.assert_array_equal(moved.signs, np.zeros(2) if moves else state.signs)
    config.augment.target = 0.0
    fixed = adjust(state.replace(step=jnp.asarray(3)), config.augment, 8)
    np.testing.assert_allclose(fixed.augment_p, p)


def test_losses_are_the_logarithms_of_the_probability():
    logits = jnp.array([-3.0, 0.0, 2.5])
    probability = 1 / (1 + np.exp(-np.asarray(logits)))
    np.testing.assert_allclose(gan_losses.wants_real(logits), -np.log(probability), rtol=1e-5)
    np.testing.assert_allclose(gan_losses.wants_fake(logits), -np.log(1 - probability), rtol=1e-5)


def test_r1_is_the_squared_gradient(rng):
    weight, images = rng.normal(size=(2, 3, 4, 3)), rng.normal(size=(2, 3, 4, 3))
    penalty = gan_losses.r1_penalty(lambda x: (jnp.square(x) * weight).sum((1, 2, 3)), images)
    expected = np.square(2 * images * weight).sum((1, 2, 3))
    np.testing.assert_allclose(penalty, expected, rtol=1e-5)


def test_path_lengths_are_those_of_the_jacobian(rng):
    matrix = rng.normal(size=(3, 5, 4, 6, 3)).astype(np.float32)  # layers, styles, image
    styles = rng.normal(size=(2, 3, 5)).astype(np.float32)
    noise = rng.normal(size=(2, 4, 6, 3)).astype(np.float32)
    found = gan_losses.path_lengths(
        lambda ws: jnp.einsum("bnd,ndhwc->bhwc", ws, matrix, precision="highest"), styles, noise
    )
    for image, length in zip(noise, found, strict=True):
        product = (matrix * image / np.sqrt(24)).sum((2, 3, 4))  # J^T y, [layers, styles]
        np.testing.assert_allclose(length, np.sqrt((product**2).sum(1).mean()), rtol=1e-4)


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_groups_are_the_same_on_any_number_of_devices(devices, rng):
    images = rng.normal(size=(8, 2, 2, 1)).astype(np.float32)
    parts = images.reshape(devices, -1, 2, 2, 1)
    found = [minibatch_deviation(_interleaved(part, 2), 2)[..., -1].sum() for part in parts]
    pairs = images.reshape(4, 2, 2, 2, 1)
    expected = 8 * sum(np.sqrt(pair.var(0) + 1e-8).mean() for pair in pairs)
    np.testing.assert_allclose(sum(found), expected, rtol=1e-5)


def test_gradients_are_made_finite():
    params = {"a": jnp.zeros(4)}
    grads = {"a": jnp.array([np.nan, np.inf, -np.inf, 2.0])}
    tx = optax.sgd(1.0)
    step = jax.pmap(lambda g: _update(tx, g, tx.init(params), params)[0], parallel.AXIS)
    found = step(jax.tree.map(lambda x: x[None], grads))["a"][0]
    np.testing.assert_array_equal(found, [0, -1e5, 1e5, -2])


def test_adam_is_corrected_for_lazy_regularisation():
    """Against the rule written out: rate and both memories to the power k / (k + 1)."""
    settings = small_config().generator_optimizer
    settings.lr, settings.b1, settings.b2 = 0.01, 0.5, 0.9
    tx = lazy_adam(settings, 4)
    value, state = jnp.ones(()), tx.init(jnp.ones(()))
    first = second = 0.0
    b1, b2, expected = 0.5**0.8, 0.9**0.8, 1.0
    for step, grad in enumerate((0.3, -2.0, 0.5), 1):
        updates, state = tx.update(jnp.asarray(grad), state)
        value = optax.apply_updates(value, updates)
        first, second = b1 * first + (1 - b1) * grad, b2 * second + (1 - b2) * grad**2
        ratio = first / (1 - b1**step) / (np.sqrt(second / (1 - b2**step)) + 1e-8)
        expected -= 0.008 * ratio
    np.testing.assert_allclose(value, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data.train_batch": 6}, "cannot be shared equally"),
        ({"network.mbstd_group": 4}, "mbstd_group=4 does not divide the 2"),
        ({"network.mbstd_group": 0}, "mbstd_group=0 does not divide"),
        ({"network.mbstd_group": None}, "mbstd_group=None does not divide"),
        ({"augment.kinds": "bgx"}, "augment.kinds"),
        ({"loss.r1_every": 0}, "loss.r1_every"),
        ({"augment.kimg": 0.0}, "augment.kimg is 0.0: use more than 0"),
        ({"augment.p": -0.1}, "augment.p is -0.1: use 0 to 1"),
        ({"augment.target": 5.0}, "augment.target is 5.0: use 0 to 1"),
        ({"loss.path_decay": 2.0}, "loss.path_decay is 2.0: use 0 to 1"),
        ({"loss.mixing": float("nan")}, "loss.mixing is nan: use 0 to 1"),
        ({"loss.r1_gamma": -1.0}, "loss.r1_gamma is -1.0: use 0 or more"),
        ({"loss.path_weight": -1.0}, "loss.path_weight is -1.0: use 0 or more"),
        ({"generator_optimizer.lr": 0.0}, "generator_optimizer.lr is 0.0: use more than 0"),
        ({"discriminator_optimizer.lr": float("nan")}, "discriminator_optimizer.lr is nan"),
        ({"generator_optimizer.b1": 1.0}, "generator_optimizer.b1 is 1.0: use 0 to below 1"),
        ({"discriminator_optimizer.b2": -0.5}, "discriminator_optimizer.b2 is -0.5: use 0"),
        ({"train.kimg": float("inf")}, "train.kimg is inf: use more than 0"),
        ({"train.kimg": float("nan")}, "train.kimg is nan: use more than 0"),
        ({"train.psi": float("nan")}, "train.psi is nan: use 0 or more"),
        ({"network.z_dim": 0}, "network.z_dim is 0: use 1 or more"),
        ({"network.w_dim": -2}, "network.w_dim is -2: use 1 or more"),
        ({"network.mapping_layers": 0}, "network.mapping_layers is 0: use 1 or more"),
        ({"network.low_precision_blocks": -1}, "network.low_precision_blocks is -1: use 0"),
        ({"data.view.resize": "scale_crop"}, "data.view.resize=scale_crop leaves borders"),
        ({"average.kimg": -1.0}, "average.kimg"),
        ({"average.kimg": float("nan")}, "average.kimg"),
        ({"average.ramp": -0.1}, "average.ramp"),
        ({"network.conv_clamp": -1.0}, "network.conv_clamp"),
        ({"distance.images": -1}, "distance.images"),
        ({"data.train_batch": 4, "network.mbstd_group": 1}, "path-length"),
    ],
)
def test_settings_that_cannot_work_are_named(changes, message):
    with pytest.raises(UserError, match=message):
        gan_assembly.check(small_config(**changes))
