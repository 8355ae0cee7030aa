"""Experiments: what a card's `experiment` names, run in a work directory."""

from importlib import import_module

from jax_labor.errors import unknown

# The module of each has a `run`; it is imported when it is asked for, as a start should be quick.
EXPERIMENTS = ("datasetgan", "labor", "segmentation", "stylegan2")


def run(config, workdir: str, force: bool = False) -> dict:
    """Runs the experiment of `config` in `workdir`; returns the content of results.json.

    Raises:
        UserError: an unknown experiment, or whatever mistake the experiment finds.
        session.Stopped: a signal stopped it; the same call goes on.
        annotators.Waiting: people have to answer a round first; the same call goes on.
    """
    if config.experiment not in EXPERIMENTS:
        raise unknown("config.experiment", config.experiment, EXPERIMENTS)
    return import_module(f"{__name__}.{config.experiment}").run(config, workdir, force)
