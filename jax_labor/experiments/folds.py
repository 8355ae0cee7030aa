"""Choosing a checkpoint without the test set: DatasetGAN's five folds of the test images.

Every evaluation of a run leaves its confusion matrices by fold in WORKDIR/folds/STEP.npy. At the
end each fold alone chooses the step, and the other folds are the test (Zhang et al., CVPR 2021; its
code takes the best of 20 epochs by one fold and tests on the other four).
"""

import io

import numpy as np
from etils import epath

from jax_labor.errors import UserError
from jax_labor.experiments.iou import class_iou, mean_iou
from jax_labor.files import write_bytes


def assign(names, folds: int) -> np.ndarray:
    """The fold int[N] of every image: contiguous parts of the names in order, as equal as can be.

    Raises:
        UserError: one fold, or more than there are images.
    """
    if folds == 1 or not 0 <= folds <= len(names):
        raise UserError(
            f"config.eval.folds is {folds}: use 0 for none, or 2 to {len(names)}, the number of"
            " images of config.data.eval."
        )
    ranks = np.argsort(np.argsort(np.array(names), kind="stable"))
    return ranks * max(folds, 1) // len(names)


def count(config, records) -> int:
    """Parts of the evaluation data `records`: `config.eval.folds`, or 0 where it has no labels."""
    return config.eval.folds if records.has_labels else 0


def report(matrices: np.ndarray, steps, names) -> dict:
    """What the folds say of a run.

    Args:
        matrices: int[S, F, C, C], confusion of every evaluation and fold.
        steps: [S], rising.
        names: [C], of the classes.

    Returns:
        miou and miou_std: mean and standard deviation over the folds of the mIoU that the step with
        the fold's best mIoU (the earliest of equals) reaches on the other folds;
        miou_of_all_classes: the mean as published, where a class without an IoU counts as 0;
        iou_by_class: mean over the folds in which the class has one, else None;
        by_fold: step and miou for each.
    """
    rows, ious = [], []
    for fold in range(matrices.shape[1]):
        scores = [mean_iou(class_iou(each[fold])) for each in matrices]
        best = int(np.argmax(np.nan_to_num(scores, nan=-1.0)))
        ious.append(class_iou(np.delete(matrices[best], fold, axis=0).sum(0)))
        rows.append({"step": int(steps[best]), "miou": mean_iou(ious[-1])})
    mious = [row["miou"] for row in rows]
    by_class = {
        name: mean_iou(column) if np.isfinite(column).any() else None
        for name, column in zip(names, np.transpose(ious), strict=True)
    }
    return {
        "miou": float(np.mean(mious)),
        "miou_std": float(np.std(mious)),
        "miou_of_all_classes": float(np.nan_to_num(ious).mean()),
        "iou_by_class": by_class,
        "by_fold": rows,
    }


def keep(workdir: epath.PathLike, step: int, matrices: np.ndarray) -> None:
    """Writes the matrices int64[F, C, C] of the evaluation at `step`, whole or not at all."""
    content = io.BytesIO()
    np.save(content, matrices)
    write_bytes(_folder(workdir) / f"{step:08d}.npy", content.getvalue())


def read(workdir: epath.PathLike, last: int) -> tuple[np.ndarray, list[int]]:
    """Matrices int64[S, F, C, C] and steps [S] of the run's evaluations up to step `last`.

    Raises:
        UserError: they are not all of the same folds and classes.
    """
    found = {int(path.stem): path for path in _folder(workdir).glob("*.npy")}
    steps = sorted(step for step in found if step <= last)
    matrices = [np.load(io.BytesIO(found[step].read_bytes())) for step in steps]
    if len({each.shape for each in matrices}) > 1:
        raise UserError(
            f"{_folder(workdir)}: evaluations with different config.eval.folds: remove those of the"
            " old setting."
        )
    return np.stack(matrices), steps


def _folder(workdir: epath.PathLike) -> epath.Path:
    return epath.Path(workdir) / "folds"
