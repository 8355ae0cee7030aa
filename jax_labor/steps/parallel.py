"""The only file that maps a per-device function over devices.

State goes in and comes out un-stacked (`None`), so that it has no leading device axis anywhere, and
moving to `jit(shard_map)` changes this file alone.
"""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "data"


def parallel_step(step):
    """Maps step(state, batch) -> (state, metrics) over all devices of all processes.

    The batch's leading axis is this process's devices; metrics must be summed over devices inside.
    """
    return jax.pmap(step, AXIS, in_axes=(None, 0), out_axes=(None, None), donate_argnums=(0,))


def place(state, devices=None):
    """Copies host arrays to every device of `devices` (all), as a step returns them.

    A training step then compiles once, and what is called again and again with the same variables
    does not copy them each time.
    """
    mesh = Mesh(np.array(devices or jax.devices()), (AXIS,))
    return jax.device_put(state, NamedSharding(mesh, PartitionSpec()))


def parallel_evaluation(infer, count):
    """Maps infer(variables, images) and count(its result, label) over all devices.

    Returns (variables, images, label) -> (sum over all devices, per-example outputs).
    """
    infer = jax.pmap(infer, AXIS, in_axes=(None, 0))
    count = jax.pmap(count, AXIS, out_axes=(None, 0))
    return lambda variables, images, label: count(infer(variables, images), label)


def local_choice(propose, choose):
    """Maps propose(variables, images) and choose(its result, batch) over this process's devices.

    Returns (variables, images, batch) -> per-example outputs.
    """
    devices = jax.local_devices()
    propose = jax.pmap(propose, AXIS, in_axes=(None, 0), devices=devices)
    choose = jax.pmap(choose, AXIS, devices=devices)
    return lambda variables, images, batch: choose(propose(variables, images), batch)


def local_map(function):
    """Maps function(state, batch) -> per-example outputs over this process's devices only."""
    return jax.pmap(function, AXIS, in_axes=(None, 0), devices=jax.local_devices())


def split(batch):
    """Splits every array over this process's devices: [B, ...] -> [D, B/D, ...]."""
    devices = jax.local_device_count()
    return jax.tree.map(lambda x: x.reshape(devices, x.shape[0] // devices, *x.shape[1:]), batch)


def merge(outputs):
    """Undoes `split` on the host, this process's part: [D, B/D, ...] -> numpy [B, ...]."""

    def join(x):
        shards = sorted(x.addressable_shards, key=lambda shard: shard.index[0].start or 0)
        whole = np.concatenate([np.asarray(shard.data) for shard in shards])
        return whole.reshape(whole.shape[0] * whole.shape[1], *whole.shape[2:])

    return jax.tree.map(join, outputs)
