"""From a config to the parts of a run: data sets, network, optimisers, first state."""

import dataclasses
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np

from jax_labor.classes import ClassTable, check_same_classes
from jax_labor.data.catalogue import load
from jax_labor.data.generated.layout import NAME as GENERATED
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
    # A flag that puts this data set in the place of a card's cannot take its options away.
    options = {} if domain.name == GENERATED else domain.options.to_dict()
    root = os.path.join(config.data.root, domain.root) if domain.root else ""
    return load(
        domain.name,
        root=root,
        data_dir=config.data.dir or None,
        split=domain.split,
        classes=config.data.classes,
        names=domain.names,
        drop_bad=domain.drop_bad,
        options=options,
    )


def load_data(config) -> Data:
    """Loads source, target and evaluation data.

    Raises:
        UserError: they are labelled in different class tables.
    """
    data = Data(*(load_domain(config, role) for role in ("source", "target", "eval")))
    for role in ("source", "target"):
        check_classes(role, getattr(data, role).table, data.table)
    return data


def check_classes(role: str, table: ClassTable, evaluated: ClassTable) -> None:
    """Raises a UserError where the data set of `role` has other classes than the evaluated one."""
    remedy = "choose data sets that share config.data.classes."
    names = table.names, "config.data.eval", evaluated.names
    check_same_classes(f"config.data.{role}", *names, remedy)


@dataclasses.dataclass(frozen=True)
class Network:
    """The network, its discriminator and their optimisers."""

    model: object
    discriminator: object
    tx: object
    discriminator_tx: object


def build_network(config, num_classes: int) -> Network:
    """Builds everything that has parameters.

    Raises:
        UserError: a setting of the model cannot be, or there is but one class.
    """
    if num_classes < 2:
        raise UserError(
            "config.data: one class leaves nothing to tell apart. Name the background as a class"
            " too (255 in label files is void, and no class)."
        )
    steps = config.train.steps
    return Network(
        build_model(config.model, num_classes, AXIS),
        FCDiscriminator(config.discriminator.width, config.discriminator.layers),
        make_optimizer(config.optimizer, steps, config.model.bn != "train"),
        make_discriminator_optimizer(config.discriminator, steps),
    )


def initial_state(config, network: Network, num_classes: int) -> train_state.TrainState:
    """The state at step 0, on the host: fresh, or with the weights of the file `config.weights`."""
    variables = _variables(config, network)
    if config.weights:
        variables = initialise(variables, config.weights, config.model, config.data.normalize)
    discriminators = _discriminators(config, network, num_classes)
    return jax.device_get(_create(network, variables, discriminators, num_classes))


def state_shape(config, network: Network, num_classes: int) -> train_state.TrainState:
    """Shapes and types of the state, without computing one: what a checkpoint is read into."""

    def build():
        discriminators = _discriminators(config, network, num_classes)
        return _create(network, _variables(config, network), discriminators, num_classes)

    return jax.eval_shape(build)


def blank_variables(config, network: Network, num_classes: int) -> dict:
    """{"params", "batch_stats"} of zeros, for a file of weights to fill."""
    shape = state_shape(config, network, num_classes)
    shapes = {"params": shape.params, "batch_stats": shape.batch_stats}
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def _variables(config, network: Network) -> dict:
    shape = (1, *config.data.source_view.size, 3)
    return _init(network.model, np.uint32(config.seed), 0, shape, train=False)


# Jitted, so that its shapes and its values take one tracing, of every session of a process; with
# the seed as an argument, so that the runs of a study take one compilation.
@functools.partial(jax.jit, static_argnums=(0, 2, 3), static_argnames="train")
def _init(module, seed, number, shape, **options):
    # The default generator's draws take 8 seconds to compile for the smallest network, these 2.
    key = jax.random.key(seed, impl="rbg")
    key = jax.random.fold_in(key, number) if number else key
    return module.init(key, jnp.zeros(shape), **options)


def _discriminators(config, network: Network, num_classes: int) -> dict:
    """Parameters of a discriminator for every output with an adversarial loss."""
    shape = (1, *config.data.source_view.size, num_classes)
    weights = {"main": config.loss.adversarial, "aux": config.loss.adversarial_aux}
    return {
        name: _init(network.discriminator, np.uint32(config.seed), number, shape)["params"]
        for number, (name, weight) in enumerate(weights.items(), 1)
        if weight
    }


def _create(network: Network, variables, discriminators, num_classes: int):
    txs = network.tx, network.discriminator_tx
    return train_state.create(variables, txs[0], discriminators, txs[1], num_classes)
