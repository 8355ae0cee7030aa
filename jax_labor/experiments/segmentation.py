"""Source only, adversarial adaptation or full supervision: what LabOR is measured against."""

from jax_labor.errors import UserError
from jax_labor.experiments.finish import finish
from jax_labor.experiments.phases import segmentation_phases
from jax_labor.experiments.session import Session


def run(config, workdir: str, force: bool = False) -> dict:
    """Trains without queries; returns the content of results.json.

    Raises:
        UserError: the target's labels are to be used, and it has none.
    """

    def check(data):
        if config.loss.target and data.target.all_void:
            raise UserError(
                "config.loss.target is above 0, but config.data.target has no labels, or all are"
                " void: choose a labelled split, or train with configs/segmentation.py:source."
            )

    with Session(config, workdir, segmentation_phases(config), force, check) as session:
        session.train_all()
        return finish(session)
