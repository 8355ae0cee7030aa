"""A generator's training as a user starts it: what it leaves, stops, resumes, and mistakes."""

import json
import os
import shutil
import signal

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
from PIL import Image
from small_factory import make_generator
from small_gan import config

from configs import stylegan2
from jax_labor.engine import startup
from jax_labor.engine.finite import NonFiniteLoss
from jax_labor.errors import UserError
from jax_labor.experiments import gan_session, run, shared_sizes
from jax_labor.experiments.gan_assembly import build_gan, check, iterations
from jax_labor.experiments.gan_samples import Sampler
from jax_labor.experiments.generator_file import (
    load_generator,
    open_generator,
    save_generator,
)
from jax_labor.experiments.run_session import Stopped
from jax_labor.files import read_json, write_json

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, data):
    workdir = tmp_path_factory.mktemp("runs") / "undisturbed"
    return workdir, run(config(data), str(workdir))


def arrays(workdir):
    """The last checkpoint by a bare Orbax restore."""
    step = max(int(p.name) for p in (workdir / "checkpoints").iterdir() if p.name.isdigit())
    with ocp.StandardCheckpointer() as reader:
        state = reader.restore((workdir / "checkpoints" / str(step) / "state").absolute())
    return step, state


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_a_run_leaves_what_it_promises(undisturbed):
    workdir, found = undisturbed
    assert found["steps"] == 9
    assert found["kimg"] == pytest.approx(0.072)
    assert set(found["swd"]) == {"8x12", "mean"}
    assert {"seconds", "images_per_second", "seed", "versions", "network"} <= set(found)
    assert json.loads((workdir / "results.json").read_text()) == found
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 9]
    assert {"r1_penalty", "path_length", "augment_p", "sign_real", "kimg"} <= set(lines[0])
    assert read(workdir / "pictures" / "interpolation.png").shape == (3 * 8, 8 * 12, 3)
    assert read(workdir / "pictures" / "samples.png").shape[1] > 300


def test_the_generator_restores_bare_and_by_name(undisturbed):
    workdir, _ = undisturbed
    generator, variables, step = load_generator(workdir)
    assert step == 9
    assert generator.pyramid.image_size == (8, 12)
    with ocp.StandardCheckpointer() as reader:
        bare = reader.restore((workdir / "generator" / "checkpoints" / "9" / "state").absolute())
    _, state = arrays(workdir)
    expected = {"params": state["average"], "stats": state["stats"]}
    for tree in (bare, variables):
        pairs = jax.tree.map(np.array_equal, tree, expected)
        assert all(jax.tree.leaves(pairs))
    images = Sampler(generator, 0, 2).images(variables, 3)
    assert images.shape == (3, 8, 12, 3)
    assert images.dtype == np.uint8
    # A sample depends on its number, not on the batch.
    np.testing.assert_array_equal(Sampler(generator, 0, 3).images(variables, 1)[0], images[0])
    assert len(np.unique(images, axis=0)) == 3


def test_stopped_and_resumed_is_undisturbed(undisturbed, data, tmp_path, monkeypatch):
    """A signal in the sixth iteration, between two checkpoints; bit for bit."""
    iterate = gan_session.GanSession._iterate

    def stop_in_the_sixth(self, step, batch):
        if step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return iterate(self, step, batch)

    monkeypatch.setattr(gan_session.GanSession, "_iterate", stop_in_the_sixth)
    with pytest.raises(Stopped, match="step 6"):
        run(config(data), str(tmp_path))
    assert not (tmp_path / "results.json").exists()
    monkeypatch.undo()
    found = run(config(data), str(tmp_path))
    (step, ours), (_, theirs) = arrays(tmp_path), arrays(undisturbed[0])
    assert step == 9
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, ours, theirs)))
    assert found["swd"] == undisturbed[1]["swd"]
    ours, theirs = ((w / "metrics.jsonl").read_text() for w in (tmp_path, undisturbed[0]))
    assert ours == theirs
    for name in ("samples", "interpolation"):
        pictures = [read(w / "pictures" / f"{name}.png") for w in (tmp_path, undisturbed[0])]
        np.testing.assert_array_equal(*pictures)


