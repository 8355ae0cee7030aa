"""Folds of the test images: assignment, the choice of a step, and what a run keeps of them."""

import shutil

import numpy as np
import pytest
import small_factory
from small import config

from configs import segmentation
from jax_labor.engine.pictures import save_png
from jax_labor.errors import UserError
from jax_labor.experiments import datasetgan, folds, restored, run
from jax_labor.experiments.evaluation import Evaluation


def naive(matrices, steps):
    """The protocol, pixel pair by pixel pair."""

    def iou_of(matrix):
        classes = range(len(matrix))
        values = []
        for c in classes:
            hit = int(matrix[c][c])
            union = sum(int(matrix[c][k]) + int(matrix[k][c]) for k in classes) - hit
            values.append(hit / union if union else None)
        return values

    def mean(values):
        known = [v for v in values if v is not None]
        return sum(known) / len(known) if known else -1.0

    chosen, tested = [], []
    for fold in range(len(matrices[0])):
        best, score = None, -2.0
        for number, each in enumerate(matrices):
            if mean(iou_of(each[fold])) > score:
                best, score = number, mean(iou_of(each[fold]))
        others = [m for f, m in enumerate(matrices[best]) if f != fold]
        chosen.append(steps[best])
        tested.append(iou_of(sum(others)))
    return chosen, tested


@pytest.mark.parametrize("seed", range(6))
def test_the_report_is_the_naive_one(seed):
    rng = np.random.default_rng(seed)
    evaluations, parts, classes = rng.integers(1, 5), rng.integers(2, 6), rng.integers(2, 5)
    # Few counts: ties between steps, absent classes and empty folds occur.
    matrices = rng.integers(0, 2, (evaluations, parts, classes, classes)) * rng.integers(0, 9)
    matrices[:, 0, :, 0] = matrices[:, 0, 0, :] = 0
    steps = list(range(10, 10 * evaluations + 1, 10))
    names = [f"c{i}" for i in range(classes)]
    chosen, tested = naive(matrices, steps)
    found = folds.report(matrices, steps, names)
    assert [row["step"] for row in found["by_fold"]] == chosen
    known = [[v for v in values if v is not None] for values in tested]
    mious = [np.mean(values) if values else np.nan for values in known]
    np.testing.assert_allclose([row["miou"] for row in found["by_fold"]], mious)
    np.testing.assert_allclose(found["miou"], np.mean(mious))
    np.testing.assert_allclose(found["miou_std"], np.std(mious))
    as_published = [[v or 0.0 for v in values] for values in tested]
    np.testing.assert_allclose(found["miou_of_all_classes"], np.mean(as_published))
    for number, name in enumerate(names):
        column = [values[number] for values in tested if values[number] is not None]
        expected = np.mean(column) if column else None
        assert found["iou_by_class"][name] == (expected and pytest.approx(expected))


def test_each_fold_is_tested_on_the_others_at_the_step_it_chose():
    right, wrong = np.diag([4, 4]), np.array([[0, 4], [4, 0]])
    matrices = np.array([[right, wrong], [wrong, right]])
    found = folds.report(matrices, [100, 200], ["a", "b"])
    assert found["by_fold"] == [{"step": 100, "miou": 0.0}, {"step": 200, "miou": 0.0}]


def test_folds_are_contiguous_in_the_order_of_names():
    names = ["d", "a", "c", "b", "e"]
    assert folds.assign(names, 2).tolist() == [1, 0, 0, 0, 1]
    assert folds.assign(names, 0).tolist() == [0] * 5
    sizes = np.bincount(folds.assign([f"{i:03d}" for i in range(103)], 5))
    assert sizes.min() >= 20
    assert sizes.max() <= 21


@pytest.mark.parametrize("count", [-1, 1, 6])
def test_a_number_of_folds_that_cannot_be(count):
    with pytest.raises(UserError, match=r"config.eval.folds is .* 2 to 5"):
        folds.assign("abcde", count)


def test_evaluations_of_different_folds_do_not_mix(tmp_path):
    folds.keep(tmp_path, 1, np.zeros((2, 3, 3), np.int64))
    folds.keep(tmp_path, 2, np.zeros((3, 3, 3), np.int64))
    with pytest.raises(UserError, match="config.eval.folds"):
        folds.read(tmp_path, 2)
    assert folds.read(tmp_path, 1)[1] == [1]


SETTINGS = {
    "eval.folds": 2,
    "train.steps": 4,
    "train.eval_every": 2,
    "train.checkpoint_every": 3,
    "train.pictures": 0,
}


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory, quick_compilation):
    workdir = tmp_path_factory.mktemp("runs") / "folds"
    settings = config(data, segmentation, "source,demo", **SETTINGS)
    return workdir, settings, run(settings, str(workdir))


def test_a_run_counts_every_image_once_at_every_evaluation(finished):
    workdir, _, found = finished
    matrices, steps = folds.read(workdir, 4)
    assert steps == [2, 4]
    assert matrices.shape == (2, 2, 11, 11)
    assert {row["step"] for row in found["folds"]["by_fold"]} <= set(steps)
    last = Evaluation(matrices[-1], found["classes"])
    assert last.report()["iou_by_class"] == found["iou_by_class"]
    # Two images of 32x48 in each fold; void pixels are not counted.
    assert (matrices[-1].sum((1, 2)) <= 2 * 32 * 48).all()
    assert (matrices[-1].sum((1, 2)) > 1.5 * 32 * 48).all()


def test_a_run_that_went_on_has_the_folds_of_an_undisturbed_one(finished, tmp_path):
    workdir, settings, found = finished
    shutil.copytree(workdir, tmp_path / "stopped")
    shutil.rmtree(tmp_path / "stopped" / "checkpoints" / "4")
    (tmp_path / "stopped" / "folds" / "00000004.npy").unlink()
    assert run(settings, str(tmp_path / "stopped"))["folds"] == found["folds"]


def test_folds_do_not_change_what_all_images_say(finished):
    workdir, settings, found = finished
    found_state = restored.evaluate(settings, str(workdir))
    assert found_state.by_fold.shape == (1, 11, 11)
    assert found_state.report()["iou_by_class"] == found["iou_by_class"]


def test_data_without_labels_have_no_folds(data, tmp_path, quick_compilation):
    """However few they are: nothing is measured."""
    for number in range(3):
        save_png(tmp_path / f"photos/images/{number}.png", np.zeros((32, 48, 3), np.uint8))
    photos = {"data.eval.name": "image_folder", "data.eval.root": str(tmp_path / "photos")}
    photos |= {"data.eval.split": "train", "eval.folds": 5}
    settings = config(data, segmentation, "source,demo", **SETTINGS | photos | {"train.steps": 1})
    settings.data.eval.options = {}
    found = run(settings, str(tmp_path / "run"))
    assert found["miou"] is None and "folds" not in found
    assert not (tmp_path / "run/folds").exists()
    settings = small_factory.config(data, "x", **photos)
    settings.data.eval.options = {}
    assert len(datasetgan._check_segmenter(settings, (24, 16)).names) == 8
