"""DatasetGAN's study: which runs in which order, its tables and its plot."""

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl.testing import flagsaver
from PIL import Image

from configs import datasetgan, segmentation
from jax_labor.engine.config import check_config, write_config
from jax_labor.errors import UserError
from jax_labor.experiments import comparison as labor_comparison
from jax_labor.experiments import comparison_datasetgan as comparison
from jax_labor.experiments.assembly import build_network, state_shape
from jax_labor.experiments.phases import FULL, NONE, segmentation_phases
from jax_labor.experiments.session import free_settings
from jax_labor.experiments.study import DATASETGAN, Study
from jax_labor.steps import parallel
from jax_labor.steps.adapt import make_train_step
from launch import study as launcher

ROOT = Path(__file__).resolve().parents[1]


def study(*methods, seeds=("0",), domain="ccp", **more):
    return Study(domain, methods, seeds, Path("/studies/one"), **more)


def test_every_method_comes_after_what_it_needs():
    found = study("semi", "transfer", "factory", "supervised", seeds=("3", "4")).runs()
    assert found == [(m, seed) for seed in ("3", "4") for m in DATASETGAN]


def test_the_runs_build_on_each_other():
    whole = study(*DATASETGAN, extra=["--config.train.steps=9"], factory=["--config.x=1"])
    shared = ["--config.seed=0", "--config.train.steps=9"]
    runs = {method: whole.run(method, seed) for method, seed in whole.runs()}
    cards = {method: card for method, (card, _) in runs.items()}
    assert cards == {
        "supervised": "segmentation.py:source,ccp",
        "factory": "datasetgan.py:ccp",
        "transfer": "segmentation.py:transfer,ccp",
        "semi": "segmentation.py:semi,ccp",
    }
    for method, (_, flags) in runs.items():
        assert f"--workdir=/studies/one/{method}-0" in flags
        assert set(shared) <= set(flags)
        assert ("--config.x=1" in flags) == (method == "factory")
    assert "--config.oracle.run=/studies/one/supervised-0" in runs["factory"][1]
    assert "--config.annotator=segmenter" in runs["factory"][1]
    for method in ("transfer", "semi"):
        assert "--config.data.source.root=/studies/one/factory-0/dataset" in runs[method][1]


def test_an_oracle_of_its_own_is_left_to_the_card():
    _, flags = study(*DATASETGAN, domain="figures").run("factory", "0")
    assert not any("oracle" in flag for flag in flags)
    assert datasetgan.get_config("figures").oracle.run == ""


