"""Starting a model from a file, and the command that makes such files."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.config import write_config
from jax_labor.errors import UserError
from jax_labor.models import build_model
from jax_labor.models.pretrained import (
    export_weights,
    initialise,
    load_variables,
    read_checkpoint,
    save_checkpoint,
    save_variables,
)

# How ml_collections loads a card.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

MODEL = {"backbone": "resnettiny", "width": 4, "style": "torchvision", "bn_eps": 0.0}
IMAGE = np.zeros((1, 32, 32, 3), np.float32)
# The tiny network's own default dilations are three.
FOUR = {"dilations": (6, 12, 18, 24)}
COMMAND = Path(__file__).resolve().parents[1] / "launch" / "weights.py"


def variables(seed, classes=3, **changes):
    """Random variables of the tiny network; a seed of their own for every leaf."""
    model = build_model(MODEL | FOUR | changes, classes)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), IMAGE, False))
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda s: rng.normal(size=s.shape).astype(np.float32), shapes)


def equal(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


@pytest.fixture
def checkpoint(tmp_path):
    """A RIPU checkpoint of the tiny network as .npz, and the variables it was made of."""
    source = variables(1)
    save_checkpoint(tmp_path / "ripu.npz", export_weights(source, "ripu"))
    return tmp_path / "ripu.npz", source


def test_initialise_detects_the_layout(checkpoint):
    path, source = checkpoint
    equal(initialise(variables(2), path), source)
    equal(initialise(variables(2), f"ripu:{path}"), source)
    with pytest.raises(UserError, match=f"{path}: .*do not match layout iast"):
        initialise(variables(2), f"iast:{path}")


def test_initialise_checks_the_dialect_if_it_is_told(checkpoint):
    path, _ = checkpoint
    initialise(variables(2), path, MODEL | FOUR)
    with pytest.raises(UserError, match=f"{path}: .*model.bn_eps must be 0.0"):
        initialise(variables(2), path, MODEL | FOUR | {"bn_eps": 1e-5})


def test_ripu_s_counts_of_batches_tell_its_epsilon(tmp_path, checkpoint):
    path, source = checkpoint
    tensors = export_weights(source, "ripu")
    means = [key for key in tensors if key.endswith("running_mean")]
    counts = {key.replace("running_mean", "num_batches_tracked"): np.array(7) for key in means}
    save_checkpoint(tmp_path / "counted.npz", tensors | counts)
    usual = MODEL | FOUR | {"bn_eps": 1e-5}
    equal(initialise(variables(2), tmp_path / "counted.npz", usual), source)
    with pytest.raises(UserError, match="model.bn_eps must be 1e-05"):
        initialise(variables(2), tmp_path / "counted.npz", MODEL | FOUR)
    with pytest.raises(UserError, match="with counters .*_batchnorm"):
        initialise(variables(2), f"ripu:{tmp_path / 'counted.npz'}", MODEL | FOUR)


@pytest.mark.parametrize("made_for", ["none", "shared", "own"])
@pytest.mark.parametrize("used_with", ["none", "shared", "own"])
def test_our_file_serves_every_kind_of_selector(tmp_path, checkpoint, made_for, used_with):
    path, source = checkpoint
    filled, report = load_variables(path, variables(2, selector=made_for))
    save_variables(tmp_path / "ours.npz", filled, report)
    fresh = variables(3, selector=used_with)
    found, again = load_variables(tmp_path / "ours.npz", fresh)
    equal(found["params"]["backbone"], source["params"]["backbone"])
    equal(found["params"]["head"], source["params"]["head"])
    if used_with != "none":
        for name in ("classifier1", "classifier2"):
            equal(found["params"]["selector"][name], fresh["params"]["selector"][name])
    if used_with == "own":
        for collection in ("params", "batch_stats"):
            own = found[collection]["selector"]["backbone"]
            equal(own, source[collection]["backbone"])
    assert again.layout == "ripu"


def test_our_file_must_fit_too(tmp_path, checkpoint):
    filled, report = load_variables(checkpoint[0], variables(2))
    path = tmp_path / "ours.npz"
    save_variables(path, filled, report)
    with pytest.raises(
        UserError, match=r"(?s)8 variables.*shape: params/head/branch0/bias is \(3,\)"
    ):
        initialise(variables(2, classes=4), path)
    with pytest.raises(UserError, match="unexpected: params/head/branch2/bias"):
        initialise(variables(2, dilations=(6, 12)), path)
    arrays = dict(np.load(path))
    del arrays["batch_stats/backbone/bn1/mean"]
    save_checkpoint(path, arrays)
    with pytest.raises(UserError, match="1 variables .*\n  missing: batch_stats/backbone/bn1/mean"):
        initialise(variables(2), path)


def test_a_backbone_leaves_the_heads_as_they_were_drawn(tmp_path):
    source, fresh = variables(1), variables(2, aux=True)
    tensors = export_weights(source, "torchvision") | {"fc.weight": np.zeros((2, 3), np.float32)}
    save_checkpoint(tmp_path / "resnet.npz", tensors)
    found = initialise(fresh, tmp_path / "resnet.npz")
    equal(found["params"]["backbone"], source["params"]["backbone"])
    equal(found["batch_stats"]["backbone"], source["batch_stats"]["backbone"])
    equal(found["params"]["head"], fresh["params"]["head"])
    equal(found["params"]["aux"], fresh["params"]["aux"])


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "card.py"
    model = json.dumps(MODEL).replace("{", "dict(**{").replace("}", "})")
    path.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config(preset=''):\n"
        f"    model = {model}\n"
        "    data = dict(classes='camvid11', normalize='imagenet')\n"
        "    model.update(dilations=(6, 12, 18, 24), selector=preset or 'none')\n"
        "    return ConfigDict(dict(model=model, data=data))\n"
    )
    return path


def test_the_command_imports_and_exports(tmp_path, card, weights_command):
    source = variables(1, classes=11)
    tensors = export_weights(source, "ripu")
    save_checkpoint(tmp_path / "a.npz", tensors)
    out = tmp_path / "ours.npz"
    flag = f"--config={card}:own"
    status, printed, error = weights_command("import", tmp_path / "a.npz", flag, f"--out={out}")
    assert (status, error) == (0, "")
    assert "layout ripu" in printed
    assert f"--config.weights={out}" in printed
    status, printed, _ = weights_command("inspect", out)
    assert status == 0 and "__about__" not in printed
    assert f"weights in layout ripu: set --config.weights={out}" in printed.splitlines()[-1]
    equal(initialise(variables(2, classes=11), out), source)

    back = tmp_path / "back.npz"
    assert weights_command("export", out, "--layout=ripu", f"--out={back}")[0] == 0
    found = read_checkpoint(back)
    assert found.keys() == tensors.keys()
    assert all((found[key] == value).all() for key, value in tensors.items())

    status, printed, _ = weights_command("inspect", back)
    assert status == 0
    assert "feature_extractor.backbone.conv1.weight" in printed
    assert "layout ripu: RIPU" in printed


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["inspect", "none.pth"], "none.pth: no such file"),
        (["import", "none.npz", "--out=o.npz"], "none.npz: no such file"),
        (["import", "{file}", "--out=o.npz"], "give --config"),
        (["import", "{ours}", "--out=o.npz"], "weights in layout ripu, not a StyleGAN2 network"),
        (["import", "none.npz", "--config=none.py", "--out=o.npz"], "none.py"),
        (["import", "none.npz", "--config={generator}", "--out=o.npz"], "card of a segmenter"),
        (["import", "none.npz", "--config={card}", "--out=o.npz"], "none.npz: no such file"),
        (["import", "none.npz", "--config={card}", "--config.model.widht=3", "--out=o"], "width"),
        (["import", "none.npz", "--config={card}", "--conf", "--out=o.npz"], "conf"),
        (["export", "none.npz", "--layout=rip", "--out=o.pth"], "Did you mean 'ripu'"),
        (["export", "none.npz", "--layout=ripu", "--out=o.pth"], "none.npz: no such file"),
        (["export", "none.npz", "--layout=ripu", "--out=o.pth", "--x"], "what is --x"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(card, checkpoint, weights_command, arguments, named):
    generator = Path(__file__).resolve().parents[1] / "configs" / "stylegan2.py"
    places = {"card": card, "file": checkpoint[0], "generator": generator}
    places["ours"] = checkpoint[0].with_name("ours.npz")
    save_variables(places["ours"], *load_variables(checkpoint[0], variables(2)))
    arguments = [argument.format(**places) for argument in arguments]
    status, _, error = weights_command(*arguments)
    assert status == 2
    assert error.startswith("error: ")
    assert named in error
    assert "Traceback" not in error


def test_export_refuses_another_dialect(tmp_path, checkpoint, weights_command):
    filled, report = load_variables(checkpoint[0], variables(2))
    save_variables(tmp_path / "ours.npz", filled, report)
    status, _, error = weights_command(
        "export", tmp_path / "ours.npz", "--layout=iast", f"--out={tmp_path}/o.npz"
    )
    assert status == 2
    assert "Export them in layout ripu" in error
    assert not (tmp_path / "o.npz").exists()
    status, _, error = weights_command("export", checkpoint[0], "--layout=ripu", "--out=o.npz")
    assert status == 2
    assert "`import` it first" in error


def test_the_command_exports_a_run(tmp_path, weights_command):
    workdir, out = tmp_path / "run", tmp_path / "out.npz"
    workdir.mkdir()
    write_config(
        workdir, {"model": MODEL | FOUR, "data": {"classes": "camvid11", "normalize": "imagenet"}}
    )
    status, _, error = weights_command("export", workdir, "--layout=ripu", f"--out={out}")
    assert (status, "no checkpoint yet" in error) == (2, True)

    for step in (3, 5):
        trained = variables(step, selector="shared")
        checkpoints = Checkpoints(workdir)
        checkpoints.save(step, {**trained, "opt_state": {"momentum": np.ones(2)}}, {})
        checkpoints.close()
    status, printed, _ = weights_command("export", workdir, "--layout=ripu", f"--out={out}")
    assert (status, "step 5" in printed) == (0, True)
    found, expected = read_checkpoint(out), export_weights(trained, "ripu")
    assert found.keys() == expected.keys()
    assert all((found[key] == value).all() for key, value in expected.items())
    assert not any("selector" in key for key in found)

    status, _, error = weights_command("export", workdir, "--layout=iast", f"--out={out}")
    assert (status, "model.bn_eps must be 1e-05" in error) == (2, True)
    status, _, error = weights_command("export", tmp_path, "--layout=iast", f"--out={out}")
    assert (status, "config.json: no such file" in error) == (2, True)
