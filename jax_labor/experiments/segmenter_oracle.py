"""An annotator for experiments without people: a segmenter trained on real labels."""

import logging
from collections.abc import Callable, Sequence

import numpy as np
from etils import epath
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from jax_labor.classes import IGNORE, ClassTable, check_same_classes
from jax_labor.errors import UserError
from jax_labor.experiments import restored, segmentation
from jax_labor.experiments.assembly import load_domain
from jax_labor.experiments.evaluation import Evaluator
from jax_labor.files import read_object
from jax_labor.labels.store import Round

_LOG = logging.getLogger(__name__)


def oracle_run(config, workdir) -> str:
    """The work directory of the oracle segmenter's run, which is trained first where it is missing.

    It is `config.oracle.run`, or else `workdir/oracle`: the card's network and schedule, trained
    on `config.oracle.data`. Call in all processes, which train it together.
    """
    if config.oracle.run:
        return config.oracle.run
    run = epath.Path(workdir) / "oracle"
    if not (run / "results.json").exists():
        _LOG.info("training the oracle segmenter on config.oracle.data")
        segmentation.run(oracle_config(config), str(run))
    multihost_utils.sync_global_devices("oracle trained")
    return str(run)


def oracle_config(config) -> ConfigDict:
    """Full supervision on `config.oracle.data`, with the card's other settings."""
    c = ConfigDict(config.to_dict())
    c.experiment, c.data.source = "segmentation", c.oracle.data
    c.train.steps = c.oracle.steps or c.train.steps
    c.train.eval_every = c.eval.folds = 0  # nobody chooses among its checkpoints
    return c


def run_truth(workdir: str, oracle: str = "") -> Callable[[str], np.ndarray]:
    """Name -> uint8[H, W], what a program answers the rounds of the run in `workdir` with.

    It is the ground truth of the target. Samples of a generator have none: there it is what the
    finished run `oracle` says of them, else `config.oracle.run`, else `workdir/oracle`.

    Raises:
        UserError: there is no such run, nothing is asked yet, or nobody knows the labels.
    """
    config = restored.read_config(workdir)
    if config.experiment != "datasetgan":
        if oracle:
            raise UserError(f"--oracle={oracle}: {workdir} has ground truth; leave --oracle out.")
        return restored.target_truth(workdir)
    round_ = Round(workdir, 0)
    if not round_.is_open:
        raise UserError(f"{workdir}: no samples are there to label; start launch/main.py first.")
    run = epath.Path(oracle or config.oracle.run or epath.Path(workdir) / "oracle")
    if not (run / "results.json").exists():
        raise UserError(
            f"{run}: no finished run. Samples of a generator have no ground truth: train a"
            " segmenter on real labels of the same classes (configs/segmentation.py) and name its"
            " workdir with --oracle."
        )
    return predictor(str(run), round_, load_domain(config, "eval").table)


def predictor(run: str, round_: Round, table: ClassTable) -> Callable[[str], np.ndarray]:
    """Name -> uint8[H, W], what the segmenter of `run` says of each image of the round.

    Call in all processes, which share the images out.

    Raises:
        UserError: there is no such run, it has not ended, or it is of other classes.
    """
    check_classes(run, table)
    config = restored.read_config(run)
    network, variables = restored.restore_network(config, run, table.num_classes)
    names = round_.names()
    records = RoundImages(round_, names, table)
    evaluator = Evaluator(config, network.model, records)
    predicted = evaluator.predict(variables, range(len(names)))
    return lambda name: predicted[names.index(name)]


def check_classes(run: str, table: ClassTable) -> None:
    """Raises a UserError where `run` has not ended, or labels other classes than `table`'s."""
    restored.read_config(run)
    classes = read_object(epath.Path(run) / "results.json")["classes"]
    remedy = "train the oracle in the same class table."
    check_same_classes(f"config.oracle.run={run}", classes, "this run", table.names, remedy)


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
