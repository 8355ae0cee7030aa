"""How a run ends: evaluation, results.json, pictures."""

import logging

import numpy as np

from jax_labor.engine.processes import from_main
from jax_labor.engine.results import write_results
from jax_labor.experiments import folds
from jax_labor.experiments.pictures import save_pictures

_LOG = logging.getLogger(__name__)
ROLES = ("source", "target", "eval")


def finish(session, ledger=None, more: dict | None = None) -> dict:
    """Evaluates the last state and writes results.json and pictures; returns the results.

    All processes must call this together.

    Args:
        session: a trained Session.
        ledger: what was asked, None for an experiment without queries.
        more: further figures for results.json; they go before those of the same name.
    """
    evaluation = session.evaluate()
    save_pictures(session, ledger)
    # The others wait here, as long as it takes: the shutdown of JAX gives up after five minutes.
    return from_main(lambda: _report(session, evaluation, ledger, more or {}))


def _report(session, evaluation, ledger, more: dict) -> dict:
    config, target = session.config, session.data.target
    pixels = sum(int(np.prod(target.size(i))) for i in range(len(target)))
    full = config.experiment == "segmentation" and config.loss.target > 0
    labels = ledger.report(len(target), pixels) if ledger else _no_queries(target, pixels, full)
    results = {
        **evaluation.report(),
        **labels,
        "experiment": config.experiment,
        "strategy": config.rounds.strategy if ledger else None,
        "classes": list(session.data.table.names),
        "labelled_images": len(session.data.source) + full * len(target),
        "data": {role: getattr(session.data, role).description for role in ROLES},
        "steps": session.step,
        "seconds": session.clock.total_seconds(),
        "images_per_second": session.clock.mean_images_per_second(),
        "seed": config.seed,
        **more,
    }
    if session.folds:
        results["folds"] = _folds(session)
    results = write_results(session.workdir, results)
    if session.data.eval.has_labels:
        _LOG.info("\n%s", evaluation.text())
        measured = f"mIoU {100 * evaluation.miou:.2f} %"
    else:
        measured = "no mIoU, as config.data.eval has no labels,"
    _LOG.info(
        "%s with %.3f %% of the target's pixels labelled; %s",
        measured,
        100 * results["asked_share"],
        session.workdir / "results.json",
    )
    return results


def _folds(session) -> dict:
    matrices, steps = folds.read(session.workdir, session.step)
    report = folds.report(matrices, steps, session.data.table.names)
    miou, std = 100 * report["miou"], 100 * report["miou_std"]
    _LOG.info("mIoU %.2f %% +- %.2f, by the checkpoints that the folds chose", miou, std)
    return report


def _no_queries(target, pixels: int, full: bool) -> dict:
    """The ledger's figures where nobody is asked: every label of the target, or none."""
    asked = pixels if full else 0
    return {
        "asked_pixels": asked,
        "asked_pixels_per_image": asked / len(target),
        "asked_share": asked / pixels,
        "asked_by_round": [],
    }
