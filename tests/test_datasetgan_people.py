"""People label a generator's samples on the page, or in another tool, and the run goes on."""

import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import forked
import numpy as np
import pytest
from small import ROOT, environment
from small_factory import SIZE, config, make_generator
from test_datasetgan import TABLE, bands, launch

from jax_labor.data import catalogue
from jax_labor.errors import UserError
from jax_labor.experiments import segmentation, segmenter_oracle
from jax_labor.labels import oracle
from jax_labor.labels.exchange import export_round
from jax_labor.labels.simulate import simulate
from jax_labor.labels.store import Round

PEOPLE = "--config.annotator=people"
pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    return make_generator(tmp_path_factory.mktemp("generator"))


@pytest.fixture(scope="module")
def waiting(tmp_path_factory, data, generator):
    """The workdir of a run that waits for people, and what it printed."""
    workdir = tmp_path_factory.mktemp("waiting") / "run"
    return workdir, launch(workdir, data, generator, PEOPLE, status=75)


@pytest.fixture(scope="module")
def unanswered(waiting, tmp_path_factory):
    """A copy of it, before anybody answers."""
    return shutil.copytree(waiting[0], tmp_path_factory.mktemp("unanswered") / "run")


@pytest.fixture
def run(unanswered, tmp_path):
    """A copy to answer."""
    return Path(shutil.copytree(unanswered, tmp_path / "run"))


def annotate(command, workdir, *flags, status=0):
    """Runs launch/annotate.py to its end; returns what it printed."""
    line = [sys.executable, str(ROOT / "launch/annotate.py"), command, f"--workdir={workdir}"]
    done = forked.run([*line, *flags], env=environment())
    assert done.returncode == status, done.stderr[-3000:]
    return done.stdout if status == 0 else done.stderr


@contextlib.contextmanager
def serving(command):
    """(address, token) of the page that `command` serves."""
    process = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        address = next(line for line in process.stdout if "#token=" in line).strip()
        yield address.split("/#token=")
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def test_samples_are_labelled_on_the_page(waiting, unanswered):
    """Both printed commands are followed as they stand, but for the port."""
    workdir, printed = waiting
    assert "waits for answers to 3 images" in printed
    said = dict(line.strip().split(": ", 1) for line in printed.splitlines() if "  to " in line)
    serve = [sys.executable, *shlex.split(said["to label"])[1:]]
    with serving([*serve, "--port=0"]) as (url, token):
        figures = simulate(url, token, truth=bands, annotators=2, seconds=2.0, real_time=0.0)
    round_ = Round(workdir, 0)
    assert (figures["images"], figures["lost"], round_.unanswered()) == (3, 0, [])
    for name in round_.names():
        np.testing.assert_array_equal(round_.read_answer(name), bands(name))
    on = [sys.executable, *shlex.split(said["to go on"])[1:]]
    assert forked.run(on, env=environment()).returncode == 0
    results = json.loads((workdir / "results.json").read_text())
    assert (results["annotator"], results["labelled_images"]) == ("people", 3)
    assert results["effort"]["images_answered"] == 3
    assert results["effort"]["seconds"] > 0
    assert round_.is_closed and not (workdir / "oracle").exists()
    card = json.loads((workdir / "dataset/card.json").read_text())
    assert card["splits"]["labelled"]["class_pixels"] == [3 * 3 * SIZE[1]] * TABLE.num_classes
    records = catalogue.load(
        "generated", root=str(workdir / "dataset"), split="labelled", classes=""
    )
    np.testing.assert_array_equal(records.label(0)[..., 0], bands(records.names[0]))
    assert "full" in annotate("report", workdir)
    assert (workdir / "effort/effort.json").exists()


@pytest.mark.parametrize("format", ["png", "labelme"])
def test_samples_are_labelled_in_another_tool(run, tmp_path, format):
    annotate("export", run, f"--format={format}", f"--out={tmp_path / 'out'}")
    assert len(list((tmp_path / "out/images").glob("*.png"))) == 3
    # What a person leaves there, by a copy of the round that is answered.
    other = Path(shutil.copytree(run, tmp_path / "other"))
    oracle.answer(Round(other, 0), bands)
    export_round(Round(other, 0), format, tmp_path / "out")
    source = [f"--format={format}", f"--source={tmp_path / 'out'}", "--annotator=ann"]
    assert "3 images answered, 0 open" in annotate("import", run, *source)
    for name in Round(run, 0).names():
        np.testing.assert_array_equal(Round(run, 0).read_answer(name), bands(name))


def test_a_program_labels_by_a_segmenter(run, data, generator, tmp_path):
    settings = config(data, generator, **{"train.steps": 1, "train.eval_every": 0})
    settings.eval.folds = 0
    segmentation.run(segmenter_oracle.oracle_config(settings), str(tmp_path / "oracle"))
    command = [sys.executable, str(ROOT / "launch/annotate.py"), "serve", f"--workdir={run}"]
    with serving([*command, "--port=0"]) as (url, token):
        place = [f"--url={url}", f"--token={token}", "--seconds=0"]
        wrong = annotate("simulate", run, *place, status=2)
        assert wrong.startswith("error: ") and wrong.count("\n") == 1 and "--oracle" in wrong
        annotate("simulate", run, *place, f"--oracle={tmp_path / 'oracle'}")
    round_ = Round(run, 0)
    says = segmenter_oracle.predictor(str(tmp_path / "oracle"), round_, TABLE)
    for name in round_.names():
        # Another number of devices may round a tie the other way.
        assert np.mean(round_.read_answer(name) == says(name)) > 0.98


def test_an_oracle_where_there_is_truth_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"experiment": "labor"}')
    with pytest.raises(UserError, match="has ground truth; leave --oracle out"):
        segmenter_oracle.run_truth(str(tmp_path), "somewhere")


def test_nothing_is_asked_yet(tmp_path):
    (tmp_path / "config.json").write_text('{"experiment": "datasetgan"}')
    with pytest.raises(UserError, match="no samples are there to label"):
        segmenter_oracle.run_truth(str(tmp_path))
