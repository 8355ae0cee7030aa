"""What an evaluation says of its confusion matrices."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from configs import spl
from jax_labor.classes import get_table
from jax_labor.errors import UserError
from jax_labor.experiments.evaluation import Evaluation, Evaluator, read_scales


def test_synthia_is_reported_in_16_and_in_13_classes(rng):
    names = get_table("synthia16").names
    found = Evaluation(rng.integers(1, 99, (1, 16, 16)), names)
    report = found.report()
    thirteen = [v for n, v in report["iou_by_class"].items() if n not in ("wall", "fence", "pole")]
    assert report["miou"] == pytest.approx(np.mean(found.iou))
    assert report["miou13"] == pytest.approx(np.mean(thirteen))
    assert len(thirteen) == 13
    cityscapes = Evaluation(rng.integers(1, 99, (1, 19, 19)), get_table("cityscapes19").names)
    assert "miou13" not in cityscapes.report()


def test_where_nothing_is_labelled_there_is_no_figure():
    names = get_table("camvid11").names
    report = Evaluation(np.zeros((2, 11, 11), np.int64), names).report()
    assert json.loads(json.dumps(report, allow_nan=False))["miou"] is None
    assert set(report["iou_by_class"].values()) == {None}


@pytest.mark.parametrize("words", [[], [""], ["nan"], ["0"], ["-1"], ["1", "inf"], ["x"]])
def test_scales_that_are_none(words):
    with pytest.raises(UserError, match="^--scales=.*: give numbers above 0"):
        read_scales(words, "--scales")


def test_a_cards_scales_that_are_none():
    config = spl.get_config("demo")
    config.eval.scales = ()
    records = SimpleNamespace(names=["a"])
    with pytest.raises(UserError, match="^config.eval.scales="):
        Evaluator(config, None, records)


def test_scales_as_words_and_as_numbers():
    assert read_scales(["0.75", "1"], "--scales") == read_scales((0.75, 1), "--scales")
