"""Blocks of candidates, shared out over processes: what a killed factory finds again."""

import math
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jax.experimental import multihost_utils

from jax_labor.data import generated
from jax_labor.engine.clock import Clock
from jax_labor.engine.report import Progress
from jax_labor.experiments.maker import Maker


def write_blocks(preparation, maker: Maker, total: int, folder, num_classes: int) -> int:
    """Writes the blocks that are missing of `total` candidates, this process's share of them.

    A block is encoded and written while the devices make the next.

    Args:
        preparation: a datasetgan.Preparation.
        maker: what makes them.
        total: how many there are to be.
        folder: of the data set.
        num_classes: of the labels.

    Returns:
        How many blocks there are, once all processes have written theirs.

    Raises:
        Stopped: a signal came; what was made is written.
        UserError: a sample is not finite; the disk is full.
    """
    size, process, processes = maker.settings.block, jax.process_index(), jax.process_count()
    blocks = math.ceil(total / size)
    clock = Clock()
    progress = Progress(math.ceil(blocks / processes), clock, is_main=preparation.is_main)
    with ThreadPoolExecutor(1) as writer:
        written = None
        # As many rounds in every process, the last perhaps without a block: all look for a stop
        # after each, and wait for each other in that.
        for done, first in enumerate(range(0, blocks, processes), 1):
            block = first + process
            if block < blocks and not generated.block_done(folder, block):
                made = maker.make(np.arange(block * size, min((block + 1) * size, total)))
                if written:
                    written.result()
                written = writer.submit(_write_block, folder, block, made, num_classes)
                clock.tick(len(made["score"]))
                progress.update(done, {"score": float(made["score"].mean())})
            preparation.check_stop()
    if written:
        written.result()
    multihost_utils.sync_global_devices("blocks written")
    return blocks


def _write_block(folder, block: int, made: dict, num_classes: int) -> None:
    maps = (made[name] for name in generated.PICTURES)
    rows = zip(*maps, made["score"].tolist(), strict=True)
    generated.write_block(folder, block, [generated.Candidate(*row) for row in rows], num_classes)