def test_a_runs_generator_becomes_one_file(undisturbed, tmp_path, weights_command):
    """One that is not square too, which no other code could load."""
    out = tmp_path / "generator.npz"
    status, printed, error = weights_command("import", undisturbed[0], f"--out={out}")
    assert (status, error) == (0, "")
    assert str(out) in printed
    assert open_generator(out).checksum == open_generator(undisturbed[0]).checksum


def test_a_loss_that_is_not_finite_stops(undisturbed, data, tmp_path, monkeypatch):
    iterate = gan_session.GanSession._iterate
    monkeypatch.setattr(
        gan_session.GanSession,
        "_iterate",
        lambda self, step, batch: iterate(self, step, {"image": batch["image"] * np.nan}),
    )
    with pytest.raises(NonFiniteLoss, match="last good checkpoint"):
        run(config(data), str(tmp_path))
    assert not (tmp_path / "results.json").exists()
    assert not (tmp_path / "generator").exists()


def test_other_settings_are_refused_but_a_longer_training_is_not(undisturbed, data):
    workdir, _ = undisturbed
    with pytest.raises(UserError, match="loss.r1_gamma"):
        gan_session.GanSession(config(data, **{"loss.r1_gamma": 3.0}), str(workdir))
    with gan_session.GanSession(config(data, **{"train.kimg": 0.08}), str(workdir)) as session:
        assert (session.step, session.steps) == (9, 10)
    facts = read_json(workdir / "data.json")
    assert facts["train"]["images"] == 10
    write_json(workdir / "data.json", {"train": facts["train"] | {"images": 20}})
    with pytest.raises(UserError, match="other data:\n- train.images: was 20, now 10"):
        gan_session.GanSession(config(data), str(workdir))
    write_json(workdir / "data.json", facts)


def test_an_image_too_small_for_its_crops_is_refused_before_any_step(data, tmp_path):
    crops = {"data.view.resize": "random_crop", "data.view.crop_height": (20, 24)}
    with pytest.raises(UserError, match="the 16 pixels that fit into .* of 16x24; lower it"):
        run(config(data, **crops), str(tmp_path))
    assert not (tmp_path / "config.json").exists()


def test_the_generator_of_a_training_that_has_not_ended(undisturbed, tmp_path):
    left_out = shutil.ignore_patterns("generator", "results.json")
    shutil.copytree(undisturbed[0], tmp_path / "run", ignore=left_out)
    opened = open_generator(tmp_path / "run")
    assert opened.checksum == open_generator(undisturbed[0]).checksum  # of its last step, as here
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(UserError, match="its training has no checkpoint"):
        load_generator(tmp_path / "run")


def test_a_training_that_goes_on_after_its_end(undisturbed, tmp_path):
    """Its checkpoints are of later steps than the generator at its end."""
    shutil.copytree(undisturbed[0], tmp_path / "run")
    generator, variables, step = load_generator(undisturbed[0])
    save_generator(tmp_path / "run", generator, jax.tree.map(np.zeros_like, variables), step - 1)
    found = load_generator(tmp_path / "run")
    assert found[2] == step
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, found[1], variables)))


def test_a_generator_replaces_one_of_any_step(tmp_path):
    def save(seed, step):
        opened = open_generator(make_generator(tmp_path / f"other{seed}", seed))
        save_generator(tmp_path / "run", opened.network, opened.variables, step)
        return opened.checksum

    for seed, step in enumerate((5, 5, 3)):
        checksum = save(seed, step)
        assert load_generator(tmp_path / "run")[2] == step
        assert open_generator(tmp_path / "run").checksum == checksum


