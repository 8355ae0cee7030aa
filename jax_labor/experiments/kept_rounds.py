"""Rounds that a start finds in its work directory: whole, and of this run, or they are refused."""

import functools
from concurrent.futures import ThreadPoolExecutor

from jax_labor.classes import check_same_classes
from jax_labor.errors import UserError
from jax_labor.experiments.phases import Phase
from jax_labor.experiments.queries import budget
from jax_labor.labels.store import ANSWERED, MASK, POINTS, Round

_ANEW = "go back to the old settings, or start in another --workdir."


def check_kept(workdir, rounds, table) -> None:
    """Refuses open rounds that were asked otherwise than `config.rounds` says, or are damaged.

    A run that begins again takes the rounds that are there, with their answers. Names and JSON
    files are looked at, and that every label map is there; their pixels are read when needed.

    Args:
        workdir: the work directory.
        rounds: `config.rounds`.
        table: the target's classes.

    Raises:
        UserError: naming the file and what to do.
    """
    for number in range(rounds.count):
        round_ = Round(workdir, number)
        if round_.is_open:
            _check_facts(round_, rounds.strategy, table)
            with ThreadPoolExecutor() as pool:
                check = functools.partial(_check_files, round_, rounds, table)
                for _ in pool.map(check, round_.names()):
                    pass


def check_opened(workdir, phases: list[Phase], step: int) -> None:
    """Refuses a round that is gone although training has reached `step`, past its opening."""
    for phase in phases:
        if phase.round is not None and step > phase.start:
            round_ = Round(workdir, phase.round)
            if not round_.is_open:
                raise UserError(
                    f"{round_.folder} is gone, but training is past its opening: restore it, or"
                    " start in another workdir."
                )


def check_classes(round_: Round, table) -> None:
    """Refuses an open round that asks in other classes than `table`'s.

    The ids of its answers mean what stood there, whatever was edited since.

    Args:
        round_: the round.
        table: the classes of the labels now.

    Raises:
        UserError: naming both and what to do.
    """
    remedy = "put back the former classes in their order, or start in another --workdir."
    found = f"{round_.folder / 'round.json'}", round_.class_names
    check_same_classes(*found, "config.data.classes", table.names, remedy)


def _check_facts(round_: Round, strategy: str, table) -> None:
    found = round_.facts()["strategy"]
    if found != strategy:
        raise UserError(
            f"{round_.folder}: its pixels were chosen by {found!r}, but config.rounds.strategy is"
            f" {strategy!r}: {_ANEW}"
        )
    check_classes(round_, table)


def _check_files(round_: Round, rounds, table, name: str) -> None:
    asked = round_.query_facts(name)
    most = budget(rounds, table.num_classes, asked["height"] * asked["width"], round_.number, 0)
    if asked["kind"] != (POINTS if rounds.strategy == "ppl" else MASK) or asked["asked"] > most:
        raise UserError(
            f"{round_.folder / 'queries' / name}.json: {asked['asked']} pixels were asked"
            f" ({asked['kind']}), but config.rounds.share is {rounds.share} and points is"
            f" {rounds.points}: {_ANEW}"
        )
    folders = ["queries"]
    if round_.is_closed and round_.answer_facts(name)["status"] == ANSWERED:
        folders.append("answers")
    for folder in folders:
        path = round_.folder / folder / f"{name}.png"
        if not path.exists():
            raise UserError(
                f"{path} is missing: restore it from a copy, or start in another --workdir."
            )
