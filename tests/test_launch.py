"""Whole runs through the commands, as a user starts them."""

import json
import os
import shutil
import signal
import subprocess
import sys

import forked
import numpy as np
import pytest
from PIL import Image
from small import FLAGS, ROOT, command, config, environment, launch

from configs import ppl, segmentation
from configs import spl as card
from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.experiments import restored, run
from jax_labor.experiments.assembly import build_network, initial_state, load_domain
from jax_labor.experiments.evaluation import Evaluator
from jax_labor.experiments.run_session import Stopped
from jax_labor.experiments.session import Session
from jax_labor.labels.store import Round
from jax_labor.models.pretrained import export_weights, save_checkpoint

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def spl(tmp_path_factory, data):
    workdir = tmp_path_factory.mktemp("runs") / "spl"
    line = command(workdir, data)  # as a user starts it, while `launch` forks
    done = subprocess.run(line, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return workdir, done.stderr


def read(path):
    with Image.open(path) as image:
        return np.asarray(image)


def results(workdir):
    return json.loads((workdir / "results.json").read_text())


def test_a_run_leaves_what_it_promises(spl):
    workdir, log = spl
    found = results(workdir)
    assert found["strategy"] == "spl"
    assert found["steps"] == 9
    assert 0 <= found["miou"] <= 1
    assert len(found["iou_by_class"]) == 11
    assert {"seed", "seconds", "images_per_second", "versions", "devices"} <= set(found)
    # Exactly the pixels of the queries, and never more than the budget.
    asked = [read(p) != 255 for p in workdir.glob("rounds/*/queries/*.png")]
    assert found["asked_pixels"] == sum(mask.sum() for mask in asked)
    assert found["asked_share"] <= 0.022
    assert len(asked) == 12
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == sorted({2, 3, 4, 6, 8, 9})
    for picture in ("predictions", "queries"):
        height, width = read(workdir / "pictures" / f"{picture}.png").shape[:2]
        assert width > 400
        assert height > 300
    assert "mIoU" in log


def test_the_same_command_again_only_evaluates(spl, data):
    workdir, _ = spl
    before = results(workdir)
    log = launch(workdir, data)
    assert "going on from step 9" in log
    assert results(workdir)["miou"] == before["miou"]


def test_other_settings_in_the_same_workdir_are_refused_with_a_diff(spl, data):
    log = launch(spl[0], data, "--config.optimizer.lr=0.5", status=2)
    assert "optimizer.lr" in log
    assert "now 0.5" in log
    assert "Traceback" not in log


def test_a_forced_start_takes_over_no_round_of_another_strategy(spl, data, tmp_path):
    shutil.copytree(spl[0], tmp_path / "spl")
    shutil.rmtree(tmp_path / "spl/checkpoints")
    with pytest.raises(UserError, match="chosen by 'spl', .*strategy is 'random'"):
        run(config(data, **{"rounds.strategy": "random"}), str(tmp_path / "spl"), force=True)


def test_a_damaged_answer_is_named_before_training_goes_on(spl, data, tmp_path):
    shutil.copytree(spl[0], tmp_path / "spl")
    next((tmp_path / "spl/rounds/000/answers").glob("*.png")).unlink()
    with pytest.raises(UserError, match="rounds/000/answers/.*png is missing"):
        run(config(data), str(tmp_path / "spl"))
    shutil.rmtree(tmp_path / "spl/rounds/000")
    with pytest.raises(UserError, match="rounds/000 is gone"):
        run(config(data), str(tmp_path / "spl"))


def test_evaluate_gives_the_runs_figures_and_pngs(spl, tmp_path):
    workdir, _ = spl
    line = [sys.executable, "launch/evaluate.py", f"--workdir={workdir}"]
    line += [f"--predictions={tmp_path / 'out'}", f"--json={tmp_path / 'out.json'}"]
    done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "mean" in done.stdout
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["miou"] == pytest.approx(results(workdir)["miou"])
    files = list((tmp_path / "out").glob("*.png"))
    assert len(files) == 4
    assert read(files[0]).shape == (32, 48)
    done = forked.run([*line, "--flip", "--scales=1,1.5"], cwd=ROOT, env=environment())
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "out.json").read_text()) != found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workdir={}"], "config.json"),
        (["--workdir={}", "--json={}"], "a folder stands where a file is needed"),
        ([], "name either the --workdir"),
        (["--config=configs/spl.py:demo"], "config.weights is not set"),
        (["--config=configs/stylegan2.py"], "no segmenter to evaluate"),
    ],
)
def test_evaluate_of_nothing_says_so(arguments, message, data, tmp_path):
    line = [sys.executable, "launch/evaluate.py", *(a.format(tmp_path) for a in arguments)]
    if "demo" in line[-1]:
        line += [f"--config.data.dir={data}", *FLAGS]
    done = forked.run(line, cwd=ROOT, env=environment())
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_of_weights_is_evaluated_as_a_card_says(spl, data, tmp_path):
    settings = config(data, **{"data.normalize": "imagenet"})
    settings.model.update(backbone="resnettiny", selector="none", dilations=(12, 24, 36), head="v3")
    settings.model.channels = 8
    network = build_network(settings, 11)
    state = initial_state(settings, network, 11)
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    tensors = export_weights(variables, "deeplabv3")
    save_checkpoint(tmp_path / "whole.npz", tensors)
    settings.weights = str(tmp_path / "whole.npz")
    found = restored.evaluate(settings)
    records = restored.load_domain(settings, "eval")
    expected = Evaluator(settings, network.model, records).run(variables)
    np.testing.assert_array_equal(found.by_fold, expected.by_fold)
    assert found.confusion.sum() > 0
    backbone = {key: x for key, x in tensors.items() if not key.startswith("classifier")}
    save_checkpoint(
        tmp_path / "backbone.npz", {k.removeprefix("backbone."): v for k, v in backbone.items()}
    )
    settings.weights = str(tmp_path / "backbone.npz")
    with pytest.raises(UserError, match="no head in it"):
        restored.evaluate(settings)


