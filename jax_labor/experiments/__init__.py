"""Experiments: what a card's `experiment` names, run in a work directory."""

from importlib import import_module

from jax_labor.engine.lock import release
from jax_labor.errors import check_choice
from jax_labor.experiments.bounds import check_run

# The module of each has a `run`; it is imported when it is asked for, as a start should be quick.
EXPERIMENTS = ("datasetgan", "labor", "segmentation", "stylegan2")


def run(config, workdir: str, force: bool = False) -> dict:
    """Runs the experiment of `config` in `workdir`; returns the content of results.json.

    Raises:
        UserError: an unknown experiment, or whatever mistake the experiment finds.
        run_session.Stopped: a signal stopped it; the same call goes on.
        annotators.Waiting: people have to answer a round first; the same call goes on.
    """
    check_choice("config.experiment", config.experiment, EXPERIMENTS)
    check_run(config)
    try:
        return import_module(f"{__name__}.{config.experiment}").run(config, workdir, force)
    finally:
        release()


def shared_sizes(config) -> list[int]:
    """The sizes that the number of devices has to divide: whole batches, and parts of a batch.

    What `gan_assembly.check` asks of a device's images is met by every divisor of these.

    Raises:
        UserError: a setting is None, see `bounds.check_run`.
    """
    check_run(config)
    sizes = [size for name, size in config.data.items() if name.endswith("_batch")]
    if "network" in config:
        # The discriminator's groups stay whole, and path lengths take every second image.
        batch, group = config.data.train_batch, config.network.mbstd_group or 1
        sizes += [batch // max(group, 1), batch // 2]
    return sizes