def test_a_relative_workdir_is_passed_on_whole(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    relative = Study("ccp", DATASETGAN, ["0"], Path("runs/one"))
    root = f"--config.data.source.root={tmp_path.resolve()}/runs/one/factory-0/dataset"
    assert root in relative.run("semi", "0")[1]


@pytest.mark.parametrize("method", ["transfer", "semi"])
def test_the_cards_learn_from_the_labelled_samples_and_differ_in_the_target_alone(method):
    config = segmentation.get_config(f"{method},ccp")
    source = segmentation.get_config("source,ccp")
    assert (config.data.source.name, config.data.source.split) == ("generated", "labelled")
    assert (config.loss.pseudo > 0) == (method == "semi")
    for name in ("model", "optimizer", "eval", "train"):
        assert config[name] == source[name]
    assert config.data.source_batch == source.data.source_batch


@pytest.mark.parametrize(
    ("method", "roles", "terms"),
    [
        ("transfer", {"source"}, {"source", "loss"}),
        ("semi", {"source", "target"}, {"source", "pseudo", "loss"}),
    ],
)
def test_semi_alone_reads_the_target_and_never_its_labels(method, roles, terms):
    config = segmentation.get_config(f"{method},figures")
    *before, phase = segmentation_phases(config)
    assert [(p.start, p.end, p.uses_target) for p in before] == (
        [(0, 500, False)] if method == "semi" else []
    )
    assert (phase.labels, phase.trains_selector, phase.self_trains) == (NONE, False, True)
    assert phase.uses_target == ("target" in roles)
    network = build_network(config, 8)
    image, label = jnp.zeros((4, 2, 48, 32, 3)), jnp.zeros((4, 2, 48, 32), int)
    batch = {role: {"image": image, "label": label} for role in roles}
    step = parallel.parallel_step(make_train_step(network, config, False, True))
    # Shapes alone: nothing is compiled.
    _, metrics = jax.eval_shape(step, state_shape(config, network, 8), batch)
    assert metrics.keys() == terms


@pytest.mark.parametrize(("method", "labels"), [("adversarial", NONE), ("supervised", FULL)])
def test_pseudo_labels_may_follow_an_adversarial_or_supervised_warm_up(method, labels):
    """As IAST's do."""
    config = segmentation.get_config(f"{method},demo")
    config.loss.pseudo, config.loss.pseudo_start = 1.0, 0.25
    begin, end = segmentation_phases(config)
    assert (begin.end, end.end) == (config.train.steps // 4, config.train.steps)
    assert begin.labels == end.labels == labels
    assert begin.uses_target and end.uses_target
    assert (begin.self_trains, end.self_trains) == (False, True)


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        (["factory"], "factory needs supervised, whose segmenter labels"),
        (["supervised", "transfer"], "transfer needs factory"),
        (["supervised", "semi"], "semi needs factory"),
        (["supervised", "factory", "spl"], "spl cannot be compared in one study with factory"),
        ([], "--methods=: name one or more"),
        (["source", "source"], "none of them twice"),
        (["supervised", "factoryy"], "no method 'factoryy'. Did you mean 'factory'"),
    ],
)
def test_methods_that_do_not_go_together(methods, message):
    with pytest.raises(UserError, match=message):
        study(*methods).runs()


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ([], "--seeds=: name one or more"),
        (["a"], "'a' is no seed"),
        (["-1"], "'-1' is no seed"),
        (["0", ""], "'' is no seed"),
        (["1", "1"], "--seeds=1,1: .* none of them twice"),
        (["1", "01"], "'01' is no seed"),
    ],
)
def test_seeds_that_are_none_are_refused_before_any_run(seeds, message):
    with pytest.raises(UserError, match=message):
        study("source", seeds=seeds).runs()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("bogus", "what is bogus?"),
        ("--seeds 0 1 -- --a=1", "what is 1?"),
        ("-- train.steps=3", "what is train.steps=3?"),
        ("-- --config.train.steps 3", "what is 3?"),
        ("--factory=config.x=1", "what is config.x=1?"),
        ("--sedes=1", "Did you mean: seeds"),
        ("--seeds=1 --config.train.steps=3", "write it after --, as -- --config.train.steps=3"),
    ],
)
def test_no_word_is_ignored(line, message, capsys):
    with flagsaver.flagsaver(), pytest.raises(SystemExit) as stop:
        launcher.parse(["study.py", *line.split()])
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_study_starts_no_jax():
    environ = {**os.environ, "JAX_PLATFORMS": "nothere"}
    command = [sys.executable, "launch/study.py", "--methods=sorce"]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True)
    assert done.stderr.startswith("error: no method 'sorce'")


def test_what_stands_after_two_dashes_is_passed_on():
    with flagsaver.flagsaver():
        assert launcher.parse(["study.py", "--seeds=0", "--", "--a=1", "--b"]) == ["--a=1", "--b"]
        assert launcher.parse(["study.py", "--factory", "--config.x=1"]) == []


