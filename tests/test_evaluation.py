"""What an evaluation says of its confusion matrices."""

import json
from types import SimpleNamespace

import numpy as np
import oracles
import pytest

from configs import spl
from jax_labor.classes import ClassTable, get_table
from jax_labor.errors import UserError
from jax_labor.experiments.evaluation import Evaluation, Evaluator, read_scales
from jax_labor.models.segmenter import Outputs

SIZES = [(12, 16), (16, 12), (12, 16), (12, 16), (16, 12)]
TABLE = ClassTable("t", ("red", "green", "blue"), ((0, 0, 0),) * 3, (0, 1, 2), (255,), "")


class Photos:
    """Images of two sizes, of which the true class is the strongest colour, some of them void."""

    table = TABLE
    names = [f"photo{i}" for i in range(len(SIZES))]

    def __init__(self, rng):
        # Constant over 4x4 pixels: to half the size and back keeps the strongest colour.
        self.images = [
            rng.integers(0, 256, (h // 4, w // 4, 3), np.uint8).repeat(4, 0).repeat(4, 1)
            for h, w in SIZES
        ]
        self.labels = [
            np.where(rng.random(image.shape[:2]) < 0.2, 255, rng.integers(0, 3)).astype(np.uint8)
            for image in self.images
        ]

    def __len__(self):
        return len(SIZES)

    def __getitem__(self, index):
        image, label = self.images[index], self.labels[index]
        return {"image": image, "label": label[..., None], "native": image.shape[:2]}


class Colours:
    """In a network's place: means of 4x4 pixels of the image, whose colours are the logits."""

    def __init__(self):
        self.seen = []

    def apply(self, variables, image, train):
        self.seen.append(image.shape)
        _, h, w, c = image.shape
        logits = image.reshape(-1, h // 4, 4, w // 4, 4, c).mean((2, 4))
        return Outputs(logits, None, None, None, {})


def evaluator(rng, **settings):
    config = spl.get_config("demo")
    config.eval.size, config.data.eval_batch, config.data.normalize = (16, 16), 2, "unit"
    config.eval.update(settings)
    records, model = Photos(rng), Colours()
    return Evaluator(config, model, records), records, model


NOTHING = {"params": {"unused": np.zeros(1, np.float32)}, "batch_stats": {}}


def predictions(found, records):
    said = found.predict(NOTHING, range(len(records)))
    return np.concatenate([said[index].ravel() for index in range(len(records))])


def test_iou_of_images_of_several_sizes(rng):
    found, records, model = evaluator(rng)
    labels = np.concatenate([label.ravel() for label in records.labels])
    said = predictions(found, records)
    truth = np.concatenate([image.argmax(-1).ravel() for image in records.images])
    assert (said == truth).mean() > 0.7  # resized to a square and back
    confusion = found.run(NOTHING).confusion
    np.testing.assert_array_equal(confusion, oracles.confusion(labels, said, 3))
    assert len(model.seen) == 1  # one network for all sizes of labels


@pytest.mark.parametrize(("scales", "same"), [((1.0,), 1.0), ((1.0, 2.0), 0.9)])
def test_mirrored_and_scaled_images_say_the_same_of_each_pixel(rng, scales, same):
    plain, records, _ = evaluator(rng)
    found, _, _ = evaluator(rng, flip=True, scales=scales)
    found.records = plain.records
    said = predictions(plain, records), predictions(found, records)
    assert (said[0] == said[1]).mean() >= same


def test_predictions_of_a_few_images_read_no_others(rng):
    found, records, _ = evaluator(rng)
    read = []
    records.__class__ = type("Watched", (Photos,), {"__getitem__": watch(read)})
    assert set(found.predict(NOTHING, {4, 1})) == {1, 4}
    assert set(read) == {1, 4}


def watch(read):
    def getitem(self, index):
        read.append(index)
        return Photos.__getitem__(self, index)

    return getitem


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
