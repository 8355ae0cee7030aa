"""An annotator for experiments without people: a segmenter trained on real labels."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jax_labor.classes import IGNORE, ClassTable
from jax_labor.errors import UserError
from jax_labor.experiments import restored, segmentation
from jax_labor.experiments.evaluation import Evaluator
from jax_labor.files import read_json
from jax_labor.labels.store import Round

_LOG = logging.getLogger(__name__)


def oracle_run(config, workdir) -> str:
    """The work directory of the oracle segmenter's run, which is trained first where it is missing.

    It is `config.oracle.run`, or else `workdir/oracle`: the card's network and schedule, trained
    on `config.oracle.data`.
    """
    if config.oracle.run:
        return config.oracle.run
    run = epath.Path(workdir) / "oracle"
    if not (run / "results.json").exists():
        _LOG.info("training the oracle segmenter on config.oracle.data")
        segmentation.run(oracle_config(config), str(run))
    return str(run)


def oracle_config(config) -> ConfigDict:
    """Full supervision on `config.oracle.data`, with the card's other settings."""
    c = ConfigDict(config.to_dict())
    c.experiment, c.data.source = "segmentation", c.oracle.data
    return c


def predictor(run: str, round_: Round, table: ClassTable) -> Callable[[str], np.ndarray]:
    """Name -> uint8[H, W], what the segmenter of `run` says of each image of the round.

    Raises:
        UserError: there is no such run, or it is of other classes.
    """
    config = restored.read_config(run)
    network, variables = restored.restore_network(config, run, table.num_classes)
    classes = read_json(epath.Path(run) / "results.json")["classes"]
    if tuple(classes) != tuple(table.names):
        raise UserError(
            f"config.oracle.run={run} has the classes {', '.join(classes)}, this run"
            f" {', '.join(table.names)}: train the oracle in the same class table."
        )
    names = round_.names()
    records = RoundImages(round_, names, table)
    predicted = Evaluator(config, network.model, records).predict(variables, range(len(names)))
    return lambda name: predicted[names.index(name)].astype(np.uint8)


class RoundImages(Sequence):
    """The images of a round as records without labels.

    Attributes:
        names: of the images.
        table: the classes.
    """

    def __init__(self, round_: Round, names: Sequence[str], table: ClassTable):
        self._round, self.names, self.table = round_, names, table

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> dict:
        """dict(image uint8[H, W, 3], label uint8[H, W], all void, name)."""
        image = self._round.read_image(self.names[index])
        label = np.full(image.shape[:2], IGNORE, np.uint8)
        return {"image": image, "label": label, "name": self.names[index]}
