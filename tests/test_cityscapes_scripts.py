"""Our IoU is that of the official Cityscapes scripts, on predictions written as PNGs."""

import numpy as np
import pytest
import small
import tiny_data
from PIL import Image

from jax_labor.classes import get_table
from jax_labor.data.catalogue import load
from jax_labor.experiments.assembly import build_network, initial_state
from jax_labor.experiments.evaluation import Evaluation, Evaluator
from jax_labor.ops.metrics import confusion_matrix

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture
def scripts(monkeypatch, tmp_path):
    monkeypatch.setenv("CITYSCAPES_DATASET", str(tmp_path))
    return pytest.importorskip("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_iou_equals_the_official_evaluation(scripts, tmp_path):
    rng = np.random.default_rng(0)
    table = get_table("cityscapes19")
    pairs, total = [], 0
    for index in range(3):
        label_ids = rng.integers(0, 34, (48, 64)).astype(np.uint8)
        predicted = rng.integers(0, 19, (48, 64))
        truth = table.encode(label_ids)
        predicted = np.where((rng.random(truth.shape) < 0.6) & (truth != 255), truth, predicted)
        if index:
            predicted[predicted == 16] = 0  # a rare class
        paths = tmp_path / f"p{index}.png", tmp_path / f"t{index}.png"
        Image.fromarray(table.decode(predicted)).save(paths[0])
        Image.fromarray(label_ids).save(paths[1])
        pairs.append(tuple(map(str, paths)))
        total = total + np.asarray(confusion_matrix(truth.astype(int), predicted, 19), np.int64)
    args = scripts.args
    args.evalInstLevelScore, args.quiet, args.JSONOutput = False, True, False
    official = scripts.evaluateImgLists([p for p, _ in pairs], [t for _, t in pairs], args)
    ours = Evaluation(total[None], table.names)
    for name, value in zip(ours.names, ours.iou, strict=True):
        assert official["classScores"][name] == pytest.approx(value, abs=1e-12)
    assert official["averageScoreClasses"] == pytest.approx(ours.miou, abs=1e-12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_official_evaluation_finds_our_predictions_by_itself(
    scripts, tmp_path, data, monkeypatch
):
    root, results = tiny_data.cityscapes(tmp_path / "d"), tmp_path / "results"
    records = load(
        "cityscapes", root=str(root), data_dir=str(data), split="val", classes="cityscapes19"
    )
    settings = small.config(data)
    network = build_network(settings, 19)
    state = initial_state(settings, network, 19)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    ours = Evaluator(settings, network.model, records).run(variables, str(results))
    monkeypatch.setenv("CITYSCAPES_RESULTS", str(results))
    args = scripts.args
    args.evalInstLevelScore, args.quiet, args.JSONOutput = False, True, False
    args.predictionPath = args.predictionWalk = None
    truth = sorted(map(str, root.glob("gtFine/val/*/*_labelIds.png")))
    predicted = [scripts.getPrediction(args, path) for path in truth]
    official = scripts.evaluateImgLists(predicted, truth, args)
    assert len(set(predicted)) == len(truth) == 2
    assert official["averageScoreClasses"] == pytest.approx(ours.miou, abs=1e-12)
    assert ours.miou > 0
