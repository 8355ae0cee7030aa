"""DatasetGAN (Zhang et al., CVPR 2021): a few labelled samples, a data set, a segmenter."""

import dataclasses
import logging

import jax
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from jax_labor.engine.config import check_config, write_config
from jax_labor.engine.lock import hold
from jax_labor.engine.signals import StopFlag, agreed
from jax_labor.errors import UserError
from jax_labor.experiments import factory, samples, segmenter_oracle
from jax_labor.experiments.annotators import SEGMENTER, answer_round, check_annotator
from jax_labor.experiments.assembly import load_domain
from jax_labor.experiments.bounds import check_run
from jax_labor.experiments.checks import check_training
from jax_labor.experiments.finish import finish
from jax_labor.experiments.generator_file import OpenGenerator, open_generator
from jax_labor.experiments.phases import segmentation_phases
from jax_labor.experiments.pixel_training import check_ensemble, read_ensemble, train_ensemble
from jax_labor.experiments.run_session import Stopped
from jax_labor.experiments.session import Session, free_settings
from jax_labor.files import prepare_workdir
from jax_labor.labels.effort import summary
from jax_labor.labels.store import Round

_LOG = logging.getLogger(__name__)


def run(config, workdir: str, force: bool = False) -> dict:
    """From a generator and a few labels to a segmenter; returns the content of results.json.

    Raises:
        Waiting: people have to label the samples first; the same call goes on.
        Stopped: a signal came; what is done is saved.
        UserError: see the parts.
    """
    check_run(config)
    check_annotator(config.annotator, SEGMENTER)
    factory.check(config.factory, workdir)
    check_ensemble(config)
    check_training(config)
    if config.generator.cutoff < 0:
        raise UserError(f"config.generator.cutoff is {config.generator.cutoff}: use 0 or more.")
    config = ConfigDict(config.to_dict())
    config.data.source.root = str(factory.dataset_folder(workdir).resolve())
    made = _make_dataset(config, workdir, force)
    with Session(config, workdir, force) as session:
        for phase in segmentation_phases(config):
            if session.step < phase.end:
                session.train(phase)
        return finish(session, more=made)


@dataclasses.dataclass
class Preparation:
    """Where the data set is made, before the segmenter's training: a Desk that can be stopped.

    Attributes:
        config: the card's settings.
        workdir: the work directory.
        is_main: whether this process writes.
        stop: set by a signal.
    """

    config: ConfigDict
    workdir: str
    is_main: bool
    stop: StopFlag

    def check_stop(self) -> None:
        """Raises Stopped if a signal came; call in all processes."""
        if agreed(self.stop.set):
            raise Stopped("stopped by a signal before the segmenter's training; all work is saved")


def _make_dataset(config, workdir, force) -> dict:
    """Brings WORKDIR/dataset about, part by part; returns what results.json says of it."""
    is_main = jax.process_index() == 0
    if is_main:
        prepare_workdir(workdir)
        hold(workdir)
    if not force:
        check_config(workdir, config.to_dict(), free_settings(config))
    generator = open_generator(config.generator.path)
    table = load_domain(config, "eval").table
    if is_main:  # what is refused above may be corrected by the next start
        write_config(workdir, config.to_dict())
    with StopFlag() as stop:
        preparation = Preparation(config, workdir, is_main, stop)
        if config.ensemble.weights:
            labelled = None
            channels = sum(shape[-1] for shape in generator.network.feature_sizes.values())
            ensemble = read_ensemble(config.ensemble.weights, table, channels)
            asked = {"labelled_images": 0, "ensemble": config.ensemble.weights}
        else:
            labelled, asked = _labelled_samples(preparation, generator, table)
            ensemble = train_ensemble(config, labelled, table, workdir, preparation.check_stop)
        dataset = factory.write_dataset(preparation, generator, ensemble, labelled, table)
    return {
        "generator": {"source": generator.source, "sha256": generator.checksum},
        "annotator": config.annotator,
        **asked,
        "dataset": dataset,
    }


def _labelled_samples(preparation: Preparation, generator: OpenGenerator, table):
    """The samples with their answers, and what they cost."""
    config, workdir = preparation.config, preparation.workdir
    if preparation.is_main:
        samples.write_samples(config, generator, table, workdir)
    multihost_utils.sync_global_devices("samples written")
    round_ = Round(workdir, 0)

    def oracle():
        run = segmenter_oracle.oracle_run(config, workdir)
        return segmenter_oracle.predictor(run, round_, table)

    answer_round(preparation, round_, oracle)
    multihost_utils.sync_global_devices("samples answered")
    labelled = samples.read_samples(generator, round_)
    if preparation.is_main:
        round_.close()
    _LOG.info("%d samples are labelled", len(labelled.names))
    return labelled, {"labelled_images": len(labelled.names), "effort": summary([round_])}
