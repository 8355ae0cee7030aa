"""Runs one experiment card.

    python launch/main.py --config=configs/spl.py:demo --workdir=runs/demo --config.seed=1

The same work directory resumes. Exit status: 0 done, 2 a mistake in the input, 143 stopped by a
signal with its checkpoint saved (the same command goes on).
"""

import sys
import time
from pathlib import Path

from absl import app, flags
from ml_collections import config_flags

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `configs` is not installed

from jax_labor.experiments import run

CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment card: FILE.py[:preset].")
WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run; default runs/CARD/TIME.")
FORCE = flags.DEFINE_bool("force", False, "Resume although settings differ from the first start.")


def main(_):
    """Runs the card in the work directory."""
    card = Path(config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]).stem
    workdir = WORKDIR.value or f"runs/{card}/{time.strftime('%Y%m%d-%H%M%S')}"
    sys.exit(run(CONFIG.value, workdir, force=FORCE.value))


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main)
