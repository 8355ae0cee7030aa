"""The network's passes over a batch of one or two domains."""

import functools

import jax
import jax.numpy as jnp


def forward(model, params, batch_stats, batch, statistics: str, select: bool = True, keys=None):
    """A training pass over each domain of the batch.

    Args:
        model: a LaborNet.
        params: its parameters.
        batch_stats: its running statistics.
        batch: dict by domain ("source", "target") of dicts with image float32[B, H, W, 3].
        statistics: whose batch statistics normalise, and whose are stored for evaluation.
            "shared": one pass over all domains' images, which must have one size.
            "each": a pass for each domain, source first, both stored in turn (AdaptSegNet).
            "target": a pass for each domain, the target's stored, if it is in the batch: the idea
            of AdaBN (Li et al., 2016), and right where the target is what is evaluated.
        select: whether the pixel selector's outputs are wanted.
        keys: dict by domain of key[B], one an image, for dropout; None for none.

    Returns:
        (dict by domain of outputs, running statistics after the passes).
    """
    apply = functools.partial(_training_pass, model, select, params)
    if statistics == "shared":
        images = [part["image"] for part in batch.values()]
        joined = None if keys is None else jnp.concatenate([keys[domain] for domain in batch])
        outputs, batch_stats = apply(batch_stats, jnp.concatenate(images), joined)
        return dict(zip(batch, _split(outputs, [len(x) for x in images]), strict=True)), batch_stats
    results = {}
    for domain in sorted(batch):  # source, then target
        own = None if keys is None else keys[domain]
        results[domain], moved = apply(batch_stats, batch[domain]["image"], own)
        if statistics == "each" or domain == "target" or len(batch) == 1:
            batch_stats = moved
    return results, batch_stats


# Jitted, so that a network is traced once for all passes of one shape, of all steps of a process.
@functools.partial(jax.jit, static_argnums=(0, 1))
def _training_pass(model, select, params, batch_stats, images, keys):
    variables = {"params": params, "batch_stats": batch_stats}
    kind = {"train": True, "select": select, "keys": keys}
    outputs, moved = model.apply(variables, images, **kind, mutable=["batch_stats"])
    return outputs, moved.get("batch_stats", batch_stats)


@functools.partial(jax.jit, static_argnums=0)
def infer(model, params, batch_stats, images):
    """An evaluation pass: stored statistics.

    Args:
        model: a LaborNet.
        params: its parameters.
        batch_stats: its running statistics.
        images: float32[B, H, W, 3].
    """
    return model.apply({"params": params, "batch_stats": batch_stats}, images, train=False)


def _split(outputs, sizes):
    """Cuts every array of `outputs` along the batch axis."""
    start = 0
    for size in sizes:
        yield jax.tree.map(lambda x, s=start, n=size: x[s : s + n], outputs)
        start += size
