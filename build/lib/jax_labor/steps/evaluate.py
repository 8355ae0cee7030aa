"""The per-device evaluation step."""

import jax
import jax.numpy as jnp

from jax_labor.ops.metrics import confusion_matrix, predict, predict_ensemble
from jax_labor.steps.forward import infer
from jax_labor.steps.parallel import AXIS


def make_evaluation_step(model, num_classes: int, align_corners: bool, flip: bool):
    """Builds step(variables, batch) -> (confusion int32[C, C] over all devices, predictions).

    The batch holds "images", a tuple of float32[B, h, w, 3], one for each scale, and "label"
    int32[B, H, W] at native size; predictions are uint8[B, H, W] train ids. With several scales or
    `flip`, the probabilities are averaged at label resolution (RIPU's protocol for one scale).
    """

    def step(variables, batch):
        def main(images):
            return infer(model, variables["params"], variables["batch_stats"], images).main

        logits = [main(images) for images in batch["images"]]
        if flip:
            # A mirrored image gives mirrored logits.
            logits += [main(images[:, :, ::-1])[:, :, ::-1] for images in batch["images"]]
        size = batch["label"].shape[-2:]
        if len(logits) == 1:
            predictions = predict(logits[0], size, align_corners)
        else:
            predictions = predict_ensemble(logits, size, align_corners)
        confusion = confusion_matrix(batch["label"], predictions, num_classes)
        return jax.lax.psum(confusion, AXIS), predictions.astype(jnp.uint8)

    return step
