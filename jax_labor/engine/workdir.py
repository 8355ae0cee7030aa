"""A run's work directory, taken at its start: for this run alone, with the settings it had."""

from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jax_labor.engine.config import check_config
from jax_labor.engine.lock import hold
from jax_labor.engine.processes import from_main
from jax_labor.files import check_plain, prepare_workdir, remove_parts


def take(
    workdir: epath.PathLike, config: Mapping[str, Any], free: Sequence[str], force: bool
) -> None:
    """Make the work directory, or take it up; call in all processes.

    Args:
      workdir: the work directory.
      config: the run's settings, see `check_config`.
      free: names of settings that may differ from those of its first start.
      force: take it whatever settings it was started with.

    Raises:
      UserError: its path cannot be, it cannot be written, another process trains there, or its
        settings differ.
    """

    def work():
        check_plain(workdir)
        prepare_workdir(workdir)
        hold(workdir)
        remove_parts(workdir)
        if not force:
            check_config(workdir, config, free)

    from_main(work)
