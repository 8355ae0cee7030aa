"""Asks: one round's queries for every target image."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from jax.experimental import multihost_utils

from jax_labor.classes import IGNORE
from jax_labor.data.views import EvalView
from jax_labor.engine.processes import from_main
from jax_labor.experiments.annotators import PEOPLE
from jax_labor.experiments.evaluation import shared_batches
from jax_labor.labels.budget import round_budget
from jax_labor.labels.ledger import Ledger
from jax_labor.labels.segments import LEAVE, MERGE, pieces
from jax_labor.labels.store import MASK, POINTS, Query, Round
from jax_labor.steps import parallel


def write_queries(session, ledger: Ledger, round_: Round) -> None:
    """Writes the queries of `round_` for this process's share of the target, then opens it.

    Args:
        session: a Session.
        ledger: what earlier rounds asked.
        round_: the round to write.

    Raises:
        Stopped: a signal came; the next start writes the same queries again.
    """
    config, records = session.config, session.data.target
    variables = parallel.place(session.variables, jax.local_devices())
    key = jax.random.fold_in(jax.random.key(config.seed), round_.number)

    def write(index, guess, points):
        if index >= 0:
            round_.write_query(_query(config, records.names[index], guess, points))
            if config.annotator == PEOPLE:
                round_.write_image(records.names[index], records[index]["image"])

    spent = ledger.asked if config.rounds.void_counts else ledger.answered

    def earlier(index, shape):
        """What no earlier round asked of record `index`, and how much of its budget they spent."""
        if index < 0:
            return np.zeros(shape, bool), 0
        name = records.names[index]
        return ~ledger.asked_mask(name, shape), spent(name)

    written = iter(())
    with ThreadPoolExecutor(max(1, config.data.threads)) as pool:
        view = EvalView(size=config.eval.size, normalize=config.data.normalize)
        for batch in shared_batches(config, records, view, "target"):
            session.check_stop()  # every process has as many batches
            rows = batch["index"].tolist()
            shape = batch["label"].shape[1:]
            before = list(pool.map(earlier, rows, itertools.repeat(shape)))
            selection = _selection_batch(config, records, round_, rows, before, key)
            chosen = session.choose(variables, *parallel.split((batch["image"], selection)))
            # While the device chooses, the files of the batch before are written, which take longer
            # than the choice where a device is fast.
            list(written)
            written = pool.map(write, rows, *parallel.merge(chosen))
        list(written)
    multihost_utils.sync_global_devices(f"round {round_.number}")
    asked = config.rounds.strategy, records.names, records.table
    from_main(lambda: round_.open(*asked, config.rounds.smallest, _specks(config.rounds)))


def budget(rounds, classes: int, pixels: int, number: int, asked: int) -> int:
    """Pixels of one image that round `number` may ask about, by `config.rounds`.

    Args:
        rounds: `config.rounds`.
        classes: how many there are.
        pixels: of the image.
        number: of the round, from 0.
        asked: pixels that earlier rounds asked about, and that count.
    """
    points = rounds.points * (classes * rounds.count if rounds.per_class else 1)
    return round_budget(pixels, rounds.share, points, number, rounds.count, asked)


def _selection_batch(config, records, round_, rows, before, key):
    """What a choice reads of the records at `rows` (-1: none): free pixels, budgets and keys.

    `before` has of each its free pixels bool[H, W], and how many of its budget are spent.
    """
    free, spent = zip(*before, strict=True)
    rounds, classes = config.rounds, records.table.num_classes
    budgets = [
        budget(rounds, classes, mask.size, round_.number, count) if index >= 0 else 0
        for index, mask, count in zip(rows, free, spent, strict=True)
    ]
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, np.maximum(rows, 0))
    return {"available": np.stack(free), "budget": np.array(budgets, np.int32), "key": keys}


def _specks(rounds) -> str:
    """What becomes of specks: only SPL's are left, as of pixels drawn at random nearly all are."""
    return rounds.specks if rounds.strategy == "spl" else MERGE


def _query(config, name: str, guess: np.ndarray, points: np.ndarray) -> Query:
    if points.size:
        flat = points[points >= 0]
        return Query(name, guess, POINTS, np.stack(np.unravel_index(flat, guess.shape), -1))
    chosen = guess != IGNORE
    asked = chosen
    if config.rounds.smallest and _specks(config.rounds) == LEAVE:
        asked = pieces(chosen, config.rounds.smallest, LEAVE) > 0
    guess = np.where(asked, guess, IGNORE)
    left_out = int(chosen.sum() - asked.sum())
    return Query(name, guess, MASK, np.zeros((0, 2), int), left_out)
