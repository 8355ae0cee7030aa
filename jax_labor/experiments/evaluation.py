"""IoU of a network on a data set, at label resolution."""

import dataclasses

import jax
import numpy as np
from etils import epath

from jax_labor.data.evaluation import eval_batches
from jax_labor.data.views import EvalView
from jax_labor.engine.pictures import save_png
from jax_labor.steps import parallel
from jax_labor.steps.evaluate import make_evaluation_step
from jax_labor.tables import table


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """A confusion matrix int64[C, C] (rows truth) and what follows from it."""

    confusion: np.ndarray
    names: tuple[str, ...]

    @property
    def iou(self) -> np.ndarray:
        """float64[C], nan for a class that neither occurs nor is predicted."""
        hits = np.diagonal(self.confusion)
        union = self.confusion.sum(0) + self.confusion.sum(1) - hits
        return np.where(union > 0, hits / np.maximum(union, 1), np.nan)

    @property
    def miou(self) -> float:
        """Mean over the classes that have an IoU."""
        return float(np.nanmean(self.iou)) if np.isfinite(self.iou).any() else float("nan")

    def report(self) -> dict:
        """The figures for results.json."""
        by_class = {
            n: None if np.isnan(v) else float(v) for n, v in zip(self.names, self.iou, strict=True)
        }
        return {"miou": self.miou, "iou_by_class": by_class}

    def text(self) -> str:
        """A table for the terminal: IoU and share of the true pixels by class."""
        pixels = self.confusion.sum(1)
        rows = [
            [name, _percent(value), _percent(count / max(pixels.sum(), 1))]
            for name, value, count in zip(self.names, self.iou, pixels, strict=True)
        ]
        return table([*rows, ["mean", _percent(self.miou), ""]], ["class", "IoU %", "pixels %"])


class Evaluator:
    """Evaluates states of one model on one data set, as `config.eval` says."""

    def __init__(self, config, model, records):
        self.records = records
        views = [
            EvalView(size=config.eval.size, scale=scale, normalize=config.data.normalize)
            for scale in config.eval.scales
        ]
        self._passes = [
            eval_batches(
                records,
                view,
                config.data.eval_batch,
                jax.process_index(),
                jax.process_count(),
                threads=config.data.threads,
                name="config.data.eval",
            )
            for view in views
        ]
        step = make_evaluation_step(
            model, records.table.num_classes, config.align_corners, config.eval.flip
        )
        self._step = parallel.parallel_evaluation(step)

    def run(self, variables, predictions: str = "") -> Evaluation:
        """One pass over the data set.

        Args:
            variables: {"params", "batch_stats"}.
            predictions: folder for label-id PNGs named after the images, "" for none.
        """
        total = 0
        for index, confusion, predicted in self._predictions(variables):
            total = total + np.asarray(confusion, np.int64)
            if predictions:
                self._write(predictions, index, parallel.merge(predicted))
        return Evaluation(total, self.records.table.names)

    def predict(self, variables, indices) -> dict[int, np.ndarray]:
        """Predictions uint8[H, W] of this process's images among `indices`, by index."""
        found = {}
        for index, _, predicted in self._predictions(variables):
            rows = {i: row for row, i in enumerate(index.tolist()) if i in indices}
            if rows:
                predicted = parallel.merge(predicted)
                found |= {i: predicted[row] for i, row in rows.items()}
        return found

    def _predictions(self, variables):
        """Every batch's indices, confusion and predictions; all processes must take them all."""
        for batches in zip(*self._passes, strict=True):
            images = tuple(batch["image"] for batch in batches)
            batch = {"images": images, "label": batches[0]["label"]}
            yield batches[0]["index"], *self._step(variables, parallel.split(batch))

    def _write(self, folder, indices, predicted) -> None:
        for index, train_ids in zip(indices.tolist(), predicted, strict=True):
            if index >= 0:
                path = epath.Path(folder) / f"{self.records.names[index]}.png"
                save_png(path, self.records.table.decode(train_ids))


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.2f}"
