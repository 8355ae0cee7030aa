"""A trained segmenter on disk: what labels images of one's own, in a notebook or a program."""

import dataclasses
import functools
from collections.abc import Callable

import jax
import numpy as np
from ml_collections import ConfigDict

from jax_labor.classes import ClassTable
from jax_labor.data.records import read_record
from jax_labor.data.transforms import normalize, resize_image
from jax_labor.data.views import EvalView
from jax_labor.errors import UserError
from jax_labor.experiments.restored import read_config, read_table, restore_network
from jax_labor.models import LaborNet
from jax_labor.ops.metrics import predict
from jax_labor.steps.forward import infer

_CLASSES = jax.jit(predict, static_argnums=(1, 2))


@dataclasses.dataclass(frozen=True)
class OpenSegmenter:
    """A segmenter to label images with.

    Attributes:
        model: a LaborNet.
        variables: {"params", "batch_stats"}, NumPy arrays.
        table: the classes, with their names, colours and label ids.
        config: the settings of the run.
    """

    model: LaborNet
    variables: dict
    table: ClassTable
    config: ConfigDict

    def predict(self, image: np.ndarray) -> np.ndarray:
        """Train ids uint8[H, W] of a photo, the positions in `table.names`.

        The same as launch/evaluate.py without --flip and --scales: the network sees the photo at
        `config.eval.size`, squeezed where its sides have another ratio.

        Args:
            image: uint8[H, W, 3], RGB, of any size.

        Raises:
            UserError: it is no such array.
        """
        image = read_record([{"image": np.asarray(image), "name": "predict"}], 0)["image"]
        size, view = image.shape[:2], EvalView(self.config.eval.size)
        seen = resize_image(image, view.input_size(size))
        logits = self._logits(normalize(seen, self.config.data.normalize)[None])
        return np.asarray(_CLASSES(logits, size, self.config.align_corners))[0].astype(np.uint8)

    @functools.cached_property
    def _logits(self) -> Callable[[np.ndarray], jax.Array]:
        """Images to logits, compiled once for each input size."""

        def logits(variables, images):
            return infer(self.model, variables["params"], variables["batch_stats"], images).main

        return functools.partial(jax.jit(logits), jax.device_put(self.variables))


def open_segmenter(workdir: str, step: int | None = None) -> OpenSegmenter:
    """Reads the segmenter of a run; its data sets need not be there.

    Args:
        workdir: the run's work directory or a copy of it; nothing in it is changed.
        step: the checkpoint's step, None for the newest.

    Raises:
        UserError: there is no run, no such checkpoint, or a run that trains no segmenter.
    """
    config = read_config(workdir)
    if "eval" not in config:
        raise UserError(f"{workdir}: a run of {config.experiment} has no segmenter")
    table = read_table(workdir)
    network, variables = restore_network(config, workdir, table.num_classes, step)
    return OpenSegmenter(network.model, variables, table, config)
