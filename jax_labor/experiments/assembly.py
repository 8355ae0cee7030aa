"""From a config to the parts of a run: data sets, network, optimisers, first state."""

import dataclasses
from pathlib import Path

import jax
import numpy as np

from jax_labor.classes import ClassTable
from jax_labor.data.catalogue import load
from jax_labor.errors import UserError
from jax_labor.models.discriminator import FCDiscriminator
from jax_labor.models.factory import build_model
from jax_labor.models.pretrained import initialise
from jax_labor.steps import state as train_state
from jax_labor.steps.optimizer import make_discriminator_optimizer, make_optimizer
from jax_labor.steps.parallel import AXIS


@dataclasses.dataclass(frozen=True)
class Data:
    """The three data sets of an adaptation, in one class table."""

    source: object
    target: object
    eval: object

    @property
    def table(self) -> ClassTable:
        """The classes that all three are labelled in."""
        return self.eval.table


def load_domain(config, role: str):
    """Loads the data set that plays `role` ("source", "target" or "eval")."""
    domain = config.data[role]
    root = str(Path(config.data.root) / domain.root) if domain.root else ""
    return load(
        domain.name,
        root=root,
        data_dir=config.data.dir or None,
        split=domain.split,
        classes=config.data.classes,
        names=domain.names,
        drop_bad=domain.drop_bad,
        options=domain.options.to_dict(),
    )


def load_data(config) -> Data:
    """Loads source, target and evaluation data.

    Raises:
        UserError: they are labelled in different class tables.
    """
    data = Data(*(load_domain(config, role) for role in ("source", "target", "eval")))
    for role in ("source", "target"):
        names = getattr(data, role).table.names
        if names != data.table.names:
            raise UserError(
                f"config.data.{role} has the classes {', '.join(names)}, config.data.eval"
                f" {', '.join(data.table.names)}: choose data sets that share config.data.classes."
            )
    return data


@dataclasses.dataclass(frozen=True)
class Network:
    """The network, its discriminator and their optimisers."""

    model: object
    discriminator: object
    tx: object
    discriminator_tx: object


def build_network(config, num_classes: int) -> Network:
    """Builds everything that has parameters."""
    steps = config.train.steps
    return Network(
        build_model(config.model, num_classes, AXIS),
        FCDiscriminator(config.discriminator.width, config.discriminator.layers),
        make_optimizer(config.optimizer, steps, config.model.bn != "train"),
        make_discriminator_optimizer(config.discriminator, steps),
    )


def initial_variables(config, network: Network, image_size) -> dict:
    """Initial parameters and statistics, from the file `config.weights` where that is set."""
    images = np.zeros((1, *image_size, 3), np.float32)
    init = jax.jit(lambda key: network.model.init(key, images, train=False))
    variables = init(jax.random.key(config.seed))
    return initialise(variables, config.weights) if config.weights else variables


def initial_state(config, network: Network, num_classes: int) -> train_state.TrainState:
    """The state at step 0, on the host."""
    size = config.data.source_view.size
    variables = initial_variables(config, network, size)
    discriminators = {}
    weights = {"main": config.loss.adversarial, "aux": config.loss.adversarial_aux}
    probs = np.zeros((1, *size, num_classes), np.float32)
    for index, (name, weight) in enumerate(weights.items()):
        if weight:
            key = jax.random.fold_in(jax.random.key(config.seed), index + 1)
            discriminators[name] = network.discriminator.init(key, probs)["params"]
    state = train_state.create(
        variables, network.tx, discriminators, network.discriminator_tx, num_classes
    )
    return jax.device_get(state)
