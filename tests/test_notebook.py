"""What a notebook does with a run: the README's lines, predictions without the data."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small import ROOT, config

from configs import spl
from jax_labor.errors import UserError
from jax_labor.experiments import restored, run
from jax_labor.experiments.segmenter_file import open_segmenter

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def workdir(tmp_path_factory, data):
    place = tmp_path_factory.mktemp("notebook") / "runs" / "spl"
    run(config(data), str(place))
    return place


def lines_of_the_readme():
    """The code of its section on notebooks."""
    section = (ROOT / "README.md").read_text().split("### In a notebook")[1].split("\n## ")[0]
    return "\n".join(x[4:] for x in section.splitlines() if x.startswith("    "))


def test_the_lines_of_the_readme(workdir, data, monkeypatch):
    monkeypatch.chdir(workdir.parents[1])
    Image.new("RGB", (70, 50), (90, 120, 200)).save("photo.jpg")
    small = config(data)
    monkeypatch.setattr(spl, "get_config", lambda preset: small)
    monkeypatch.setattr("jax_labor.engine.startup.setup_log", lambda: None)
    found = {}
    exec(lines_of_the_readme(), found)
    assert found["label"].shape == (50, 70)
    assert found["label"].dtype == np.uint8
    assert found["results"]["steps"] == 9
    assert Path("runs/mine/results.json").exists()


def test_predictions_are_those_of_the_evaluation(workdir, tmp_path):
    settings = restored.read_config(str(workdir))
    restored.evaluate(settings, str(workdir), predictions=str(tmp_path))
    records, segmenter = restored.load_domain(settings, "eval"), open_segmenter(str(workdir))
    assert segmenter.table == records.table
    for index, name in enumerate(records.names):
        label = segmenter.predict(records[index]["image"])
        expected = np.asarray(Image.open(tmp_path / f"{name}.png"))
        # Another program may round the logits of two equal classes apart.
        assert np.mean(segmenter.table.decode(label) == expected) > 0.995


@pytest.mark.parametrize("image", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8)])
def test_what_is_no_photo_is_refused(workdir, image):
    with pytest.raises(UserError, match="store it as 8-bit RGB"):
        open_segmenter(str(workdir)).predict(image)


def test_a_run_without_a_segmenter_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"experiment": "stylegan2"}')
    with pytest.raises(UserError, match="a run of stylegan2 has no segmenter"):
        open_segmenter(str(tmp_path))


def test_another_process_may_go_on_where_a_run_has_ended(workdir):
    code = "import sys; from jax_labor.engine.lock import hold; hold(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(workdir)], cwd=ROOT, check=True)
