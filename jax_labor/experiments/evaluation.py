"""IoU of a network on a data set, at label resolution."""

import dataclasses
import math
from collections.abc import Iterable

import jax
import numpy as np
from etils import epath

from jax_labor.classes import get_table
from jax_labor.data.evaluation import EvalBatches, eval_batches
from jax_labor.data.records import native_size
from jax_labor.data.views import EvalView
from jax_labor.engine.pictures import save_png
from jax_labor.engine.processes import from_all
from jax_labor.errors import UserError
from jax_labor.experiments.folds import assign
from jax_labor.experiments.iou import class_iou, mean_iou
from jax_labor.steps import parallel
from jax_labor.steps.evaluate import make_counting, make_inference
from jax_labor.tables import table


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Confusion matrices int64[F, C, C] (rows truth) by fold of images, and what follows of all."""

    by_fold: np.ndarray
    names: tuple[str, ...]

    @property
    def confusion(self) -> np.ndarray:
        """int64[C, C] of all images."""
        return self.by_fold.sum(0)

    @property
    def iou(self) -> np.ndarray:
        """float64[C], nan for a class that neither occurs nor is predicted."""
        return class_iou(self.confusion)

    @property
    def miou(self) -> float:
        """Mean over the classes that have an IoU."""
        return mean_iou(self.iou)

    def report(self) -> dict:
        """The figures for results.json; None where nothing was labelled.

        SYNTHIA's 16 classes are also reported as the literature's 13: those without wall, fence and
        pole.
        """
        by_class = {n: _number(v) for n, v in zip(self.names, self.iou, strict=True)}
        report = {"miou": _number(self.miou), "iou_by_class": by_class}
        if self.names == get_table("synthia16").names:
            few = np.isin(self.names, get_table("synthia13").names)
            report["miou13"] = _number(mean_iou(self.iou[few]))
        return report

    def text(self) -> str:
        """A table for the terminal: IoU and share of the true pixels by class."""
        pixels = self.confusion.sum(1)
        rows = [
            [name, _percent(value), _percent(count / max(pixels.sum(), 1))]
            for name, value, count in zip(self.names, self.iou, pixels, strict=True)
        ]
        return table([*rows, ["mean", _percent(self.miou), ""]], ["class", "IoU %", "pixels %"])


class Evaluator:
    """Evaluates states of one model on one data set, as `config.eval` says.

    Args:
        config: settings `eval`, `data` and `align_corners` of a card.
        model: a LaborNet.
        records: the data set.
        folds: parts of the images to count apart, see `folds`; 0 = one.

    Raises:
        UserError: `config.eval.scales` is empty, or not all of it finite numbers above 0.
    """

    def __init__(self, config, model, records, folds: int = 0):
        self.records = records
        self._config = config
        self._views = [
            EvalView(size=config.eval.size, scale=scale, normalize=config.data.normalize)
            for scale in read_scales(config.eval.scales, "config.eval.scales")
        ]
        fold = assign(records.names, folds)
        folds = [np.flatnonzero(fold == each) for each in range(max(folds, 1))]
        self._folds = [(indices, self._batches(indices)) for indices in folds]
        self._step = parallel.parallel_evaluation(
            make_inference(model, config.eval.flip),
            make_counting(records.table.num_classes, config.align_corners),
        )

    def _batches(self, indices) -> list[EvalBatches]:
        """Passes over the images at `indices`, one for each scale."""
        part = Part(self.records, indices)
        return [shared_batches(self._config, part, view, "eval") for view in self._views]

    def run(self, variables, predictions: str = "") -> Evaluation:
        """One pass over the data set.

        Args:
            variables: {"params", "batch_stats"}.
            predictions: folder for label-id PNGs named after the images, "" for none.
        """
        names = self.records.table.names
        matrices = np.zeros((len(self._folds), len(names), len(names)), np.int64)
        counted = []
        variables = parallel.place(variables)
        for fold, part in enumerate(self._folds):
            for index, confusion, predicted in self._predictions(variables, *part):
                counted.append((fold, confusion))
                if len(counted) > 1:  # the one before, while this one is computed
                    _add(matrices, *counted.pop(0))
                if predictions:
                    self._write(predictions, index, parallel.merge(predicted))
        for last in counted:
            _add(matrices, *last)
        return Evaluation(matrices, names)

    def predict(self, variables, indices) -> dict[int, np.ndarray]:
        """Predictions uint8[H, W] of the images at `indices`, by index; call in all processes."""
        found, indices = {}, np.array(sorted(indices))
        part = indices, self._batches(indices)
        for index, _, predicted in self._predictions(parallel.place(variables), *part):
            labels = zip(index.tolist(), parallel.merge(predicted), strict=True)
            found |= {i: label for i, label in labels if i >= 0}
        return {i: label for own in from_all(found) for i, label in own.items()}

    def _predictions(self, variables, indices, passes):
        """Record indices (-1 = padding), confusion and predictions of every batch of `passes`.

        All processes must take them all.
        """
        for batches in zip(*passes, strict=True):
            images = tuple(batch["image"] for batch in batches)
            index = batches[0]["index"]
            index = np.where(index >= 0, indices[index], -1)
            parts = parallel.split((images, batches[0]["label"]))
            yield index, *self._step(variables, *parts)

    def _write(self, folder, indices, predicted) -> None:
        for index, train_ids in zip(indices.tolist(), predicted, strict=True):
            if index >= 0:
                path = epath.Path(folder) / f"{self.records.names[index]}.png"
                save_png(path, self.records.table.decode(train_ids))


class Part:
    """The records at `indices`."""

    def __init__(self, records, indices):
        self._records, self._indices = records, indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> dict:
        """Record `index` of the part."""
        return self._records[int(self._indices[index])]

    def size(self, index: int) -> tuple[int, int]:
        """(h, w) of it as it lies on disk."""
        return native_size(self._records, int(self._indices[index]))


def read_scales(words: Iterable, setting: str) -> tuple[float, ...]:
    """The factors on the input size that `setting` names.

    Raises:
        UserError: there are no words, or not all are finite numbers above 0.
    """
    words = tuple(words)
    try:
        scales = tuple(map(float, words))
    except (TypeError, ValueError):
        scales = ()
    if not scales or not all(0 < scale < math.inf for scale in scales):
        shown = ",".join(map(str, words))
        raise UserError(f"{setting}={shown}: give numbers above 0, such as 0.75,1,1.25")
    return scales


def shared_batches(config, records, view: EvalView, role: str) -> EvalBatches:
    """This process's share of one pass over the `records` of config.data's `role`.

    A batch has `config.data.eval_batch` images, raised to what all devices share equally: padding
    fills it.
    """
    devices = jax.device_count()
    return eval_batches(
        records,
        view,
        -(-config.data.eval_batch // devices) * devices,
        jax.process_index(),
        jax.process_count(),
        threads=config.data.threads,
        name=f"config.data.{role}",
    )


def _add(matrices, fold: int, confusion) -> None:
    matrices[fold] += np.asarray(confusion)


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.2f}"
