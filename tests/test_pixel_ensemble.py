"""Pixel classifiers: against torch and the published outputs, sampling, training, files."""

import functools
import json
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from model_variables import random_variables

from jax_labor.errors import UserError
from jax_labor.models.pixel_ensemble import PixelClassifier, fold, hidden_sizes, later_layers
from jax_labor.models.pretrained.checkpoints import save_checkpoint
from jax_labor.models.pretrained.pixel_classifiers import (
    read_pixel_classifiers,
    write_pixel_classifiers,
)
from jax_labor.steps.pixel_ensemble import (
    create_ensemble,
    draw_pixels,
    find_labelled,
    make_training,
)

pytestmark = pytest.mark.usefixtures("quick_compilation")
RNG = np.random.default_rng(0)
drawn = jax.jit(draw_pixels, static_argnums=(2, 3))


def torch_classifier(channels, widths, classes):
    """The published layers, in torch."""
    torch.manual_seed(0)
    nn, (a, b) = torch.nn, widths
    layers = [nn.Linear(channels, a), nn.ReLU(), nn.BatchNorm1d(a), nn.Linear(a, b), nn.ReLU()]
    return nn.ModuleDict(
        {"layers": nn.Sequential(*layers, nn.BatchNorm1d(b), nn.Linear(b, classes))}
    )


def recipe(key, shape, norms):
    """The value that the golden vectors' recipe gives one tensor."""
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(size=shape)
    module, _, leaf = key.rpartition(".")
    if leaf == "num_batches_tracked":
        return np.zeros((), np.int64)
    if leaf == "running_var":
        return (1 + 0.2 * np.abs(noise)).astype(np.float32)
    if leaf == "weight" and module in norms:
        return (1 + 0.1 * noise).astype(np.float32)
    if leaf == "weight":
        return (noise * np.sqrt(2 / shape[1])).astype(np.float32)
    return ((0.1 if module in norms else 0.05) * noise).astype(np.float32)


@pytest.mark.parametrize("classes", [20, 34])
def test_published_outputs(golden, tmp_path, classes):
    keys = json.loads((golden / "datasetgan_pixel_classifier_keys.json").read_text())
    shapes = keys[f"numpy_class{classes}_dim96"]
    norms = {key.rpartition(".")[0] for key in shapes if key.endswith("running_mean")}
    tensors = {key: recipe(key, shape, norms) for key, shape in shapes.items()}
    wrapped = {f"model_state_dict.module.{key}": value for key, value in tensors.items()}
    save_checkpoint(tmp_path / "model_0.pth", wrapped, ("model_state_dict",))
    model, variables = read_pixel_classifiers(tmp_path)
    assert (model.num_classes, model.hidden) == (classes, hidden_sizes(classes))
    stored = np.load(golden / "datasetgan_pixel_classifier.npz")
    own = jax.tree.map(lambda leaf: leaf[0], variables)
    expected = stored[f"logits_{classes}"]
    np.testing.assert_allclose(model.apply(own, stored["x"], False), expected, atol=2e-5)
    ensemble = fold(variables)
    hidden = jnp.dot(stored["x"], ensemble.kernel[0], precision="highest")
    bias, layers, head = jax.tree.map(lambda leaf: leaf[0], ensemble[1:])
    folded = later_layers(hidden, bias, layers, head)
    np.testing.assert_allclose(folded.T, expected, atol=2e-5)


def test_sizes_follow_the_number_of_classes_unless_given():
    assert (hidden_sizes(31), hidden_sizes(32)) == ((128, 32), (256, 128))
    for model, width in ((PixelClassifier(31), 128), (PixelClassifier(40, (8, 4)), 8)):
        variables = random_variables(model, jnp.zeros((1, 5)), False)
        assert variables["params"]["linear0"]["kernel"].shape == (5, width)


def test_initial_values():
    state = create_ensemble(PixelClassifier(40), optax.sgd(1), jax.random.key(0), 300, range(2))
    for name in ("linear0", "linear1", "linear2"):
        layer = jax.device_get(state.params[name])
        assert abs(float(layer["kernel"].std()) - 0.02) < 1e-3
        assert not layer["bias"].any()


