"""The network's passes over a batch of one or two domains."""

import jax
import jax.numpy as jnp


def forward(model, params, batch_stats, batch, joint: bool):
    """A training pass over each domain of the batch.

    Args:
        model: a LaborNet.
        params: its parameters.
        batch_stats: its running statistics.
        batch: dict by domain ("source", "target") of dicts with image float32[B, H, W, 3].
        joint: one pass over all domains' images, which then share batch statistics and must have
            one size; else one pass after the other, source first, as AdaptSegNet does.

    Returns:
        (dict by domain of outputs, running statistics after the passes).
    """

    def apply(stats, images):
        outputs, moved = model.apply(
            {"params": params, "batch_stats": stats},
            images,
            train=True,
            mutable=["batch_stats"],
        )
        return outputs, moved.get("batch_stats", stats)

    if joint:
        images = [part["image"] for part in batch.values()]
        outputs, batch_stats = apply(batch_stats, jnp.concatenate(images))
        return dict(zip(batch, _split(outputs, [len(x) for x in images]), strict=True)), batch_stats
    results = {}
    for domain in sorted(batch):  # source, then target
        results[domain], batch_stats = apply(batch_stats, batch[domain]["image"])
    return results, batch_stats


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
