"""Runs one experiment card.

    python launch/main.py --config=configs/spl.py:demo --workdir=runs/demo --config.seed=1

The same work directory resumes. Exit status: 0 done, 2 a mistake in the input, 143 stopped by a
signal with its checkpoint saved (the same command goes on), 75 waiting for people to answer a round
(--config.annotator=people; it prints how to label, and the same command goes on).
"""

import shlex
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `configs` is not installed

from absl import app, flags
from ml_collections import config_flags

from jax_labor.command_line import parse

CONFIG = config_flags.DEFINE_config_file("config", None, "Experiment card: FILE.py[:preset].")
WORKDIR = flags.DEFINE_string("workdir", "", "Folder of the run; default runs/CARD/TIME.")
FORCE = flags.DEFINE_bool("force", False, "Resume although settings differ from the first start.")
COMPILED = flags.DEFINE_string(
    "compilation_cache", "~/.cache/jax_labor", "Folder of compiled programs; empty for none."
)


def main(_):
    """Runs the card in the work directory."""
    from jax_labor.engine.alarm import end_together
    from jax_labor.engine.signals import EXIT_STOPPED, EXIT_WAITING
    from jax_labor.engine.startup import (
        compile_faster,
        initialise_distributed,
        setup_jax,
        setup_log,
        share_cores,
    )
    from jax_labor.errors import exit_on_mistake
    from jax_labor.experiments import run, shared_sizes
    from jax_labor.experiments.annotators import Waiting
    from jax_labor.experiments.run_session import Stopped

    try:
        with exit_on_mistake():
            if CONFIG.value.experiment != "datasetgan":  # same bytes from any number of processes
                compile_faster()
            if initialise_distributed() is None:
                share_cores(*shared_sizes(CONFIG.value))
            setup_log()
            setup_jax(COMPILED.value)
            with end_together(agreed=(Stopped, Waiting)):
                workdir = WORKDIR.value or _default_workdir()
                run(CONFIG.value, workdir, FORCE.value)
    except Stopped as stopped:
        print(f"{stopped}: the same command goes on.", file=sys.stderr)
        sys.exit(EXIT_STOPPED)
    except Waiting as waiting:
        print(_how_to_go_on(waiting, workdir), file=sys.stderr)
        sys.exit(EXIT_WAITING)


def _how_to_go_on(waiting, workdir: str) -> str:
    label = ["python", str(Path(__file__).with_name("annotate.py")), "serve", "--workdir", workdir]
    on = ["python", *sys.argv]
    if not WORKDIR.value:
        on.append(f"--workdir={workdir}")
    return f"{waiting}.\n  to label:  {shlex.join(label)}\n  to go on:  {shlex.join(on)}"


def _default_workdir() -> str:
    """A new folder, the same in all processes although their clocks differ."""
    from jax_labor.engine.processes import from_main

    card = Path(config_flags.get_config_filename(flags.FLAGS["config"]).partition(":")[0]).stem
    workdir = from_main(lambda: f"runs/{card}/{time.strftime('%Y%m%d-%H%M%S')}")
    print(f"workdir: {workdir}", file=sys.stderr)
    return workdir


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main, flags_parser=parse)
