"""The pictures of a run: predictions beside the truth, and what each round asked."""

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.engine.pictures import Panel, colourise, save_sheet
from jax_labor.labels.store import Round


def save_pictures(session, ledger=None) -> None:
    """Writes workdir/pictures/predictions.png and, with a ledger, queries.png.

    Args:
        session: a trained Session.
        ledger: what was asked, None for an experiment without queries.
    """
    count = session.config.train.pictures
    if not count:
        return
    predicted = session.evaluator.predict(session.variables, _spread(session.data.eval, count))
    if not session.is_main:
        return
    folder = session.workdir / "pictures"
    save_sheet(folder / "predictions.png", *_predictions(session, predicted), **_words(session))
    if ledger is not None:
        save_sheet(folder / "queries.png", *_queries(session, ledger, count), **_words(session))


def _predictions(session, predicted):
    """Rows of input, truth where there is one, and prediction."""
    records, palette = session.data.eval, session.data.table.palette()
    columns = ("truth", "prediction") if records.has_labels else ("prediction",)
    rows, names = [], []
    for index in sorted(predicted):
        labels = {"prediction": predicted[index]}
        if records.has_labels:
            truth = labels["truth"] = records.label(index)[..., 0]
            # Void pixels stay black in the prediction too: nothing is known of them.
            labels["prediction"] = np.where(truth == IGNORE, IGNORE, predicted[index])
        panels = [Panel(colourise(labels[name], palette), smooth=False) for name in columns]
        rows.append([records[index]["image"], *panels])
        names.append(records.names[index])
    return rows, ("image", *columns), names


def _queries(session, ledger, count: int):
    """Rows of input and, for each round, the pixels it asked about in the colours of the answers.

    Black is void, or what nobody answered.
    """
    records, rounds = session.data.target, session.config.rounds.count
    palette = session.data.table.palette()
    rows, names = [], []
    for index in _spread(records, count):
        image, name = records[index]["image"], records.names[index]
        asked = [Round(session.workdir, r).read_query(name).asked for r in range(rounds)]
        answer = ledger.label(name)
        answer = np.full(asked[0].shape, IGNORE) if answer is None else answer
        colours = colourise(answer, palette)
        rows.append([image, *(Panel(image, marks=mask, colour=colours) for mask in asked)])
        names.append(name)
    return rows, ("image", *(f"round {r}: asked" for r in range(rounds))), names


def _words(session) -> dict:
    table = session.data.table
    return {"legend": table.legend() | {"void": tuple(table.palette()[IGNORE].tolist())}}


def _spread(records, count: int) -> list[int]:
    """`count` indices spread evenly over the data set."""
    return np.linspace(0, len(records) - 1, min(count, len(records))).astype(int).tolist()
