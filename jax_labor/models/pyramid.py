"""A small backbone that learns from scratch on a CPU: a residual network with a top-down path."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.models.norm import batch_norm
from jax_labor.models.resnet import BasicBlock, conv
from jax_labor.ops.resize import resize_bilinear


class PyramidNet(nn.Module):
    """Residual network to stride 16, brought back to stride 4 (Lin et al., FPN, CVPR 2017).

    At the sizes that a CPU can train, a map of stride 8 has no room for poles and signs, and
    dilated convolutions on it are the dear part of a network. Here the deep layers are small maps,
    and two lateral additions carry their context to the stride-4 map that the heads read.

    Channels are `width` / 2 in the stem, then `width` * 1, 2 and 4 at strides 4, 8 and 16.
    Names: conv1, bn1, conv2, bn2; layer{1,2,3}_{0,1} (stride 4, 8, 16; blocks as in ResNet);
    lateral{1,2,3}; merge{1,2} and merge{1,2}_bn.
    """

    width: int = 32
    bn: str = "train"
    bn_eps: float = 1e-5
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, train: bool) -> dict[str, jax.Array]:
        """Map `image[B,H,W,3]` to {"layer1", "layer3", "layer4"}, each [B,h,w,C] in `dtype`.

        "layer1" (stride 4) and "layer3" (stride 16) are on the way up, "layer4" is the merged map
        of stride 4.
        """
        norm = batch_norm(self.bn, self.bn_eps, self.axis_name, self.dtype)
        x = conv(self.width // 2, 3, 2, dtype=self.dtype, name="conv1")(image)
        x = nn.relu(norm(name="bn1")(x, train))
        x = conv(self.width, 3, 2, dtype=self.dtype, name="conv2")(x)
        x = nn.relu(norm(name="bn2")(x, train))
        maps = []
        for stage, blocks in enumerate((1, 1, 2), start=1):
            for index in range(blocks):
                x = self._block(stage, index, norm)(x, train)
            maps.append(x)
        top = self._lateral(maps, 3, 2)
        for stage in (2, 1):
            lateral = self._lateral(maps, stage, stage)
            top = lateral + resize_bilinear(top, lateral.shape[1:3], align_corners=False)
            merge = conv(top.shape[-1], 3, dtype=self.dtype, name=f"merge{stage}")
            top = nn.relu(norm(name=f"merge{stage}_bn")(merge(top), train))
            if stage == 2:
                top = conv(self.width, 1, dtype=self.dtype, name="narrow")(top)
        return {"layer1": maps[0], "layer3": maps[2], "layer4": top}

    def _lateral(self, maps, stage, like):
        """1x1 convolution of stage `stage` to the channels of stage `like`."""
        channels = self.width * 2 ** (like - 1)
        return conv(channels, 1, dtype=self.dtype, name=f"lateral{stage}")(maps[stage - 1])

    def _block(self, stage, index, norm):
        first = index == 0 and stage > 1
        return BasicBlock(
            width=self.width * 2 ** (stage - 1),
            stride=2 if first else 1,
            dilation=1,
            project=first,
            stride_first=False,
            norm=norm,
            dtype=self.dtype,
            name=f"layer{stage}_{index}",
        )