def test_runs_of_a_study_never_have_different_settings(tmp_path):
    def hold(*extra, methods=("supervised", "factory"), domain="ccp", factory=()):
        Study(domain, methods, ["0"], tmp_path, extra, factory).hold()

    def begin(run):
        (tmp_path / run).mkdir()
        (tmp_path / run / "config.json").write_text("{}")

    hold("--config.train.stesp=3")
    hold("--config.train.steps=3", "--config.data.dir=a", factory=["--config.x=1"])
    begin("supervised-0")
    hold("--compilation_cache=c", "--config.train.steps=3", factory=["--config.x=2"])
    hold("--config.train.steps=3", methods=["supervised"])
    hold("--config.train.steps=3", "--force", methods=["supervised"])
    with pytest.raises(UserError, match="- --config.train.steps: was 3, now 4\n.*another --work"):
        hold("--config.train.steps=4")
    with pytest.raises(UserError, match="- --config.train.steps: was 3, now absent"):
        hold()
    with pytest.raises(UserError, match="- --domain: was ccp, now figures"):
        hold("--config.train.steps=3", domain="figures")
    begin("factory-0")
    with pytest.raises(UserError, match="- --config.x: was 2, now 3"):
        hold("--config.train.steps=3", factory=["--config.x=3"])


def test_a_study_stays_of_the_kind_that_it_began_as(tmp_path):
    """The supervised runs of the two kinds learn from different images."""

    def begin(folder, *methods):
        Study("ccp", methods, ["0"], folder).hold()
        finish_run(folder / "supervised-0", RESULTS["supervised"][0])
        (folder / "supervised-0/config.json").write_text("{}")

    begin(tmp_path / "a", "supervised")
    with pytest.raises(UserError, match="- --methods: was LabOR's, now DatasetGAN's"):
        Study("ccp", ["supervised", "factory"], ["0", "1"], tmp_path / "a").hold()
    begin(tmp_path / "b", "supervised", "factory")
    grown = Study("ccp", ["supervised"], ["1"], tmp_path / "b")
    grown.hold()
    assert grown.run("supervised", "1")[0] == "segmentation.py:source,ccp"
    kept = json.loads((tmp_path / "a/asked.json").read_text())
    del kept["--methods"]  # as earlier versions wrote it
    (tmp_path / "a/asked.json").write_text(json.dumps(kept))
    Study("ccp", ["supervised"], ["1"], tmp_path / "a").hold()


def test_a_study_that_moved_goes_on(tmp_path):
    def check(folder, write=False):
        runs = Study("ccp", ["supervised", "factory", "transfer"], ["0"], folder)
        for method in runs.methods:
            card, words = runs.run(method, "0")
            of = datasetgan if card.startswith("datasetgan") else segmentation
            config = of.get_config(card.partition(":")[2])
            flags = {word.removeprefix("--config."): value for word, value in by_name(words)}
            flags["seed"] = int(flags["seed"])
            del flags["--workdir"]
            config.update_from_flattened_dict(flags)
            if write:
                write_config(runs.folder(method, "0"), config.to_dict())
            check_config(runs.folder(method, "0"), config.to_dict(), free_settings(config))

    check(tmp_path / "here", write=True)
    (tmp_path / "here").rename(tmp_path / "there")
    check(tmp_path / "there")


def test_flags_for_a_factory_that_is_not_there():
    with pytest.raises(UserError, match="--factory"):
        study("source", "spl", factory=["--config.x=1"]).runs()


@pytest.mark.parametrize("domain", ["", "demo"])
def test_a_factory_needs_a_domain_with_real_labels(domain):
    with pytest.raises(UserError, match="--domain=.* ccp or figures"):
        study("supervised", "factory", domain=domain).runs()


def test_a_study_of_labor():
    found = study("source", "spl", "random", "ppl", domain="demo")
    assert found.runs() == [("source", "0"), ("spl", "0"), ("random", "0"), ("ppl", "0")]
    assert found.run("source", "0")[0] == "segmentation.py:source,demo"
    card, flags = found.run("random", "0")
    assert card == "spl.py:demo"
    assert "--config.start_from=/studies/one/spl-0/warmup" in flags
    card, flags = found.run("ppl", "0")
    assert card == "ppl.py:demo"
    assert not any("start_from" in flag for flag in flags)
    assert not any("start_from" in flag for flag in found.run("spl", "0")[1])
    assert study("spl", domain="").run("spl", "0")[0] == "spl.py"


