import signal
import subprocess
import sys
from pathlib import Path

import pytest
from absl import flags
from ml_collections import ConfigDict, config_flags

from configs import common, datasetgan, ppl, segmentation, spl, stylegan2
from jax_labor.command_line import expand_home, read_flags
from jax_labor.errors import UserError
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
    for preset in ["", *datasetgan.PRESETS]:
        yield pytest.param(datasetgan.get_config(preset), id=f"datasetgan:{preset}")


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
        # Runs that share a warm-up may differ in loss.pseudo.
        assert all(p.self_trains == (p.round is not None) for p in plan)


@pytest.mark.parametrize("config", list(cards()))
def test_every_card_builds_its_network(config):
    config.data.source_view.size = (64, 64)
    state = state_shape(config, build_network(config, 11), 11)
    assert bool(state.discriminator) == (config.loss.adversarial > 0)
    assert ("selector" in state.params) == (config.model.selector != "none")


ANOTHER = {
    bool: lambda value: not value,
    int: lambda value: value + 1,
    float: lambda value: value / 2 + 1,
    str: lambda value: f"{value}_other",
    tuple: lambda values: tuple(value + 1 for value in values),
}


def leaves(config, prefix=""):
    for name, value in config.items():
        if isinstance(value, ConfigDict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
@pytest.mark.parametrize(
    "card",
    ["spl.py", "datasetgan.py:demo", *(f"stylegan2.py:{name}" for name in stylegan2.PRESETS)],
)
def test_every_setting_can_be_overridden(card):
    """As launch/main.py reads them from its command line."""
    values = flags.FlagValues()
    line = ["main.py", f"--config={ROOT}/configs/{card}"]
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=line)
    values(line)
    wanted = {name: ANOTHER[type(value)](value) for name, value in leaves(values.config)}
    values = flags.FlagValues()
    line += [f"--config.{name}={value}" for name, value in wanted.items()]
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=line)
    values(line)
    assert dict(leaves(values.config)) == wanted
    assert values.config.experiment == wanted["experiment"]


@pytest.mark.parametrize("preset", [*stylegan2.PRESETS, "auto,64", "stylegan2,512"])
def test_every_generator_has_an_experiment(preset):
    assert stylegan2.get_config(preset).experiment in EXPERIMENTS


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("spl.py:demoo", "Did you mean 'demo'?"),
        ("segmentation.py:sorce", "Did you mean 'source'?"),
        ("stylegan2.py:ccp_cup", "Did you mean 'ccp_cpu'?"),
        ("none.py", "--config: .*No such file.*none.py"),
        ("none.py --config.a=1", "--config: .*No such file.*none.py"),
        ("spl.py --config.rounds.shaer=0.1", 'Did you mean "share"'),
        ("spl.py --config.steps=3", "no such setting: 'steps'.*common.py"),
        ("spl.py --config.train.steps.x=3", "no such setting: .*train.steps.x"),
        ("spl.py --config.data.source.options.label=ids", "'label'. Options .* for a card to give"),
        ("spl.py --config.train.steps=abc", "--config.train.steps=abc: "),
        (r"spl.py --config.model.dilations=(1,", r"--config.model.dilations=\(1,: "),
        ("spl.py --confg=3", "confg.*Did you mean: config"),
        ("spl.py --force false", "what is false?"),
        ("spl.py -- --force", "what is --force?"),
        ("spl.py train.steps=3", "what is train.steps=3?"),
    ],
)
def test_a_mistake_in_the_command_line_is_one_message(line, message):
    line = ["main.py", *f"--config={ROOT}/configs/{line}".split()]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=line)
    flags.DEFINE_bool("force", False, "", values)
    with pytest.raises(UserError, match=message) as mistake:
        read_flags(line, values)
    assert "\n" not in str(mistake.value)


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
@pytest.mark.parametrize(
    "line",
    [
        ["--config.model.dilations=(1,2,4)", "--config.model.dilations=(6,12)"],
        ["--config.model.dilations", "(1,2,4)", "--config.model.dilations", "(6,12)"],
        [
            "--config.model.dilations=(1,)",
            "--config.train.tensorboard",
            "-config.model.dilations=6,12",
        ],
        ["--config.optimizer.warmup", "3", "--config.model.dilations=(6,12)", "--force"],
    ],
)
def test_the_last_value_of_a_setting_counts(line):
    line = ["main.py", f"--config={ROOT}/configs/spl.py", *line]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=line)
    flags.DEFINE_bool("force", False, "", values)
    read_flags(line, values)
    assert values.config.model.dilations == (6, 12)


