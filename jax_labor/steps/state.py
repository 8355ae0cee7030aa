"""Everything that training changes."""

import flax
import jax
import jax.numpy as jnp

from jax_labor.steps.pseudo_labels import INITIAL_THRESHOLD


@flax.struct.dataclass
class TrainState:
    """What a step reads and writes, and what a checkpoint holds.

    Attributes:
        step: int32[], steps done.
        params: the network's parameters.
        batch_stats: its running statistics.
        opt_state: its optimiser's.
        discriminator: the discriminators' parameters by the output they judge; empty without one.
        discriminator_opt_state: their optimiser's.
        thresholds: float32[C], confidence thresholds of the pseudo-labels.
    """

    step: jax.Array
    params: dict
    batch_stats: dict
    opt_state: tuple
    discriminator: dict
    discriminator_opt_state: tuple
    thresholds: jax.Array


def create(variables, tx, discriminator: dict, discriminator_tx, num_classes: int) -> TrainState:
    """A fresh state from initialised variables."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=variables["params"],
        batch_stats=variables.get("batch_stats", {}),
        opt_state=tx.init(variables["params"]),
        discriminator=discriminator,
        discriminator_opt_state=discriminator_tx.init(discriminator),
        thresholds=jnp.full((num_classes,), INITIAL_THRESHOLD, jnp.float32),
    )


def copy_backbone(state: TrainState) -> TrainState:
    """The state with the segmenter's backbone, statistics included, as the pixel selector's.

    The optimiser's moments of the selector's backbone stay as they are.
    """

    def copied(tree: dict) -> dict:
        # Copies, as a training step takes every array of the state for its own.
        backbone = jax.tree.map(jnp.copy, tree["backbone"])
        return {**tree, "selector": {**tree["selector"], "backbone": backbone}}

    return state.replace(params=copied(state.params), batch_stats=copied(state.batch_stats))
