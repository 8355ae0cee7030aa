"""Experiments: what a card's `experiment` names, run in a work directory."""

import difflib

from jax_labor.errors import UserError
from jax_labor.experiments import datasetgan, labor, segmentation, stylegan2

EXPERIMENTS = {
    "datasetgan": datasetgan.run,
    "labor": labor.run,
    "segmentation": segmentation.run,
    "stylegan2": stylegan2.run,
}


def run(config, workdir: str, force: bool = False) -> dict:
    """Runs the experiment of `config` in `workdir`; returns the content of results.json.

    Raises:
        UserError: an unknown experiment, or whatever mistake the experiment finds.
        session.Stopped: a signal stopped it; the same call goes on.
        annotators.Waiting: people have to answer a round first; the same call goes on.
    """
    if config.experiment not in EXPERIMENTS:
        close = difflib.get_close_matches(config.experiment, EXPERIMENTS, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise UserError(
            f"config.experiment is {config.experiment!r}: use {' or '.join(EXPERIMENTS)}.{hint}"
        )
    return EXPERIMENTS[config.experiment](config, workdir, force)
