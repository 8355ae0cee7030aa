"""The segmenter, with its auxiliary head and its pixel selector, in one module."""

from typing import NamedTuple

import flax.linen as nn
import jax
from jax import lax

from jax_labor.models.selector import PixelSelector


class Outputs(NamedTuple):
    """What one forward pass yields; logits are float32[B,h,w,C], absent parts are None.

    `features` holds the segmenter's layer1, layer3 and layer4 maps in the compute dtype.
    """

    main: jax.Array
    aux: jax.Array | None
    classifier1: jax.Array | None
    classifier2: jax.Array | None
    features: dict[str, jax.Array]


class LaborNet(nn.Module):
    """A DeepLab segmenter (LabOR's model A) and, unless None, the pixel selector (model B).

    With a selector that shares the backbone, `selector_gradient` says whether its losses may
    change the shared features. They may not by default: discrepancy maximised through the
    features, not only the heads, lets the mask spread over the whole image.

    Parameter tree: {"backbone", "head", "aux", "selector"}, the last two if present. A selector
    differs from none only by its own branch, so weights without one load into either.
    """

    backbone: nn.Module
    head: nn.Module
    aux: nn.Module | None = None
    selector: PixelSelector | None = None
    selector_gradient: bool = False

    def __call__(
        self,
        image: jax.Array,
        train: bool,
        select: bool = True,
        keys: jax.Array | None = None,
    ) -> Outputs:
        """Segment `image` float32[B,H,W,3]; logits stay at the heads' resolution.

        `train` is a Python bool, never traced. At True a network whose batch norm is not "frozen"
        needs `mutable=["batch_stats"]` in `apply`. `select` is a Python bool too: at False the
        selector is left alone (one with a backbone of its own costs a second pass). `keys` are
        key[B] for the heads' dropout, None for none.
        """
        features = self.backbone(image, train)
        aux = None if self.aux is None else self.aux(features, train)
        first, second = self._select(image, features, train, keys) if select else (None, None)
        return Outputs(self.head(features, train, keys), aux, first, second, features)

    def _select(self, image, features, train, keys):
        if self.selector is None:
            return None, None
        if not self.selector_gradient:
            features = lax.stop_gradient(features)
        return self.selector(image, features, train, keys)
