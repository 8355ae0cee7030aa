"""Source only, adversarial adaptation or full supervision: what LabOR is measured against."""

from jax_labor.experiments.finish import finish
from jax_labor.experiments.phases import segmentation_phases
from jax_labor.experiments.session import Session


def run(config, workdir: str, force: bool = False) -> dict:
    """Trains without queries; returns the content of results.json."""
    with Session(config, workdir, force) as session:
        for phase in segmentation_phases(config):
            if session.step < phase.end:
                session.train(phase)
        return finish(session)
