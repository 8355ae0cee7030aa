import subprocess
import sys
from pathlib import Path

import pytest

from configs import common, ppl, segmentation, spl
from jax_labor.experiments import EXPERIMENTS
from jax_labor.experiments.assembly import build_network, state_shape
from jax_labor.experiments.phases import labor_phases, segmentation_phases
from jax_labor.labels.budget import check_budget

ROOT = Path(__file__).resolve().parents[1]
PRESETS = ["", *common.DOMAINS]


def cards():
    for preset in PRESETS:
        yield pytest.param(spl.get_config(preset), id=f"spl:{preset}")
        yield pytest.param(ppl.get_config(preset), id=f"ppl:{preset}")
        for method in segmentation.METHODS:
            name = f"{method},{preset}" if preset else method
            yield pytest.param(segmentation.get_config(name), id=f"segmentation:{name}")


@pytest.mark.parametrize("config", list(cards()))
def test_every_card_describes_a_run(config):
    assert config.experiment in EXPERIMENTS
    phases = labor_phases if config.experiment == "labor" else segmentation_phases
    plan = phases(config)
    assert plan[0].start == 0
    assert plan[-1].end == config.train.steps
    assert all(a.end == b.start for a, b in zip(plan, plan[1:], strict=False))
    if config.experiment == "labor":
        check_budget(config.rounds.share, config.rounds.points)
        assert [p.round for p in plan if p.round is not None] == list(range(config.rounds.count))


@pytest.mark.parametrize("config", list(cards()))
def test_every_card_builds_its_network(config):
    config.data.source_view.size = (64, 64)
    state = state_shape(config, build_network(config, 11), 11)
    assert bool(state.discriminator) == (config.loss.adversarial > 0)
    assert "selector" in state.params


@pytest.mark.parametrize(
    ("card", "message"),
    [("spl.py:demoo", "Did you mean 'demo'?"), ("segmentation.py:sorce", "Did you mean 'source'?")],
)
def test_a_wrong_preset_suggests_the_right_one(card, message):
    command = [sys.executable, "launch/main.py", f"--config=configs/{card}"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode != 0
    assert message in found.stderr


def test_a_wrong_flag_suggests_the_right_one():
    command = [sys.executable, "launch/main.py", "--config=configs/spl.py:demo"]
    found = subprocess.run(
        [*command, "--config.rounds.shaer=0.1"], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode != 0
    assert "share" in found.stderr
