"""The factory: a generator and an ensemble write a labelled data set of any size.

Candidates are made in chunks of `config.factory.batch`, each chunk by one device in one call of one
program, whatever other devices do: so the bytes do not depend on how many there are. Blocks of
candidates are shared out over processes, and are what a killed run finds again.
"""

import logging
import math

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils

from jax_labor.data import generated
from jax_labor.data.generated import Candidate, Sample
from jax_labor.engine.clock import Clock
from jax_labor.engine.report import Progress
from jax_labor.errors import UserError
from jax_labor.experiments.dataset_card import write_card
from jax_labor.files import remove_parts
from jax_labor.ops.divergence import SCORES, VOTES
from jax_labor.steps import parallel
from jax_labor.steps.generate import make_generation

_LOG = logging.getLogger(__name__)


def check(settings, workdir) -> None:
    """Raises a UserError that names what cannot be: a setting of `config.factory`, a bucket."""
    generated.parts_folder(dataset_folder(workdir))
    for name in ("count", "batch", "block", "shard"):
        if settings[name] < 1:
            raise UserError(f"config.factory.{name} is {settings[name]}: use 1 or more.")
    if not 0 <= settings.drop < 1:
        raise UserError(f"config.factory.drop is {settings.drop}: use 0 or more, below 1.")
    if settings.block % settings.batch:
        raise UserError(
            f"config.factory.block={settings.block} is no multiple of config.factory.batch"
            f"={settings.batch}: a block holds whole batches."
        )
    for name, known in (("voting", VOTES), ("score", SCORES)):
        if settings[name] not in known:
            found = settings[name]
            raise UserError(f"config.factory.{name} is {found!r}: use {' or '.join(known)}.")


def dataset_folder(workdir) -> epath.Path:
    """Where the data set of a run lies."""
    return epath.Path(workdir) / "dataset"


def candidates(settings) -> int:
    """How many candidates leave `settings.count` when the share `settings.drop` is dropped."""
    # The quotient of 900 and 1 - 0.1 is a hair above 1000.
    return math.ceil(settings.count / (1 - settings.drop) - 1e-9)


def write_dataset(preparation, generator, ensemble: dict, labelled, table) -> dict:
    """Writes `WORKDIR/dataset`, going on where it was stopped; returns its figures.

    Args:
        preparation: a datasetgan.Preparation.
        generator: an OpenGenerator.
        ensemble: the classifiers' {"params", "batch_stats"}.
        labelled: the LabelledSamples, which become the split "labelled"; None without.
        table: the classes.

    Raises:
        Stopped: a signal came; finished blocks are kept.
        UserError: a sample is not finite; the disk is full.
    """
    settings = preparation.config.factory
    folder = dataset_folder(preparation.workdir)
    maker = Maker(preparation.config, generator, ensemble)
    if not generated.is_finished(folder):
        _write(preparation, maker, labelled, table, folder)
    elif preparation.is_main:
        generated.remove_parts(folder)  # of a run that was killed in its last moment
    if preparation.is_main and not (folder / "card.json").exists():
        remove_parts(folder)
        write_card(folder, maker, labelled, table)
    preparation.check_stop()  # the others wait here for the card
    facts = generated.statistics(folder)
    return {"folder": str(folder), "images": settings.count, "candidates": candidates(settings)} | {
        split: {"class_pixels": figures["class_pixels"]}
        for split, figures in facts["splits"].items()
    }


class Maker:
    """Makes labelled images by number, on all devices of this process.

    Attributes:
        generator: the OpenGenerator.
        ensemble: the classifiers' {"params", "batch_stats"}.
        settings: `config.factory`.
    """

    def __init__(self, config, generator, ensemble: dict):
        self.generator, self.ensemble = generator, ensemble
        self.settings, truncation = config.factory, config.generator
        generate = make_generation(
            generator.network,
            config.seed,
            truncation.psi,
            truncation.cutoff,
            self.settings.voting,
            self.settings.score,
        )
        self._generate = parallel.local_map(generate)
        state = {"generator": generator.variables, "ensemble": ensemble}
        self._state = parallel.place(state, jax.local_devices())

    def make(self, numbers: np.ndarray, divergence: bool = False) -> dict[str, np.ndarray]:
        """Labelled images, as `make_generation` says, NumPy.

        The same bits each time where `numbers` follow each other from a multiple of the batch on.

        Args:
            numbers: int[n].
            divergence: whether its maps are wanted too, as many bytes as all the rest.

        Raises:
            UserError: a sample is not finite.
        """
        step, parts = self.settings.batch * jax.local_device_count(), []
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step]
            # A last chunk is filled up with the numbers that follow.
            filled = np.append(part, part[-1] + 1 + np.arange(step - len(part)))
            made = self._generate(self._state, parallel.split({"number": filled}))
            if not divergence:
                del made["divergence"]  # before it leaves the device
            made = parallel.merge(made)
            parts.append({name: value[: len(part)] for name, value in made.items()})
        made = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.generator.check_finite(made["finite"], [f"sample {number}" for number in numbers])
        return made


def _write(preparation, maker: Maker, labelled, table, folder) -> None:
    settings, process, processes = maker.settings, jax.process_index(), jax.process_count()
    blocks = math.ceil(candidates(settings) / settings.block)
    _write_blocks(preparation, maker, table, folder, blocks)
    kept = generated.keep_certain(generated.read_scores(folder, blocks), settings.count)
    shared = {"blocks": blocks, "shard": settings.shard}
    generated.write_shards(folder, kept, process_index=process, process_count=processes, **shared)
    multihost_utils.sync_global_devices("shards written")
    if preparation.is_main:
        samples = []
        if labelled:
            samples = list(map(Sample, labelled.names, labelled.images, labelled.labels))
        source = f"generated by {epath.Path(maker.generator.source).name}"
        generated.finish(folder, kept, table=table, description=source, labelled=samples, **shared)


def _write_blocks(preparation, maker: Maker, table, folder, blocks: int) -> None:
    """Writes this process's share of the blocks; returns once all processes have written theirs."""
    settings, total = maker.settings, candidates(maker.settings)
    process, processes = jax.process_index(), jax.process_count()
    clock = Clock()
    progress = Progress(math.ceil(blocks / processes), clock, is_main=preparation.is_main)
    clock.start()
    # As many rounds in every process, the last perhaps without a block: all look for a stop after
    # each, and wait for each other in that.
    for done, first in enumerate(range(0, blocks, processes), 1):
        block = first + process
        if block < blocks and not generated.block_done(folder, block):
            numbers = np.arange(block * settings.block, min((block + 1) * settings.block, total))
            made = maker.make(numbers)
            rows = zip(made["image"], made["label"], made["score"], strict=True)
            found = [Candidate(image, label, float(score)) for image, label, score in rows]
            generated.write_block(folder, block, found, table.num_classes)
            clock.tick(len(numbers))
            progress.update(done, {"score": float(made["score"].mean())})
        preparation.check_stop()
