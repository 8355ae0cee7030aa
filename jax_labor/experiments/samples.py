"""Samples of a generator to label: written as round 0 of the run, read back with their answers."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jax_labor.classes import IGNORE, ClassTable
from jax_labor.errors import UserError
from jax_labor.experiments import sample_checks, sample_files
from jax_labor.experiments.batches import filled_batches
from jax_labor.experiments.generator_file import OpenGenerator
from jax_labor.experiments.kept_generator import keep_generator
from jax_labor.experiments.kept_rounds import check_classes
from jax_labor.labels.store import ANSWERED, FULL, Query, Round
from jax_labor.steps.samples import LABELLED, choose_samples, draw_latents, make_render

_BATCH = 4
_MOST = 8192  # candidates, whose distances to each other are held: 256 MB


@dataclasses.dataclass(frozen=True)
class LabelledSamples:
    """N samples that somebody labelled.

    Attributes:
        names: of each.
        images: uint8[N, H, W, 3].
        labels: uint8[N, H, W] train ids, 255 where void.
        maps: the generator's feature maps float16[N, h_l, w_l, C_l].
    """

    names: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    maps: tuple[np.ndarray, ...]


def write_samples(config, generator: OpenGenerator, table: ClassTable, workdir) -> Round:
    """Writes `config.samples.count` samples as the queries of round 0, and opens it.

    They stand for `config.samples.candidates` times as many. Main process only. A round that is
    open already is left alone.

    Raises:
        UserError: a sample is not finite; an open round asks in other classes than `table`'s.
    """
    round_ = Round(workdir, 0)
    if round_.is_open:
        check_classes(round_, table)
        return round_
    count, settings = config.samples.count, config.generator
    round_.remove_parts()
    names = [f"sample-{number:04d}" for number in range(count)]
    numbers, latents = jax.device_get(_draw(generator, config))
    images, _ = _render(generator, latents, settings.psi, settings.cutoff, names, maps=False)
    nothing = np.full(images.shape[1:3], IGNORE, np.uint8)
    for name, image in zip(names, images, strict=True):
        if stale := round_.image_path(name):  # of another generator, by a start that was killed
            stale.unlink()
        round_.write_image(name, image, lossless=True)
        round_.write_query(Query(name, nothing, FULL, np.zeros((0, 2), int)))
    sample_files.write_latents(round_, latents)
    keep_generator(workdir, generator)
    sample_files.write_manifest(round_, generator, config, names, numbers, images)
    round_.open("samples", names, table)
    return round_


def take_answers(generator: OpenGenerator, round_: Round, table: ClassTable, smallest: int) -> None:
    """Closes the round, so that nobody changes its answers any more, if they will do.

    Main process only. It makes no image, so that answers hardly change between the look and the
    close; `read_samples` reads them after it, and all processes the same.

    Args:
        generator: of the samples.
        round_: what was answered; one that is closed already is looked at all the same.
        table: the classes.
        smallest: the labelled pixels that every class needs.

    Raises:
        UserError: see `check_labels`, and `read_samples` but for what images show.
    """
    _, _, labels, _ = _read_answers(generator, round_)
    sample_checks.check_labels(round_, labels, table, smallest)
    round_.close()


def read_samples(generator: OpenGenerator, round_: Round) -> LabelledSamples:
    """Reads the answers, and makes the answered samples again for their feature maps.

    Raises:
        UserError: the manifest is of another generator; a sample is not what the generator makes; a
            label map has another size than its sample, or an id outside the table; nothing is
            labelled; a file is damaged.
    """
    manifest, answered, labels, latents = _read_answers(generator, round_)
    images, maps = _render(generator, latents, manifest.psi, manifest.cutoff, answered)
    for name, image in zip(answered, images, strict=True):
        sample_checks.check_image(round_, manifest, name, image)
    return LabelledSamples(tuple(answered), images, labels, maps)


def _read_answers(generator: OpenGenerator, round_: Round):
    """The manifest; names, labels uint8[N, H, W] and latents of the samples not skipped."""
    manifest = sample_files.read_manifest(round_)
    names = manifest.names
    sample_checks.check_generator(round_, manifest, generator)
    answered = [n for n in names if round_.answer_facts(n)["status"] == ANSWERED]
    if not answered:
        mend = sample_checks.how_to_mend(round_)
        raise UserError(f"{round_.folder / 'answers'}: every sample was skipped. {mend}.")
    labels = np.stack([round_.read_answer(n) for n in answered])
    rows = np.array([names.index(name) for name in answered])
    latents = sample_files.read_latents(round_, generator.network, len(names))
    return manifest, answered, labels, jax.tree.map(lambda x: x[rows], latents)


def _draw(generator, config):
    """Numbers and latents of the samples to label."""
    count = config.samples.count
    candidates = min(config.samples.candidates * count, _MOST)
    return _drawn(generator.network, config.seed, candidates, count, generator.variables)


# Jitted here, as what `_render` calls is, so that a process keeps the programs.
@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _drawn(network, seed, candidates, count, variables):
    numbers = jnp.arange(count)
    if candidates > count:
        numbers = choose_samples(network, variables, seed, LABELLED, candidates, count)
    return numbers, draw_latents(network, seed, LABELLED, numbers)


def _render(generator, latents, psi, cutoff, names, maps=True):
    """Makes samples, a few at a time; float16 maps take half of the memory, as published."""
    variables, count, parts = jax.device_put(generator.variables), len(names), []
    for rows, kept in filled_batches(count, _BATCH):
        some = jax.tree.map(lambda x: x[rows], latents)  # noqa: B023 - at once
        part = _rendered(generator.network, psi, cutoff, maps, variables, some)
        half = tuple(x[:kept].astype(jnp.float16) for x in part.maps)
        parts.append(jax.device_get((part.images[:kept], half, part.finite[:kept])))
    images, half, finite = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    finite &= np.stack([np.isfinite(x).all((1, 2, 3)) for x in half] or [finite]).all(0)
    generator.check_finite(finite, names)
    return images, half


@functools.partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _rendered(network, psi, cutoff, maps, variables, latents):
    made = make_render(network, psi, cutoff)(variables, latents)
    return made if maps else made._replace(maps=())
