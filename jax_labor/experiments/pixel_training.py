"""The ensemble of pixel classifiers of a run: trained on labelled samples, or read from files."""

import logging
import zlib
from collections.abc import Callable

import jax
import numpy as np
import optax
from etils import epath

from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.finite import check_finite
from jax_labor.engine.report import Reporter
from jax_labor.errors import UserError
from jax_labor.experiments.bounds import check_least, check_positive
from jax_labor.experiments.samples import LabelledSamples
from jax_labor.models.pixel_ensemble import PixelClassifier, fold
from jax_labor.models.pretrained.pixel_classifiers import read_pixel_classifiers
from jax_labor.steps.pixel_ensemble import create_ensemble, find_labelled, make_training

# Folded into the run's seed; far from steps, and from the purposes of `steps.samples`.
_ENSEMBLE = np.uint32(2**32 - 5)
_LOG = logging.getLogger(__name__)


def check_ensemble(config) -> None:
    """Raises a UserError that names the setting of `config.ensemble` that cannot be."""
    settings, counts = config.ensemble, ("members", "steps", "batch", "checkpoint_every")
    check_least(config, {f"ensemble.{name}": 1 for name in counts} | {"ensemble.smallest": 0})
    check_positive(config, ["ensemble.lr"])
    if not all(isinstance(width, int) and width >= 1 for width in settings.hidden):
        raise UserError(f"config.ensemble.hidden is {settings.hidden}: widths are 1 or more.")
    layers = len(settings.hidden) or 2
    if settings.dropout and len(settings.dropout) != layers:
        raise UserError(
            f"config.ensemble.dropout has {len(settings.dropout)} rates for {layers} hidden layers:"
            " give one for each, or none."
        )
    if not all(isinstance(rate, (int, float)) and 0 <= rate < 1 for rate in settings.dropout):
        raise UserError(f"config.ensemble.dropout is {settings.dropout}: rates are 0 to below 1.")


def check_batch_holds(batch: int, table) -> None:
    """Raises a UserError where a batch has no place for a pixel of every class."""
    if batch < table.num_classes:
        raise UserError(
            f"config.ensemble.batch is {batch}, but {table.num_classes} classes need a pixel each:"
            f" use {table.num_classes} or more."
        )


def train_ensemble(
    config, samples: LabelledSamples, table, workdir, check_stop: Callable[[], None]
) -> dict:
    """Trains all members at once, going on from the newest checkpoint in `workdir/ensemble`.

    Every process trains the same ensemble, bit for bit: it is small, and no step needs another.

    Args:
        config: the card's settings.
        samples: what somebody labelled.
        table: the classes.
        workdir: the run's work directory.
        check_stop: called between checkpoints; raises Stopped if a signal came.

    Returns:
        The members' {"params", "batch_stats"}, NumPy arrays with a leading axis of members.

    Raises:
        UserError: other labels than those that the checkpoint was trained on.
        NonFiniteLoss: a loss is not finite; the last checkpoint is kept.
    """
    settings = config.ensemble
    widths, rates = tuple(settings.hidden), tuple(settings.dropout)
    model, tx = PixelClassifier(table.num_classes, widths, rates), optax.adam(settings.lr)
    key = jax.random.fold_in(jax.random.key(config.seed), _ENSEMBLE)
    channels = sum(x.shape[-1] for x in samples.maps)
    fresh = jax.device_get(create_ensemble(model, tx, key, channels, range(settings.members)))
    place = epath.Path(workdir) / "ensemble"
    checkpoints = Checkpoints(place, keep=2)
    labels_sum = zlib.crc32(samples.labels.tobytes())
    state, step = _resumed(checkpoints, fresh, labels_sum)
    is_main = jax.process_index() == 0
    reporter = Reporter(place, step, tensorboard=False, is_main=is_main)
    size, pixels = samples.labels.shape[1:], find_labelled(samples.labels)
    maps = tuple(map(jax.numpy.asarray, samples.maps))
    programs = {}
    try:
        while step < settings.steps:
            count = min(settings.checkpoint_every, settings.steps - step)
            if count not in programs:
                programs[count] = jax.jit(make_training(model, tx, size, count, settings.batch))
            state, losses = programs[count](state, maps, pixels, key)
            step += count
            loss = {"loss": float(losses.mean())}
            check_finite(step, loss)
            reporter.write(step, loss)
            _LOG.info("ensemble: step %d of %d, loss %.4f", step, settings.steps, loss["loss"])
            checkpoints.save(step, state, {"labels": labels_sum})
            if step < settings.steps:
                check_stop()
    finally:
        reporter.close()
        checkpoints.close()
    return jax.device_get({"params": state.params, "batch_stats": state.batch_stats})


def read_ensemble(folder: str, table, channels: int) -> dict:
    """Reads published classifiers, a folder of model_<i>.pth, as `train_ensemble` returns them.

    Raises:
        UserError: they are of other classes or features; or what `read_pixel_classifiers` finds.
    """
    model, variables = read_pixel_classifiers(folder)
    found = fold(variables).kernel.shape[1]
    if (model.num_classes, found) != (table.num_classes, channels):
        raise UserError(
            f"{folder}: classifiers of {model.num_classes} classes on {found} channels, but"
            f" config.data.classes has {table.num_classes} and the generator {channels}: they"
            " belong to another generator or class table."
        )
    return variables


def _resumed(checkpoints, fresh, labels_sum):
    found = checkpoints.restore(fresh)
    if found is None:
        return fresh, 0
    step, state, meta = found
    if meta["labels"] != labels_sum:
        raise UserError(
            f"{checkpoints.folder.parent} was trained on other labels than rounds/000/answers holds"
            " now: restore the answers, or remove this folder and what was made with it,"
            " the folders dataset and checkpoints, to train again."
        )
    _LOG.info("ensemble: going on from step %d", step)
    return state, step