def spends_the_budget(workdir):
    return results(workdir)["asked_pixels"] == 6 * int(0.022 * 32 * 48)


def test_a_selector_of_its_own_and_another_strategy(data, tmp_path):
    """The strategies, each alone: test_selection_step."""
    changes = {"rounds.strategy": "ripu", "train.pictures": 0, "model.selector": "copied"}
    changes |= {"rounds.void_counts": False}  # of streets, which has none
    run(config(data, **changes), str(tmp_path))
    assert spends_the_budget(tmp_path)


def test_ppl_asks_points_in_order(data, tmp_path):
    launch(tmp_path, data, "--config.rounds.points=8", card="ppl.py:demo")
    queries = [json.loads(p.read_text()) for p in tmp_path.glob("rounds/*/queries/*.json")]
    assert {q["kind"] for q in queries} == {"points"}
    assert all(len(q["points"]) == q["asked"] <= 4 for q in queries)
    assert sum(q["asked"] for q in queries) == results(tmp_path)["asked_pixels"]


def test_ppl_asks_points_of_every_class_in_every_round(data, tmp_path):
    changes = {"rounds.points": 2, "rounds.per_class": True, "train.pictures": 0}
    run(config(data, ppl, **changes), str(tmp_path))
    for path in tmp_path.glob("rounds/*/queries/*.json"):
        asked = json.loads(path.read_text())["points"]
        guesses = Round(tmp_path, int(path.parts[-3])).read_query(path.stem).guess
        assert 0 < len(asked) <= 2 * 11 and (guesses != IGNORE).sum() == len(asked)
    assert results(tmp_path)["asked_pixels"] > 6 * 2 * 2  # of two rounds, more than one class


@pytest.mark.parametrize("method", ["source", "adversarial", "supervised"])
def test_the_baselines_run(method, data, tmp_path):
    if method == "adversarial":
        launch(tmp_path, data, card="segmentation.py:adversarial,demo")
    else:
        run(config(data, segmentation, f"{method},demo"), str(tmp_path))
    found = results(tmp_path)
    assert found["asked_share"] == (1.0 if method == "supervised" else 0.0)
    assert not (tmp_path / "rounds").exists()
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[-1])
    assert ("discriminator_main_source" in last) == (method == "adversarial")


