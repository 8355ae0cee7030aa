"""DatasetGAN (Zhang et al., CVPR 2021): a few labelled samples, a data set, a segmenter."""

import dataclasses
import logging

import jax
from ml_collections import ConfigDict

from jax_labor.classes import ClassTable
from jax_labor.data.augment import check_crops
from jax_labor.data.generated import LABELLED, TRAIN
from jax_labor.data.generated.layout import NAME as GENERATED
from jax_labor.data.records import named_sizes
from jax_labor.engine.config import write_config
from jax_labor.engine.processes import from_main, together
from jax_labor.engine.signals import StopFlag, agreed
from jax_labor.engine.workdir import take
from jax_labor.errors import UserError, check_choice
from jax_labor.experiments import factory, folds, samples, segmenter_oracle
from jax_labor.experiments.annotators import answer_round, check_annotator
from jax_labor.experiments.assembly import (
    blank_variables,
    build_network,
    check_classes,
    load_domain,
)
from jax_labor.experiments.bounds import check_least
from jax_labor.experiments.checks import check_training, train_view
from jax_labor.experiments.finish import finish
from jax_labor.experiments.generator_file import OpenGenerator
from jax_labor.experiments.kept_generator import open_samples_generator
from jax_labor.experiments.phases import segmentation_phases, uses_target
from jax_labor.experiments.pixel_training import (
    check_batch_holds,
    check_ensemble,
    read_ensemble,
    train_ensemble,
)
from jax_labor.experiments.run_session import Stopped
from jax_labor.experiments.session import Session, free_settings
from jax_labor.labels.answer_checks import SEGMENTER
from jax_labor.labels.effort import summary
from jax_labor.models.pretrained import initialise

_LOG = logging.getLogger(__name__)


def run(config, workdir: str, force: bool = False) -> dict:
    """From a generator and a few labels to a segmenter; returns the content of results.json.

    Raises:
        Waiting: people have to label the samples first; the same call goes on.
        Stopped: a signal came; what is done is saved.
        UserError: see the parts.
    """
    factory.check(config, workdir)  # first of all: a bucket is refused unread
    generator = open_samples_generator(config, workdir)
    config = _completed(config, workdir, generator)
    _check_settings(config)
    made = _make_dataset(config, workdir, generator, force)
    with Session(config, workdir, segmentation_phases(config), force) as session:
        session.train_all()
        return finish(session, more=made)


def _check_settings(config) -> None:
    """Refuses settings of any part before the first begins: people label in between."""
    check_annotator(config.annotator, SEGMENTER)
    check_least(config, dict.fromkeys(("samples.count", "samples.candidates"), 1))
    check_least(config, {"generator.psi": 0, "generator.cutoff": 0})
    check_ensemble(config)
    check_training(config)
    segmentation_phases(config)
    if config.data.source.name != GENERATED:
        raise UserError(
            f"config.data.source.name is {config.data.source.name!r}: the segmenter learns from"
            f" what the run writes, {GENERATED!r}; configs/segmentation.py takes other sources."
        )
    # Published classifiers come without labelled samples.
    splits = (TRAIN,) if config.ensemble.weights else (TRAIN, LABELLED)
    for split in config.data.source.split.split("+"):
        check_choice("config.data.source.split", split, splits)
    if config.loss.target:
        raise UserError(
            "config.loss.target is above 0, but this segmenter learns from what the run writes"
            " alone: set it to 0; configs/segmentation.py:supervised learns from real labels."
        )
    if config.start_from:
        raise UserError("config.start_from: this training has no warm-up to share; leave it empty.")


def _completed(config, workdir, generator: OpenGenerator) -> ConfigDict:
    """The settings with what only the generator and the work directory can tell."""
    config = ConfigDict(config.to_dict())
    config.data.source.root = str(factory.dataset_folder(workdir).resolve())
    for part in (config.data.source_view, config.data.target_view, config.eval):
        if not part.size:
            part.size = generator.size
    return config


def _check_segmenter(config, size: tuple[int, int]) -> ClassTable:
    """Refuses what the segmenter's training would, when all is labelled; returns the classes.

    Args:
        config: the completed settings.
        size: (H, W) of the generator's images.

    Raises:
        UserError: naming the setting, and what it may be.
    """
    target, evaluated = (load_domain(config, role) for role in ("target", "eval"))
    table = evaluated.table
    check_crops([("the generator's images", size)], train_view(config, "source"))
    if uses_target(segmentation_phases(config)):
        check_crops(named_sizes(target), train_view(config, "target"))
    check_classes("target", target.table, table)
    folds.assign(evaluated.names, folds.count(config, evaluated))
    network = build_network(config, table.num_classes)
    # Traced with or without a file: what is no network is refused here.
    blank = blank_variables(config, network, table.num_classes)
    if config.weights:
        initialise(blank, config.weights, config.model, config.data.normalize)
    if config.annotator == SEGMENTER and config.oracle.run:
        segmenter_oracle.check_classes(config.oracle.run, table)
    return table


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


def _make_dataset(config, workdir, generator: OpenGenerator, force: bool) -> dict:
    """Brings WORKDIR/dataset about, part by part; returns what results.json says of it."""
    is_main = jax.process_index() == 0
    take(workdir, config.to_dict(), free_settings(config), force)
    table = together(lambda: _check_segmenter(config, generator.size))
    weights = config.ensemble.weights
    if weights:
        channels = sum(shape[-1] for shape in generator.network.feature_sizes.values())
        ensemble = together(lambda: read_ensemble(weights, table, channels))
    else:
        check_batch_holds(config.ensemble.batch, table)
    if is_main:  # what is refused above may be corrected by the next start
        write_config(workdir, config.to_dict())
    with StopFlag() as stop:
        preparation = Preparation(config, workdir, is_main, stop)
        if weights:
            labelled, asked = None, {"labelled_images": 0, "ensemble": weights}
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
    round_ = from_main(lambda: samples.write_samples(config, generator, table, workdir))

    def oracle():
        run = segmenter_oracle.oracle_run(config, workdir)
        return segmenter_oracle.predictor(run, round_, table)

    answer_round(preparation, round_, oracle)
    # Making the samples again takes minutes, in which a review could change what is not closed.
    from_main(lambda: samples.take_answers(generator, round_, table, config.ensemble.smallest))
    labelled = together(lambda: samples.read_samples(generator, round_))
    _LOG.info("%d samples are labelled", len(labelled.names))
    return labelled, {"labelled_images": len(labelled.names), "effort": summary([round_])}
