"""LabOR's pixel selector: two classifiers whose disagreement asks for labels."""

import flax.linen as nn
import jax


class PixelSelector(nn.Module):
    """Two classifiers over one backbone (LabOR, Shin et al., ICCV 2021, model B).

    Both have the same form and independent initial weights, because each draws its own from a key
    folded with its own name; alike at the start they would agree everywhere and ask for nothing.
    `backbone=None` reads the segmenter's feature maps; otherwise the selector has its own, whose
    parameters can be copied from the segmenter's tree name for name.

    Parameter tree: {"backbone" (own only), "classifier1", "classifier2"}.
    """

    classifier1: nn.Module
    classifier2: nn.Module
    backbone: nn.Module | None = None

    def __call__(
        self,
        image: jax.Array,
        features: dict[str, jax.Array],
        train: bool,
        keys: jax.Array | None = None,
    ) -> tuple[jax.Array, jax.Array]:
        """Both logits float32[B,h,w,C]; reads `image[B,H,W,3]` only with a backbone of its own.

        `keys` are key[B] for dropout, which the two must not share.
        """
        if self.backbone is not None:
            features = self.backbone(image, train)
        first, second = (None, None) if keys is None else (_folded(keys, i) for i in (1, 2))
        return self.classifier1(features, train, first), self.classifier2(features, train, second)


def _folded(keys: jax.Array, number: int) -> jax.Array:
    return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)
