"""The README's recipe for a user's own images."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from small import SETTINGS

from configs import common
from jax_labor.classes import get_table
from jax_labor.data.streets import render
from jax_labor.errors import UserError
from jax_labor.experiments import restored, run
from jax_labor.experiments.phases import segmentation_phases
from jax_labor.experiments.segmenter_file import open_segmenter
from jax_labor.experiments.session import Session

pytestmark = pytest.mark.usefixtures("quick_compilation")


def make_folder(root, style, splits):
    for split, count in splits.items():
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for seed in range(count):
            image, label = render(seed, style, (32, 48))
            Image.fromarray(image).save(root / "images" / split / f"{style}{split}{seed}.jpg")
            Image.fromarray(label).save(root / "labels" / split / f"{style}{split}{seed}.png")
    names = get_table("camvid11").names
    (root / "classes.json").write_text(json.dumps({"classes": names}))


def own_card(data, tmp_path):
    make_folder(tmp_path / "mysource", "source", {"train": 6})
    make_folder(tmp_path / "mydata", "target", {"train": 4, "val": 4})
    c = common.base()
    common.small(c, (32, 48))
    c.data.root, c.data.classes, c.data.dir = str(tmp_path), "own", str(data)
    c.data.source = common.domain("image_folder", root="mysource", split="train")
    c.data.target = common.domain("image_folder", root="mydata", split="train")
    c.data.eval = common.domain("image_folder", root="mydata", split="val")
    small = {name: value for name, value in SETTINGS.items() if ".options." not in name}
    c.update_from_flattened_dict(small)
    return c


def test_a_card_for_own_images_and_a_copy_of_its_run_without_them(data, tmp_path):
    results = run(own_card(data, tmp_path), str(tmp_path / "run"))
    assert results["classes"] == list(get_table("camvid11").names)
    assert 0 < results["asked_share"] <= 0.022
    shutil.move(tmp_path / "run", tmp_path / "copy")
    for folder in ("mysource", "mydata"):
        shutil.rmtree(tmp_path / folder)
    # Other photos, whose classes file lists the same classes in another order.
    make_folder(tmp_path / "other/mydata", "target", {"val": 2})
    reverse = json.dumps({"classes": get_table("camvid11").names[::-1]})
    (tmp_path / "other/mydata/classes.json").write_text(reverse)
    config = restored.read_config(str(tmp_path / "copy"))
    config.data.root = str(tmp_path / "other")
    with pytest.raises(UserError, match="classes bicyclist, .*copy has sky, .* same order"):
        restored.evaluate(config, str(tmp_path / "copy"))
    segmenter = open_segmenter(str(tmp_path / "copy"))
    assert segmenter.table.names == get_table("camvid11").names
    assert segmenter.predict(np.zeros((20, 30, 3), np.uint8)).shape == (20, 30)


def test_without_labels_to_evaluate_against_there_are_pictures_and_no_figures(data, tmp_path):
    c = own_card(data, tmp_path)
    shutil.rmtree(tmp_path / "mydata/labels/val")
    c.train.eval_every = 3
    results = run(c, str(tmp_path / "run"))
    assert results["miou"] is None
    assert set(results["iou_by_class"].values()) == {None}
    assert (tmp_path / "run/pictures/predictions.png").exists()
    assert "miou" not in (tmp_path / "run/metrics.jsonl").read_text()


def test_a_source_without_labels_is_refused(data, tmp_path):
    c = own_card(data, tmp_path)
    shutil.rmtree(tmp_path / "mysource/labels")
    with pytest.raises(UserError, match=r"config.data.source .* has no labels"):
        run(c, str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("role", "folder", "names"),
    [("source", "mysource/labels/train", "*"), ("eval", "mydata/labels/val", "*[01]")],
)
def test_labels_of_void_alone_are_refused_before_the_training(role, folder, names, data, tmp_path):
    c = own_card(data, tmp_path)
    c.data[role].names = names
    for path in (tmp_path / folder).iterdir():
        Image.fromarray(np.full((32, 48), 255, np.uint8)).save(path)
    with pytest.raises(UserError, match=f"config.data.{role} .* no pixel has a class"):
        run(c, str(tmp_path / "run"))
    assert not (tmp_path / "run/config.json").exists()


def test_masks_of_0_and_255_are_warned_of(data, tmp_path, caplog):
    """As many programs save two classes: what is meant by 255 is void here."""
    c = own_card(data, tmp_path)
    for number, path in enumerate((tmp_path / "mysource/labels/train").iterdir()):
        mask = np.where(np.arange(48) < 24 + number, 0, 255).astype(np.uint8)
        Image.fromarray(np.tile(mask, (32, 1))).save(path)
    with Session(c, str(tmp_path / "run"), segmentation_phases(c), force=False):
        pass
    (warning,) = (each.getMessage() for each in caplog.records if "no pixel" in each.getMessage())
    names = ", ".join(get_table("camvid11").names[1:])
    assert f"no pixel is labelled {names}. launch/prepare.py" in warning and "255" in warning


def test_what_is_not_there_is_missed_before_the_data_is_prepared(monkeypatch, tmp_path):
    def load(*_):
        raise AssertionError

    monkeypatch.setattr(restored, "load_domain", load)
    c = common.preset(common.base(), "demo")
    with pytest.raises(UserError, match="holds no checkpoint yet"):
        restored.evaluate(c, str(tmp_path))
    with pytest.raises(UserError, match="config.weights is not set"):
        restored.evaluate(c)
    c.weights = "nothere.npz"
    with pytest.raises(UserError, match="nothere.npz: no such file"):
        restored.evaluate(c)


def test_an_image_too_small_for_its_crops_is_refused_before_the_first_step(data, tmp_path):
    c = own_card(data, tmp_path)
    c.data.target_view.resize, c.data.target_view.crop_height = "random_crop", (10, 30)
    last = sorted((tmp_path / "mydata/images/train").iterdir())[-1]
    for path in (last, tmp_path / f"mydata/labels/train/{last.stem}.png"):
        Image.open(path).crop((0, 0, 48, 9)).save(path)
    with pytest.raises(UserError, match=f"target_view.crop_height.*fit into {last.stem} of 9x48"):
        run(c, str(tmp_path / "run"))
    assert not (tmp_path / "run/config.json").exists()
    c.experiment, c.loss.target = "segmentation", 0.0  # which reads no target image
    run(c, str(tmp_path / "run"))


@pytest.mark.parametrize(
    ("experiment", "changes", "message"),
    [
        ("labor", {}, "annotator=people"),
        ("labor", {"annotator": "people", "rounds.share": 1e-6}, "share is 1e-06: of 32x48"),
        ("segmentation", {"loss.target": 1.0}, "config.loss.target is above 0"),
        (
            "segmentation",
            {"loss.target": 0.0, "loss.pseudo_start": 500.0},
            "config.loss.pseudo_start is 500.0",
        ),
    ],
)
def test_a_target_that_will_not_do_is_refused_at_once(data, tmp_path, experiment, changes, message):
    """Before the warm-up, and before anything stands in the way of a correction."""
    c = own_card(data, tmp_path)
    shutil.rmtree(tmp_path / "mydata/labels/train")
    c.experiment = experiment
    c.update_from_flattened_dict(changes)
    with pytest.raises(UserError, match=message):
        run(c, str(tmp_path / "run"))
    assert not (tmp_path / "run/config.json").exists()