def result(miou, skin, labelled, folds=None):
    found = {
        "miou": miou,
        "labelled_images": labelled,
        "classes": ["background", "skin", "dress"],
        "iou_by_class": {"background": 0.9, "skin": skin, "dress": None},
    }
    if folds is not None:
        found["folds"] = {"miou": folds, "iou_by_class": found["iou_by_class"] | {"skin": folds}}
    return found


RESULTS = {
    "factory": [result(0.60, 0.50, 20), result(0.64, None, 20)],
    "transfer": [result(0.30, 0.10, 20), result(0.32, 0.20, 20)],
    "supervised": [result(0.80, 0.70, 354), result(0.80, 0.70, 354)],
}


def test_the_summary_is_in_multiples_of_transfer():
    rows = comparison.summarise(RESULTS)
    assert rows["factory"]["miou"] == pytest.approx(62)
    assert rows["factory"]["miou_std"] == pytest.approx(2)
    assert rows["factory"]["times_transfer"] == pytest.approx(2)
    assert rows["factory"]["percent_of_supervised"] == pytest.approx(77.5)
    assert rows["supervised"]["labelled_images"] == 354
    assert "times_transfer" not in comparison.summarise({"factory": RESULTS["factory"]})["factory"]


def test_only_a_shared_oracle_makes_the_factory_wait():
    methods = ["supervised", "factory", "transfer"]
    needs = {
        domain: [Study(domain, methods, ["0"], Path("x")).needs(method, "0") for method in methods]
        for domain in ("ccp", "figures")
    }
    assert needs["ccp"] == [[], ["supervised"], ["factory"]]
    assert needs["figures"] == [[], [], ["factory"]]


def test_methods_that_ask_wait_for_the_one_that_warms_up():
    methods = ["source", "random", "spl", "ppl", "random-points", "supervised"]
    study = Study("camvid_dusk", methods, ["0"], Path("x"))
    needs = [study.needs(method, "0") for method in methods]
    assert needs == [[], [], ["random"], [], ["ppl"], []]


def test_a_study_that_grows_takes_the_warm_up_that_is_there(tmp_path):
    (tmp_path / "spl-0/warmup/checkpoints/100").mkdir(parents=True)
    (tmp_path / "random-1/warmup/checkpoints").mkdir(parents=True)  # begun, nothing kept
    study = Study("demo", ["random", "entropy", "spl"], ["0", "1"], tmp_path)
    needs = {seed: [study.needs(m, seed) for m in study.methods] for seed in study.seeds}
    assert needs == {"0": [["spl"], ["spl"], []], "1": [[], ["random"], ["random"]]}
    grown = Study("demo", ["random", "entropy"], ["0"], tmp_path)
    flag = f"--config.start_from={tmp_path / 'spl-0/warmup'}"
    assert all(flag in grown.run(method, "0")[1] for method in grown.methods)


@pytest.mark.parametrize("flag", ["--config.seed=7", "--workdir=x", "--config.start_from=y"])
def test_what_a_study_sets_itself_cannot_be_passed_on(flag):
    with pytest.raises(UserError, match=f"{flag.partition('=')[0]} after --"):
        Study("demo", ["source", "spl"], ["0", "1"], Path("x"), [flag]).runs()
    with pytest.raises(UserError, match=f"{flag.partition('=')[0]} in --factory"):
        Study("ccp", ["supervised", "factory"], ["0"], Path("x"), (), [flag]).runs()


def test_by_class_leaves_out_the_seeds_without_the_class():
    found = comparison.by_class(RESULTS)
    assert found["skin"] == pytest.approx({"factory": 50, "transfer": 15, "supervised": 70})
    assert found["dress"] == {"factory": None, "transfer": None, "supervised": None}


def test_the_folds_figures_are_preferred():
    runs = {"transfer": [result(0.5, 0.5, 20, folds=0.4)]}
    row = comparison.summarise(runs)["transfer"]
    assert (row["miou"], row["miou_last"]) == (pytest.approx(40), pytest.approx(50))
    assert comparison.by_class(runs)["skin"]["transfer"] == pytest.approx(40)