def test_a_study_makes_one_table_and_goes_on_where_it_stopped(data, tmp_path):
    def study(*asked):
        line = [sys.executable, "launch/study.py", *asked, f"--workdir={tmp_path}", "--"]
        line += [f"--config.data.dir={data}", f"--compilation_cache={data}/compiled"]
        line += command(tmp_path, data)[5:]
        done = subprocess.run(line, cwd=ROOT, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    first = study("--methods=supervised", "--seeds=0,1")
    assert "supervised" in first.stdout
    found = json.loads((tmp_path / "study.json").read_text())
    assert found["methods"]["supervised"]["percent_of_supervised"] == 100
    assert found["methods"]["supervised"]["seeds"] == 2
    assert read(tmp_path / "study.png").shape[1] > 500
    grown = study("--methods=random-points,supervised", "--seeds=0")
    assert "random-points" in grown.stdout
    assert "== random-points-0" in grown.stderr and "== supervised" not in grown.stderr
    again = study("--methods=supervised", "--seeds=0,1")
    assert "==" not in again.stderr
    found = json.loads((tmp_path / "study.json").read_text())["methods"]
    assert {m: row["seeds"] for m, row in found.items()} == {"supervised": 2, "random-points": 1}


def test_a_shared_warmup_equals_an_own_one(spl, data, tmp_path):
    other = tmp_path / "random"
    launch(other, data, "--config.rounds.strategy=random")
    assert spends_the_budget(other)
    launch(tmp_path / "spl", data, f"--config.start_from={other / 'warmup'}")
    assert results(tmp_path / "spl")["miou"] == results(spl[0])["miou"]
    assert results(tmp_path / "spl")["asked_pixels"] == results(spl[0])["asked_pixels"]


def test_a_signal_is_heard_before_an_evaluation_and_in_a_round_and_changes_nothing(
    data, tmp_path, monkeypatch
):
    steps = {"train.steps": 2, "rounds.warmup": 1, "rounds.every": 1, "rounds.count": 1}
    steps |= {"train.pictures": 0, "train.eval_every": 1, "data.target.options.train": 12}
    settings = config(data, **steps)
    run(settings, str(tmp_path / "undisturbed"))

    def stop_at(owner, name):
        work = getattr(owner, name)

        def stops(*arguments):
            os.kill(os.getpid(), signal.SIGTERM)
            return work(*arguments)

        with monkeypatch.context() as patch, pytest.raises(Stopped, match="step 1 by a signal"):
            patch.setattr(owner, name, stops)
            run(settings, str(tmp_path / "stopped"))

    round_ = Round(tmp_path / "stopped", 0)
    stop_at(Session, "_line")  # an evaluation is due after it
    stop_at(Round, "write_query")
    # A thread of the first batch gives it: the second may have begun, the third does not.
    assert len(list((round_.folder / "queries").glob("*.json"))) in (4, 8)
    assert not round_.is_open
    stop_at(Round, "write_answer")
    assert round_.answered() and not round_.is_closed  # of each thread perhaps one
    run(settings, str(tmp_path / "stopped"))
    ours, theirs = (
        {str(p.relative_to(w)): p.read_bytes() for p in w.glob("rounds/**/*.*")}
        for w in (tmp_path / "stopped", tmp_path / "undisturbed")
    )
    assert ours == theirs
    for name in ("miou", "iou_by_class", "asked_pixels"):
        assert results(tmp_path / "stopped")[name] == results(tmp_path / "undisturbed")[name]
    lines = [(tmp_path / w / "metrics.jsonl").read_text() for w in ("stopped", "undisturbed")]
    assert lines[0] == lines[1] and "miou" in lines[0]


BAD = [
    ("data.target_batch", 6, "config.data.target_batch=6 cannot be shared equally by 4 devices"),
    ("rounds.share", 1.5, "config.rounds.share is 1.5"),
    ("rounds.strategy", "nearest", "config.rounds.strategy"),
    ("rounds.strategy", "ppl", "set config.rounds.points"),
    ("rounds.per_class", True, "only config.rounds.strategy=ppl asks"),
    ("rounds.similarity", "cos", "use cosine, l2, dot or kl"),
    ("rounds.class_of_pixel", "c3", "use mean, c1, c2 or both"),
    ("model.selector", "none", "asks two classifiers"),
    ("discriminator.kind", "bce", "use vanilla or least_squares"),
    ("discriminator.input", "probs", "use softmax or entropy"),
    ("loss.adversarial_aux", 0.1, "no auxiliary output"),
    ("loss.discrepancy_features", True, "selector_gradient"),
    ("train.log_every", 0, "config.train.log_every"),
    ("train.pictures", -1, "config.train.pictures"),
    ("train.keep", 0, "config.train.keep"),
    ("train.eval_every", -1, "config.train.eval_every"),
    ("optimizer.lr", -1.0, "config.optimizer.lr"),
    ("loss.balance", -0.5, "config.loss.balance"),
    ("rounds.warmup", -3, "warmup is -3"),
    ("rounds.every", 0, "every is 0"),
    ("annotator", "somebody", "config.annotator"),
    ("data.source.name", "gta6", "gta5"),
    ("model.backbone", "resnet102", "resnet101"),
    ("rounds.every", 100, "config.train.steps"),
    ("optimizer.schedule", "ploy", "poly"),
    ("optimizer.name", "sdg", "sgd"),
    ("start_from", "/nowhere", "/nowhere"),
    ("data.classes", "camvid12", "camvid11"),
    ("train.profile", "3", "config.train.profile"),
    ("experiment", "labour", "Did you mean 'labor'"),
    ("weights", "/nowhere.npz", "/nowhere.npz"),
    ("data.eval.split", "dev", "config.data.eval|split"),
    ("data.source_view.resize", "fxed", "config.data.source_view.resize.*fixed"),
    ("data.normalize", "cafe", "config.data.normalize"),
]


@pytest.mark.parametrize(("name", "value", "message"), BAD, ids=[name for name, *_ in BAD])
def test_a_mistake_names_the_setting(name, value, message, data, tmp_path):
    with pytest.raises(UserError, match=message):
        run(config(data, **{name: value}), str(tmp_path))


@pytest.mark.parametrize("window", [{"rounds.radius": 0, "rounds.pick": 0}, {"rounds.pick": 2}])
def test_regions_are_refused_before_the_warmup(window, data, tmp_path):
    with pytest.raises(UserError, match="a region is scored by"):
        run(config(data, **{"rounds.strategy": "ripu"}, **window), str(tmp_path))


def test_joint_statistics_need_one_size(data, tmp_path):
    sizes = {"train.statistics": "shared", "data.source_view.size": (40, 48)}
    with pytest.raises(UserError, match=r"\(40, 48\) and \(32, 48\)"):
        run(config(data, **sizes), str(tmp_path))


def test_a_refused_first_start_does_not_stand_in_the_way_of_its_correction(data, tmp_path):
    settings = {"train.steps": 3, "rounds.warmup": 1, "rounds.every": 1, "train.pictures": 0}
    settings |= {"rounds.strategy": "random", "train.checkpoint_every": 0}
    settings |= {"data.eval_batch": 3}  # not shared equally by 4 devices: padded
    with pytest.raises(UserError, match="adam"):
        run(config(data, **settings, **{"optimizer.name": "adma"}), str(tmp_path))
    run(config(data, **settings), str(tmp_path))
    assert sorted(p.name for p in (tmp_path / "checkpoints").glob("[0-9]*")) == ["1", "2", "3"]


def test_rare_classes_of_the_source_weigh_more(data, tmp_path, monkeypatch):
    class Built(Exception):
        pass

    def build(*arguments):
        raise Built(arguments[-1])

    monkeypatch.setattr("jax_labor.experiments.session.make_train_step", build)
    with pytest.raises(Built) as built:
        run(config(data, **{"loss.balance": 0.5}), str(tmp_path / "half"))
    pixels = load_domain(config(data), "source").class_pixels
    weights = built.value.args[0]
    assert weights[pixels.argmax()] == weights.min() < 1 < weights.max()
    with pytest.raises(Built) as built:
        run(config(data), str(tmp_path / "alike"))
    assert built.value.args == (None,)


def test_a_missing_data_set_says_what_is_expected_where(tmp_path):
    settings = card.get_config("camvid_dusk")
    settings.data.root = str(tmp_path / "nothing")
    settings.data.dir = str(tmp_path)
    with pytest.raises(UserError, match=r"(?s)nothing/camvid.*trainannot"):
        run(settings, str(tmp_path / "run"))


def test_a_workdir_that_is_a_file(data, tmp_path):
    (tmp_path / "file").write_text("")
    log = launch(tmp_path / "file", data, status=2)
    assert str(tmp_path / "file") in log
    assert "Traceback" not in log


EVERY = "--config.train.checkpoint_every=1"


def test_weights_that_blow_up_are_never_saved_and_a_forced_start_recovers(data, tmp_path):
    # The first step's loss is finite, and its update wrecks the weights.
    card = "segmentation.py:source,demo"
    log = launch(tmp_path, data, "--config.optimizer.lr=1e30", EVERY, card=card, status=2)
    assert "Traceback" not in log
    assert "error: step 1: params/" in log
    assert not list((tmp_path / "checkpoints").glob("[0-9]*"))
    launch(tmp_path, data, EVERY, "--force", card=card)
    assert (tmp_path / "results.json").exists()
