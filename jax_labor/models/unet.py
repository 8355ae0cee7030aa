"""A small backbone that learns from scratch on a CPU: down to stride 16 and back to stride 2."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.models.norm import batch_norm
from jax_labor.models.resnet import conv
from jax_labor.ops.resize import resize_bilinear


class UNet(nn.Module):
    """A U-Net (Ronneberger et al., MICCAI 2015) whose heads read the map of stride 2.

    At the sizes that a CPU can train, a map of stride 8 has no room for poles and signs, and
    dilated convolutions on it are the dear part of a network. Here the deep layers are small maps,
    and their context comes back through concatenations with the finer ones.

    Two 3x3 convolutions a stride, `width` * 1, 1.5, 3 and 3 channels at strides 2, 4, 8 and 16,
    after a first one of `width` / 2 at full size; one 3x3 convolution a stride on the way back.
    Names: conv1, bn1 (full size); layer{1..4}_{conv,bn}{1,2} (strides 2 to 16);
    merge{3,2,1}_{conv,bn} (strides 8, 4, 2).
    """

    width: int = 32
    bn: str = "train"
    bn_eps: float = 1e-5
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, train: bool) -> dict[str, jax.Array]:
        """Map `image[B,H,W,3]` to {"layer1", "layer3", "layer4"}, each [B,h,w,C] in `dtype`.

        "layer1" (stride 2) and "layer3" (stride 8) are on the way down; "layer4" is the merged map
        of stride 2, `width` channels.
        """
        channels = [self.width, 3 * self.width // 2, 3 * self.width, 3 * self.width]
        x = self._unit(image, self.width // 2, "conv1", "bn1", train)
        maps = []
        for stage, wide in enumerate(channels, start=1):
            for index, stride in ((1, 2), (2, 1)):
                names = f"layer{stage}_conv{index}", f"layer{stage}_bn{index}"
                x = self._unit(x, wide, *names, train, stride)
            maps.append(x)
        for stage in (3, 2, 1):
            low = maps[stage - 1]
            x = resize_bilinear(x, low.shape[1:3], align_corners=False)
            x = jnp.concatenate([x, low], -1)
            names = f"merge{stage}_conv", f"merge{stage}_bn"
            x = self._unit(x, channels[max(stage - 2, 0)], *names, train)
        return {"layer1": maps[0], "layer3": maps[2], "layer4": x}

    def _unit(self, x, channels, name, bn_name, train, stride=1):
        """3x3 convolution, batch norm, ReLU."""
        norm = batch_norm(self.bn, self.bn_eps, self.axis_name, self.dtype)
        x = conv(channels, 3, stride, dtype=self.dtype, name=name)(x)
        return nn.relu(norm(name=bn_name)(x, train))