def test_the_launcher_runs_what_is_missing_and_writes_the_tables(monkeypatch, tmp_path, capsys):
    whole = Study("ccp", ["factory", "supervised"], ["0", "1"], tmp_path)
    started = []

    def run_all(jobs, at_once):
        assert at_once == 1
        for job in jobs:
            assert set(job.after) <= set(started)
            run(job.command)
        return 0

    def run(line):
        folder = Path(next(f for f in line if f.startswith("--workdir=")).partition("=")[2])
        started.append(folder.name)
        method, _, seed = folder.name.rpartition("-")
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "results.json").write_text(json.dumps(RESULTS[method][int(seed)]))
        assert Path(line[1]).name == "main.py"
        assert Path(line[2].partition("=")[2].partition(":")[0]).parent.name == "configs"

    monkeypatch.setattr(launcher, "run_all", run_all)
    launcher.make(whole)
    assert started == ["supervised-0", "factory-0", "supervised-1", "factory-1"]
    launcher.make(whole)
    assert len(started) == 4
    with pytest.raises(UserError, match="--config.x: was absent, now 1"):
        launcher.make(dataclasses.replace(whole, extra=["--config.x=1"]))
    text = (tmp_path / "study.txt").read_text()
    assert text in capsys.readouterr().out
    top, _, classes = text.partition("\n\n")
    assert top.splitlines()[2].split() == [
        "factory",
        "20",
        "62.00",
        "2.00",
        "62.00",
        "-",
        "77.50",
        "2",
    ]
    assert classes.splitlines()[3].split() == ["skin", "50.00", "70.00"]
    assert json.loads((tmp_path / "study.json").read_text())["by_class"]["skin"]["factory"] == 50
    with Image.open(io.BytesIO((tmp_path / "study.png").read_bytes())) as image:
        assert np.asarray(image).std() > 5


def by_name(words):
    return (word.split("=", 1) for word in words)


def finish_run(folder, content):
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(content))


def test_the_tables_hold_what_is_no_more_asked_for(tmp_path):
    for method, runs in RESULTS.items():
        for seed, content in enumerate(runs):
            finish_run(tmp_path / f"{method}-{seed}", content)
    finish_run(tmp_path / "notes-1", {})
    (tmp_path / "semi-0").mkdir()
    launcher.make(Study("ccp", ["supervised"], ["0"], tmp_path))
    found = json.loads((tmp_path / "study.json").read_text())["methods"]
    assert list(found) == ["supervised", "factory", "transfer"]
    assert {row["seeds"] for row in found.values()} == {2}
    with pytest.raises(UserError, match="spl cannot be compared in one study with factory, tran"):
        launcher.make(Study("ccp", ["spl"], ["0"], tmp_path))


def test_a_method_with_a_dash_and_seeds_of_two_digits_are_found(tmp_path):
    for name in ("random-points-10", "random-points-9", "spl-0"):
        finish_run(tmp_path / name, {})
    found = Study("demo", ["source"], ["0"], tmp_path).finished()
    assert found == {"spl": ["0"], "random-points": ["9", "10"]}


def test_one_seed_has_no_spread(tmp_path):
    runs = {"spl": [{"miou": 0.5, "asked_share": 0.02, "asked_pixels_per_image": 90}]}
    text = labor_comparison.write(tmp_path, runs)
    assert text.splitlines()[2].split() == ["spl", "2.000", "90", "50.00", "-", "-", "-", "1"]
    assert json.loads((tmp_path / "study.json").read_text())["methods"]["spl"]["miou_std"] is None
    text = comparison.write(tmp_path, {"transfer": RESULTS["transfer"][:1]})
    assert text.splitlines()[2].split()[:4] == ["transfer", "20", "30.00", "-"]


def test_runs_that_were_evaluated_without_labels_cannot_be_compared():
    runs = {"spl": [{**RESULTS["factory"][0], "miou": None}], "source": RESULTS["factory"]}
    for summarise in (labor_comparison.summarise, comparison.summarise):
        with pytest.raises(UserError, match="runs of spl have no mIoU.*config.data.eval"):
            summarise(runs)