def test_a_step_in_training_is_that_of_torch(tmp_path):
    """Loss, gradients and running statistics of one batch, then Adam's step."""
    theirs = torch_classifier(7, (6, 5), 4)
    torch.save(
        {"model_state_dict": {f"module.{k}": v for k, v in theirs.state_dict().items()}},
        tmp_path / "model_0.pth",
    )
    model, stacked = read_pixel_classifiers(tmp_path)
    # A large epsilon: else the last bit of a gradient near 0 decides about a whole step.
    tx = optax.adam(1e-3, eps=1e-3)
    x = RNG.standard_normal((3, 4, 6, 7)).astype(np.float32)
    labels = RNG.integers(0, 4, (3, 4, 6))
    state = create_ensemble(model, tx, jax.random.key(0), 7, [2])
    state = state.replace(params=stacked["params"], batch_stats=stacked["batch_stats"])
    key, pixels = jax.random.key(5), find_labelled(labels)
    train = jax.jit(make_training(model, tx, (4, 6), steps=3, batch=16))
    state, losses = train(state, (x,), pixels, key)

    optimizer = torch.optim.Adam(theirs.parameters(), 1e-3, eps=1e-3)
    theirs.train()
    for step in range(3):
        own = jax.random.split(jax.random.fold_in(jax.random.fold_in(key, step), 2))[0]
        place, label = drawn(pixels, own, 16, True)
        logits = theirs["layers"](torch.from_numpy(x[tuple(np.asarray(place).T)]))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(np.array(label)).long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        np.testing.assert_allclose(losses[step, 0], loss.item(), rtol=1e-5)
    write_pixel_classifiers(
        tmp_path / "out", {"params": state.params, "batch_stats": state.batch_stats}
    )
    content = torch.load(tmp_path / "out" / "model_0.pth", weights_only=True)
    for key, value in theirs.state_dict().items():
        if not key.endswith("num_batches_tracked"):
            ours = content["model_state_dict"][f"module.{key}"]
            np.testing.assert_allclose(ours, value, atol=2e-5, err_msg=key)


def test_void_is_never_drawn_and_all_else_is():
    labels = RNG.integers(0, 3, (2, 5, 7))
    labels[RNG.random(labels.shape) < 0.4] = 255
    pixels = find_labelled(labels, top=4)
    place, label = drawn(pixels, jax.random.key(0), 3000, False)
    place, label = np.asarray(place), np.asarray(label)
    assert (label != 255).all()
    np.testing.assert_array_equal(labels[place[:, 0], place[:, 1] - 4, place[:, 2]], label)
    assert len(np.unique(place, axis=0)) == (labels != 255).sum()


def test_one_pixel_of_each_class_that_occurs():
    labels = np.full((2, 40, 40), 6)
    labels[0, 3, 3], labels[1, 7, 8], labels[0, :9, 20:] = 2, 9, 255
    pixels = find_labelled(labels)
    for seed in range(5):
        _, label = drawn(pixels, jax.random.key(seed), 8, True)
        assert set(np.asarray(label)) == {2, 6, 9}
        np.testing.assert_array_equal(label[:3], [2, 6, 9])
    with pytest.raises(UserError, match="2 pixels cannot hold one of each of 3"):
        draw_pixels(pixels, jax.random.key(0), 2, True)


def test_nothing_labelled():
    with pytest.raises(UserError, match="no labelled pixel"):
        find_labelled(np.full((1, 3, 3), 255))


@pytest.fixture(scope="module")
def small():
    """A model with dropout, its data, and a function that trains chosen members."""
    shapes, size = [(4, 6, 5), (8, 12, 3), (16, 24, 2)], (16, 24)
    maps = tuple(RNG.standard_normal((3, *s)).astype(np.float16) for s in shapes)
    labels = (maps[-1] > 0) @ np.array([1, 2])
    model, tx = PixelClassifier(4, (8, 6), (0.3, 0.1)), optax.adam(1e-2)
    pixels = find_labelled(labels)

    @functools.cache
    def compiled(steps):
        return jax.jit(make_training(model, tx, size, steps, 32))

    def train(members, cuts, seed=0):
        state = create_ensemble(model, tx, jax.random.key(seed), 10, members)
        losses = []
        for steps in cuts:
            state, loss = compiled(steps)(state, maps, pixels, jax.random.key(seed + 1))
            losses.append(loss)
        return state, np.concatenate(losses)

    return train


