"""How strongly to augment: ADA's heuristic (Karras et al., NeurIPS 2020, section 3.1)."""

import jax.numpy as jnp

from jax_labor.steps.gan_state import GanState


def adjust(state: GanState, settings, batch: int) -> GanState:
    """Moves p up where D overfits and down where it does not, once every few iterations.

    D overfits where its logits on real images are positive more often than `target` says: r_t =
    E[sign(D(real))]. p has no upper limit; from 1 on, every transform is always on.

    Args:
        state: with the signs of the iteration that ends, `step` not yet counting it.
        settings: `target` (of r_t; 0 keeps p as it is), `every` (iterations between two moves)
            and `kimg` (thousands of images in which p can go from 0 to 1).
        batch: images per iteration over all devices.
    """
    due = (state.step + 1) % settings.every == 0
    mean = state.signs[0] / jnp.maximum(state.signs[1], 1)
    speed = batch * settings.every / (settings.kimg * 1000) if settings.target else 0.0
    p = jnp.maximum(state.augment_p + speed * jnp.sign(mean - settings.target), 0)
    return state.replace(
        augment_p=jnp.where(due, p, state.augment_p),
        signs=jnp.where(due, jnp.zeros(2), state.signs),
    )