def test_a_path_is_no_name_of_our_own(tmp_path, monkeypatch):
    make_generator(tmp_path / "cats")
    (tmp_path / "cats.npz").write_bytes(b"another one")
    assert open_generator(tmp_path / "cats").source == str(tmp_path / "cats")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="figures"):
        open_generator("./figures")
    assert open_generator("figures").source == "figures"


@pytest.mark.parametrize(
    "change", [{"resolution": "16"}, {"z_dim": "a"}, {"base": 3}, {"unknown": 1}]
)
def test_damaged_settings_of_a_generator(undisturbed, tmp_path, change):
    shutil.copytree(undisturbed[0] / "generator", tmp_path / "generator")
    path = tmp_path / "generator" / "network.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match="network.json: "):
        load_generator(tmp_path)


def test_no_generator_says_what_to_name(tmp_path):
    message = "holds no generator: name the --workdir of a run of configs/stylegan2.py"
    with pytest.raises(UserError, match=message):
        load_generator(tmp_path)
    (tmp_path / "config.json").write_text('{"experiment": "labor", "data": {}}')
    with pytest.raises(UserError, match=message):
        load_generator(tmp_path)


@pytest.mark.parametrize("preset", [*stylegan2.PRESETS, "auto,64", "stylegan2,512"])
def test_every_preset_describes_networks(preset):
    settings = stylegan2.get_config(preset)
    gan = build_gan(settings)
    named, _, size = preset.partition(",")
    if size:
        assert gan.generator.pyramid.image_size == (int(size), int(size))
    assert gan.generator.pyramid == gan.discriminator.pyramid
    assert settings.data.train_batch % settings.network.mbstd_group == 0
    assert iterations(settings) >= 100
    assert (settings.augment.target, settings.augment.every) == (0.6, 4)


def cards():
    """Every preset, and batches and groups of the user's own."""
    for preset in [*stylegan2.PRESETS, "auto,1024", "auto,4096", "stylegan2,512"]:
        yield stylegan2.get_config(preset)
    for batch, group in ((4, 1), (21, 3), (18, 3), (12, 4), (15, 5), (16, 16)):
        card = stylegan2.get_config("small")
        card.data.train_batch, card.network.mbstd_group = batch, group
        yield card


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 8, 16, 21])
def test_no_number_of_cores_refuses_a_card(cores, monkeypatch):
    counts = []
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores))
    monkeypatch.setattr(jax.config, "update", lambda _, count: counts.append(count))
    monkeypatch.setattr(jax, "device_count", lambda: counts[-1])
    for card in cards():
        startup.share_cores(*shared_sizes(card))
        check(card)
    assert (max(counts) > 1) == (cores > 1)


def test_the_official_table():
    """kimg, batch, mbstd, fmaps, lr, gamma, ema_kimg, mapping layers of the official code."""
    table = {
        "auto": (25000, 16, 4, 0.5, 0.0025, 0.8192, 5, 2),
        "stylegan2": (25000, 32, 4, 1, 0.002, 10, 10, 8),
        "paper256": (25000, 64, 8, 0.5, 0.0025, 1, 20, 8),
        "paper512": (25000, 64, 8, 1, 0.0025, 0.5, 20, 8),
        "paper1024": (25000, 32, 4, 1, 0.002, 2, 10, 8),
    }
    for preset, row in table.items():
        c = stylegan2.get_config(preset)
        found = (c.train.kimg, c.data.train_batch, c.network.mbstd_group)
        found += (c.network.channel_base / 32768, c.generator_optimizer.lr, c.loss.r1_gamma)
        found += (c.average.kimg, c.network.mapping_layers)
        assert found == pytest.approx(row), preset


@pytest.mark.parametrize(
    ("preset", "message"),
    [("pape256", "paper256"), ("paper256,64", "own resolution"), ("auto,big", "whole number")],
)
def test_wrong_presets_are_explained(preset, message):
    with pytest.raises(ValueError, match=message):
        stylegan2.get_config(preset)
