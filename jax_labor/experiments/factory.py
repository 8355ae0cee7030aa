"""The factory: a generator and an ensemble write a labelled data set of any size.

It goes on where it was stopped, and is tied to what makes it.
"""

import math

import jax
from etils import epath
from jax.experimental import multihost_utils

from jax_labor.data import generated
from jax_labor.data.generated import Sample
from jax_labor.engine.config import check_same
from jax_labor.engine.processes import from_main
from jax_labor.errors import UserError, check_choice
from jax_labor.experiments.bounds import check_least, check_share
from jax_labor.experiments.dataset_card import write_card
from jax_labor.experiments.factory_blocks import write_blocks
from jax_labor.experiments.maker import Maker
from jax_labor.files import remove_parts, write_json
from jax_labor.ops.divergence import SCORES, VOTES

_MAKER = "maker.json"


def check(config, workdir) -> None:
    """Raises a UserError that names what cannot be: a setting of `config.factory`, a bucket."""
    generated.parts_folder(dataset_folder(workdir))
    settings = config.factory
    check_least(config, {f"factory.{name}": 1 for name in ("count", "batch", "block", "shard")})
    check_share(config, ["factory.drop"], below=True)
    if settings.block % settings.batch:
        raise UserError(
            f"config.factory.block={settings.block} is no multiple of config.factory.batch"
            f"={settings.batch}: a block holds whole batches."
        )
    for name, known in (("voting", VOTES), ("score", SCORES)):
        check_choice(f"config.factory.{name}", settings[name], known)


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
        UserError: a sample is not finite; the disk is full; what was begun would be written with
            another generator, ensemble or setting.
    """
    folder = dataset_folder(preparation.workdir)
    maker = Maker(preparation.config, generator, ensemble)
    if not from_main(lambda: _is_finished(folder, maker)):
        _write(preparation, maker, labelled, table, folder)
    from_main(lambda: _round_off(folder, maker, labelled, table))
    preparation.check_stop()
    facts = generated.statistics(folder)
    splits, kept, dropped = facts["splits"], facts["scores"]["kept"], facts["scores"]["dropped"]
    figures = {"folder": str(folder), "images": len(kept), "candidates": len(kept) + len(dropped)}
    return figures | {name: {"class_pixels": x["class_pixels"]} for name, x in splits.items()}


def _is_finished(folder, maker: Maker) -> bool:
    """Whether the data set is finished; if not, notes beside the blocks what makes them.

    Raises:
        UserError: something else made it, or began it.
    """
    finished = generated.is_finished(folder)
    place = generated.version_folder(folder) if finished else generated.parts_folder(folder)
    path, facts = place / _MAKER, _facts(maker)
    again = f"{folder}, and {folder.parent / 'checkpoints'} of what learned from it,"
    remedy = f"Go back to that, or remove {again if finished else place} to make all images anew"
    if path.exists():  # earlier versions left none in a finished data set
        check_same(path, facts, "what lies beside it was made otherwise", remedy)
    if not finished:
        write_json(path, facts)
    return finished


def _round_off(folder, maker: Maker, labelled, table) -> None:
    """Writes the card of a finished data set, and clears what a run left that was killed there."""
    generated.remove_parts(folder)
    if not (folder / "card.json").exists():
        remove_parts(folder)
        write_card(folder, maker, labelled, table)


def _facts(maker: Maker) -> dict:
    return maker.facts() | {"pictures": list(generated.PICTURES)}


def _write(preparation, maker: Maker, labelled, table, folder) -> None:
    settings, process, processes = maker.settings, jax.process_index(), jax.process_count()
    blocks = write_blocks(preparation, maker, candidates(settings), folder, table.num_classes)
    kept = generated.keep_certain(generated.read_scores(folder, blocks), settings.count)
    shared = {"blocks": blocks, "shard": settings.shard}
    generated.write_shards(folder, kept, process_index=process, process_count=processes, **shared)
    multihost_utils.sync_global_devices("shards written")

    def finish():
        write_json(generated.unfinished_folder(folder) / _MAKER, _facts(maker))
        samples = []
        if labelled:
            samples = list(map(Sample, labelled.names, labelled.images, labelled.labels))
        source = f"generated by {epath.Path(maker.generator.source).name}"
        generated.finish(folder, kept, table=table, description=source, labelled=samples, **shared)

    from_main(finish)
