"""Compares methods over seeds: one table and one plot of mIoU against labelled pixels.

    python launch/study.py --domain=camvid_dusk --methods=source,random,spl,supervised \
        --seeds=0,1,2 --workdir=runs/camvid_dusk -- --config.train.steps=2000

What stands after `--` goes to every run. All runs of a seed that ask share one warm-up, which does
not depend on the strategy. A study that was stopped goes on with the same command: finished
runs are kept, a half-done one resumes.
"""

import json
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a checkout not installed

from absl import app, flags

from jax_labor.engine.startup import setup_log
from jax_labor.errors import UserError, exit_on_mistake
from jax_labor.experiments import comparison

HERE = Path(__file__).resolve().parents[1]
DOMAIN = flags.DEFINE_string("domain", "demo", "Domain preset of the cards; empty for the paper's.")
METHODS = flags.DEFINE_list(
    "methods", ["source", "adversarial", "spl", "supervised"], "What to compare."
)
SEEDS = flags.DEFINE_list("seeds", ["0"], "One run of each method for each of these.")
WORKDIR = flags.DEFINE_string("workdir", "runs/study", "Folder of the study.")

SHARE = {name: ("spl", name) for name in ("spl", "random", "entropy", "margin", "ripu")}
POINTS = {f"{name}-points": ("ppl", name) for name in ("random", "entropy", "margin")}
QUERIES = SHARE | {"ppl": ("ppl", "ppl")} | POINTS
BASELINES = ("source", "adversarial", "supervised")


def command(method: str, domain: str, workdir: Path, seed: str, warmup: str, extra) -> list[str]:
    """The command line of one run; `warmup` names the method whose warm-up it starts from."""
    if method in BASELINES:
        card = f"segmentation.py:{method}" + (f",{domain}" if domain else "")
        flags_ = []
    else:
        name, strategy = QUERIES[method]
        card = f"{name}.py" + (f":{domain}" if domain else "")
        flags_ = [f"--config.rounds.strategy={strategy}"]
    if warmup:
        flags_.append(f"--config.start_from={workdir / f'{warmup}-{seed}' / 'warmup'}")
    run = [sys.executable, str(HERE / "launch" / "main.py"), f"--config={HERE / 'configs' / card}"]
    return [
        *run,
        f"--workdir={workdir / f'{method}-{seed}'}",
        f"--config.seed={seed}",
        *flags_,
        *extra,
    ]


def study(domain: str, methods, seeds, workdir: Path, extra) -> None:
    """Makes every run that is not finished, then the table and the plot."""
    unknown = [m for m in methods if m not in QUERIES and m not in BASELINES]
    if unknown:
        known = ", ".join([*BASELINES, *QUERIES])
        raise UserError(f"--methods: {', '.join(unknown)} unknown; there are {known}")
    first = next((m for m in methods if m in QUERIES), "")
    for seed in seeds:
        for method in methods:
            if (workdir / f"{method}-{seed}" / "results.json").exists():
                continue
            print(f"== {method}, seed {seed}", file=sys.stderr, flush=True)
            warmup = first if method in QUERIES and method != first else ""
            line = command(method, domain, workdir, seed, warmup, extra)
            status = subprocess.run(line).returncode
            if status:
                sys.exit(status)
    found = {
        method: [_results(workdir / f"{method}-{seed}") for seed in seeds] for method in methods
    }
    print(comparison.write(workdir, found))


def _results(folder: Path) -> dict:
    return json.loads((folder / "results.json").read_text())


def main(argv):
    """Runs the study."""
    setup_log()
    with exit_on_mistake():
        study(DOMAIN.value, METHODS.value, SEEDS.value, Path(WORKDIR.value), argv[1:])


if __name__ == "__main__":
    app.run(main)
