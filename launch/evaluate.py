"""Evaluates a checkpoint of a run: table by class, JSON, predictions as PNGs.

    python launch/evaluate.py --workdir=runs/spl --flip --scales=0.75,1,1.25
    python launch/evaluate.py --workdir=runs/spl --predictions=out --json=out.json
    python launch/evaluate.py --config=configs/spl.py --config.weights=advent:model_120000.pth

The last form evaluates a weights file (see launch/weights.py) as a card says. The input is the
`eval` data at `eval.size`; IoU is counted at label resolution.
Predictions are label-id PNGs at the label's size, as the official Cityscapes scripts read them.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a checkout not installed

from absl import app, flags
from ml_collections import config_flags

from jax_labor.command_line import parse
from jax_labor.engine.alarm import end_together
from jax_labor.engine.startup import compile_faster, initialise_distributed, setup_jax, setup_log
from jax_labor.errors import UserError, exit_on_mistake
from jax_labor.experiments import restored
from jax_labor.experiments.evaluation import read_scales
from jax_labor.files import check_writable, write_json

WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run.")
CONFIG = config_flags.DEFINE_config_file("config", None, "Card for a file of --config.weights.")
STEP = flags.DEFINE_integer("step", None, "Checkpoint to evaluate; default the newest.")
FLIP = flags.DEFINE_bool("flip", False, "Average with the mirrored image.")
SCALES = flags.DEFINE_list("scales", ["1"], "Factors on the input size; several are averaged.")
SPLIT = flags.DEFINE_string("split", "", "Split to evaluate; default the run's.")
NAMES = flags.DEFINE_string(
    "names", "", "Only names that match, such as '0001TP_*'; default the run's."
)
ROOT = flags.DEFINE_string("root", "", "Folder of the data sets; default the run's.")
DATA_DIR = flags.DEFINE_string("data_dir", "", "Folder of prepared data; default the run's.")
PREDICTIONS = flags.DEFINE_string("predictions", "", "Folder for label-id PNGs.")
JSON = flags.DEFINE_string("json", "", "File for the figures.")


def main(_):
    """Evaluates and prints."""
    with exit_on_mistake():
        compile_faster()
        initialise_distributed()
        setup_log()
        setup_jax()
        with end_together():
            if JSON.value:
                check_writable(JSON.value)
            evaluation = restored.evaluate(_config(), WORKDIR.value, STEP.value, PREDICTIONS.value)
            if JSON.value:
                write_json(JSON.value, evaluation.report())
        print(evaluation.text())


def _config():
    """The run's or the card's settings with the flags' changes."""
    if bool(WORKDIR.value) == bool(CONFIG.value):
        raise UserError(
            "name either the --workdir of a run, or a card by --config with a file by"
            " --config.weights"
        )
    config = CONFIG.value or restored.read_config(WORKDIR.value)
    if "eval" not in config:
        raise UserError(f"a run or card of {config.experiment} has no segmenter to evaluate")
    config.eval.flip = FLIP.value
    config.eval.scales = read_scales(SCALES.value, "--scales")
    config.data.root = ROOT.value or config.data.root
    config.data.dir = DATA_DIR.value or config.data.dir
    config.data.eval.split = SPLIT.value or config.data.eval.split
    config.data.eval.names = NAMES.value or config.data.eval.names
    return config


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