def test_the_ensemble_learns(small):
    _, losses = small(range(3), 15 * [4])
    assert (losses[-10:].mean(0) < 0.7 * losses[:3].mean(0)).all()


def test_members_together_equal_members_alone(small):
    together, losses = small(range(3), [4])
    alone, loss = small([2], [4])
    np.testing.assert_allclose(losses[:, 2], loss[:, 0], rtol=1e-5)
    for a, b in zip(jax.tree.leaves(together.params), jax.tree.leaves(alone.params), strict=True):
        np.testing.assert_allclose(a[2], b[0], atol=1e-5)
    assert len(np.unique(losses[0])) == 3


def test_steps_cut_into_calls_are_the_same_steps(small):
    whole, losses = small(range(3), [4])
    parts, again = small(range(3), [2, 2])
    np.testing.assert_array_equal(losses, again)
    jax.tree.map(np.testing.assert_array_equal, whole, parts)
    assert int(whole.step) == 4


def saved_ensemble(folder, members=3, model=None):
    model = model or PixelClassifier(4, (6, 5))
    each = [random_variables(model, jnp.zeros((1, 7)), False, seed=i) for i in range(members)]
    variables = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
    return variables, write_pixel_classifiers(folder, variables)


def test_files_come_back_bit_for_bit_and_load_in_torch(tmp_path):
    variables, paths = saved_ensemble(tmp_path)
    assert [path.name for path in paths] == ["model_0.pth", "model_1.pth", "model_2.pth"]
    model, back = read_pixel_classifiers(tmp_path)
    assert (model.num_classes, model.hidden) == (4, (6, 5))
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), variables, back)
    theirs = torch.nn.DataParallel(torch_classifier(7, (6, 5), 4))
    theirs.load_state_dict(torch.load(paths[1], weights_only=True)["model_state_dict"])
    x = RNG.standard_normal((9, 7)).astype(np.float32)
    own = jax.tree.map(lambda leaf: leaf[1], variables)
    with torch.no_grad():
        y = theirs.eval().module["layers"](torch.from_numpy(x))
    np.testing.assert_allclose(model.apply(own, x, False), y, atol=1e-5)


def refused(folder):
    with pytest.raises(UserError) as error:
        read_pixel_classifiers(folder)
    return str(error.value)


def test_folders_that_are_no_ensemble(tmp_path):
    assert "holds no model_<i>.pth" in refused(tmp_path / "nowhere")
    _, paths = saved_ensemble(tmp_path)
    saved_ensemble(tmp_path / "other", 1, PixelClassifier(9, (6, 5)))
    whole = paths[1].read_bytes()
    paths[1].unlink()
    assert "model_1.pth: missing" in refused(tmp_path)
    paths[1].write_bytes((tmp_path / "other" / "model_0.pth").read_bytes())
    message = refused(tmp_path)
    assert "model_1.pth: 7 channels, hidden (6, 5), 9 classes" in message
    assert "model_0.pth has 7 channels, hidden (6, 5), 4 classes" in message
    paths[1].write_bytes(whole[:200])
    assert "model_1.pth: damaged" in refused(tmp_path)


def test_keys_too_many_or_too_few(tmp_path):
    _, (path,) = saved_ensemble(tmp_path, 1)
    state = torch.load(path, weights_only=True)["model_state_dict"]
    for change, named in (
        ({"module.layers.5.running_mean": None}, "missing: layers.5.running_mean"),
        ({"module.layers.9.weight": torch.zeros(2)}, "unexpected: layers.9.weight"),
        ({"module.layers.3.weight": None}, "has no matrix layers.3.weight"),
        ({"module.layers.3.bias": torch.zeros(2)}, "shape: layers.3.bias"),
    ):
        changed = {key: value for key, value in (state | change).items() if value is not None}
        torch.save({"model_state_dict": changed}, path)
        message = refused(tmp_path)
        assert named in message
        assert "model_0.pth" in message
