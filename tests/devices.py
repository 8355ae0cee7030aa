"""A per-device step on the first few host devices."""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jax_labor.steps import parallel


def map_step(step, devices):
    """Maps step(state, batch) -> (state, metrics) over the first `devices`, keeping the state."""
    used = jax.devices()[:devices]
    return jax.pmap(step, parallel.AXIS, in_axes=(None, 0), out_axes=(None, None), devices=used)


def place(state, devices):
    """The state as a step returns it, so that the second step is not compiled anew."""
    mesh = Mesh(np.array(jax.devices()[:devices]), (parallel.AXIS,))
    return jax.device_put(state, NamedSharding(mesh, PartitionSpec()))
