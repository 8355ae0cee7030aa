"""Compares methods over seeds: tables and a plot.

    python launch/study.py --domain=camvid_dusk --methods=source,random,spl,supervised \
        --seeds=0,1,2 --workdir=runs/camvid_dusk -- --config.train.steps=2000
    python launch/study.py --domain=ccp --methods=supervised,factory,transfer,semi \
        --seeds=0,1,2 --workdir=runs/ccp --factory=--config.generator.path=runs/generator

What stands after `--` goes to every run, --factory to the runs of DatasetGAN's factory. All runs of
a seed and a card (SPL's or PPL's) share one warm-up, which does not depend on the strategy; in a
study of a factory a segmenter trained on real labels labels its samples, and transfer and semi
learn from the same ones. --jobs=2 makes two runs at once: on CPU cores sooner done than one by one.
A study that was stopped goes on with the same command: finished runs are kept, a half-done one
resumes. It may grow by methods and seeds: the tables hold all runs that are finished, also those
not asked for any more. Another domain or other flags take another --workdir.
"""

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for a checkout not installed

from absl import app, flags

from jax_labor import command_line
from jax_labor.engine.jobs import Job, run_all
from jax_labor.errors import UserError, exit_on_mistake
from jax_labor.experiments import comparison, comparison_datasetgan
from jax_labor.experiments.study import Study
from jax_labor.files import local_folder, read_json
from jax_labor.log import show_log

HERE = Path(__file__).resolve().parents[1]
DOMAIN = flags.DEFINE_string("domain", "demo", "Domain preset of the cards; empty for the paper's.")
METHODS = flags.DEFINE_list(
    "methods", ["source", "adversarial", "spl", "supervised"], "What to compare."
)
SEEDS = flags.DEFINE_list("seeds", ["0"], "One run of each method for each of these.")
WORKDIR = flags.DEFINE_string("workdir", "runs/study", "Folder of the study.")
JOBS = flags.DEFINE_integer(
    "jobs", 1, "Runs at once, each on its share of the CPU cores.", lower_bound=1
)
FACTORY = flags.DEFINE_multi_string("factory", [], "A flag of the factory's runs; repeatable.")


def make(study: Study) -> None:
    """Makes every run that is asked for and not finished; then tables and a plot of all."""
    runs = study.runs()
    study.hold()
    unfinished = [run for run in runs if not (study.folder(*run) / "results.json").exists()]
    jobs = [
        Job(
            name=f"{method}-{seed}",
            command=command(study, method, seed),
            after=[f"{m}-{seed}" for m in study.needs(method, seed) if (m, seed) in unfinished],
        )
        for method, seed in unfinished
    ]
    if status := run_all(jobs, JOBS.value):
        sys.exit(status)
    found = {
        method: [read_json(study.folder(method, seed) / "results.json") for seed in seeds]
        for method, seeds in study.finished().items()
    }
    write = comparison_datasetgan.write if study.is_datasetgan else comparison.write
    print(write(study.workdir, found))


def command(study: Study, method: str, seed: str) -> list[str]:
    """The command line of one run."""
    card, rest = study.run(method, seed)
    main_ = HERE / "launch" / "main.py"
    return [sys.executable, str(main_), f"--config={HERE / 'configs' / card}", *rest]


def parse(argv: list[str]) -> list[str]:
    """Reads the study's own flags; returns those of every run, which stand after `--`."""
    end = argv.index("--") if "--" in argv else len(argv)
    own, extra = argv[:end], argv[end + 1 :]
    with exit_on_mistake():
        for before, word in itertools.pairwise(own):
            if word.startswith("--config.") and before != "--factory":
                raise UserError(f"{word} is for the runs: write it after --, as -- {word}.")
        command_line.read_flags(own)
        passed_on = [*extra, *FACTORY.value]
        command_line.nothing_left([word for word in passed_on if not word.startswith("--")])
    return extra


def main(extra):
    """Runs the study."""
    with exit_on_mistake():
        show_log()  # and start no JAX, whose accelerator the runs need
        workdir = local_folder(WORKDIR.value, "--workdir")
        asked = DOMAIN.value, METHODS.value, SEEDS.value
        make(Study(*asked, workdir, extra, FACTORY.value))


if __name__ == "__main__":
    app.run(main, flags_parser=parse)