OWN = """
from configs import common

def get_config():
    c = common.base()
    {line}
    return c
"""


@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")  # of ml_collections
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c.model.widht = 3", 'Did you mean "width" instead of "widht"'),
        ("c.modle.width = 3", 'Did you mean "model" instead of "modle"|no such setting: .modle'),
        ("c.rounds = 3 +", r"own.py, line 6: SyntaxError"),
        ("c = commn.base()", r"own.py, line 6: NameError: name 'commn'"),
        ("import nothere", r"own.py, line 6: ModuleNotFoundError: .*'nothere'"),
        ("common.choose(common.DOMAINS, 'demoo', 'preset')", "Did you mean 'demo'"),
        ("return 3", "get_config gives a int"),
        ("c = {}['a']", "own.py, line 6: KeyError: a"),
        ("c = [][2]", "own.py, line 6: IndexError: list index"),
        ("c.lost()", "own.py, line 6: AttributeError: "),
        ("c = int('x')", "own.py, line 6: ValueError: invalid literal"),
        ("c.train.steps = 'x'", "own.py, line 6: TypeError: .*steps"),
        ("import json; json.loads('x')", "own.py, line 6: JSONDecodeError: "),
        ("open('nothere')", "own.py, line 6: FileNotFoundError: .*'nothere'"),
        ("raise ValueError('no such town')", "^--config: no such town.$"),
    ],
)
def test_a_mistake_in_an_own_card_is_one_message(line, message, tmp_path):
    (tmp_path / "own.py").write_text(OWN.format(line=line))
    words = ["main.py", f"--config={tmp_path}/own.py"]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=words)
    with pytest.raises(UserError, match=message) as mistake:
        read_flags(words, values)
    assert str(mistake.value).startswith("--config: ")


def test_a_required_flag_is_missed():
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=["main.py"])
    flags.mark_flag_as_required("config", values)
    with pytest.raises(UserError, match="--config must be given, as in: "):
        read_flags(["main.py"], values)


@pytest.mark.parametrize("script", ["main.py --config=configs/spl.py", "evaluate.py", "prepare.py"])
def test_a_command_ends_on_a_mistake_in_its_line_with_status_2(script):
    command = [sys.executable, *f"launch/{script} bogus".split()]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("main.py", "--config must be given, as in: python launch/main.py --config=configs/spl.py"),
        ("annotate.py serve", "--workdir must be given, as in: python launch/annotate.py serve"),
    ],
)
def test_a_flag_that_must_be_given_is_shown_by_an_example(line, message):
    command = [sys.executable, *f"launch/{line}".split()]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 2
    assert found.stderr.startswith(f"error: {message}")


IN_A_CALLBACK = """
import gc

def collected(*_):
    raise KeyboardInterrupt

gc.callbacks.append(collected)  # as JAX does
gc.collect()
print("went on")
"""


@pytest.mark.parametrize("code", ["raise KeyboardInterrupt", IN_A_CALLBACK], ids=["code", "gc"])
def test_ctrl_c_is_one_line(code):
    code = f"import jax_labor.command_line\n{code}"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == -signal.SIGINT  # 130 for a shell
    assert found.stderr == "stopped by Ctrl-C\n" and not found.stdout


def test_help_is_still_given():
    command = [sys.executable, "launch/main.py", "--help"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "--workdir" in found.stdout


def test_the_home_folder_stands_for_a_tilde_behind_any_flag(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    words = ["main.py", "--workdir=~/runs/a", "--config.data.root=~", "--config.weights=a~b", "~/x"]
    expected = [f"--workdir={tmp_path}/runs/a", f"--config.data.root={tmp_path}", *words[3:]]
    assert expand_home(words) == ["main.py", *expected]


def test_commands_read_their_flags_with_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", "", "", flag_values=values)
    read_flags(["evaluate.py", "--workdir=~/run"], values)
    assert values.workdir == f"{tmp_path}/run"
