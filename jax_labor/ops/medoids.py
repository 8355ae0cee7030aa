"""Medoids: the few of many points that stand for all of them."""

import jax
import jax.numpy as jnp


def greedy_medoids(points: jax.Array, count: int) -> jax.Array:
    """Chooses points such that every point has a chosen one near it, on average.

    Each choice is the point that lowers the sum over all points of the Euclidean distance to the
    nearest chosen one most (the BUILD phase of PAM; Kaufman and Rousseeuw, 1990). So the first ones
    chosen are those that a smaller `count` would choose.

    Args:
      points: float32[N, D]; N x N distances are held.
      count: how many to choose, 1 to N.

    Returns:
      int32[count] rows of `points`, no two the same, in the order of choice; of equally good ones
      the first.
    """
    distance = jax.lax.map(lambda x: jnp.linalg.norm(points - x[None], axis=1), points)

    def choose(state: tuple, _) -> tuple[tuple, jax.Array]:
        nearest, chosen = state
        cost = jnp.minimum(distance, nearest[None]).sum(1)
        best = jnp.argmin(jnp.where(chosen, jnp.inf, cost)).astype(jnp.int32)
        return (jnp.minimum(nearest, distance[best]), chosen.at[best].set(True)), best

    start = jnp.full(len(points), jnp.inf), jnp.zeros(len(points), bool)
    return jax.lax.scan(choose, start, length=count)[1]
