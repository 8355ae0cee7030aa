"""The per-device evaluation: a network's logits, and what they are worth at label resolution.

Two functions, as the network's images have one size and labels may have hundreds: each of those is
compiled for its own resizing and counting, not for the network.
"""

import jax
import jax.numpy as jnp

from jax_labor.ops.metrics import confusion_matrix, predict, predict_ensemble
from jax_labor.steps.forward import infer
from jax_labor.steps.parallel import AXIS


def make_inference(model, flip: bool):
    """Builds step(variables, images) -> logits, a tuple of float32[B, h', w', C].

    `images` is a tuple of float32[B, h, w, 3], one for each scale. With `flip` the logits of the
    mirrored images, mirrored back, follow those of the images.
    """

    def step(variables, images):
        def main(image):
            return infer(model, variables["params"], variables["batch_stats"], image).main

        logits = tuple(main(image) for image in images)
        if flip:
            logits += tuple(main(image[:, :, ::-1])[:, :, ::-1] for image in images)
        return logits

    return step


def make_counting(num_classes: int, align_corners: bool):
    """Builds step(logits, label) -> (confusion int32[C, C] over all devices, predictions).

    `logits` are as of `make_inference`, `label` is int32[B, H, W] at native size, predictions are
    uint8[B, H, W] train ids. Of several logits the probabilities are averaged at label resolution
    (RIPU's protocol for one scale).
    """

    def step(logits, label):
        size = label.shape[-2:]
        if len(logits) == 1:
            predictions = predict(logits[0], size, align_corners)
        else:
            predictions = predict_ensemble(logits, size, align_corners)
        confusion = confusion_matrix(label, predictions, num_classes)
        return jax.lax.psum(confusion, AXIS), predictions.astype(jnp.uint8)

    return step
