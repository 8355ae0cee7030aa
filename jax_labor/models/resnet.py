"""Dilated ResNet backbones of output stride 8, in the Caffe and the torchvision dialect."""

import dataclasses
import functools

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.errors import check_choice
from jax_labor.models.norm import batch_norm
from jax_labor.models.pooling import max_pool

STYLES = ("caffe", "torchvision")


@dataclasses.dataclass(frozen=True)
class Variant:
    """Shape of one ResNet: blocks per stage, bottleneck or basic blocks, and its stem."""

    blocks: tuple[int, int, int, int]
    bottleneck: bool
    small_stem: bool = False


VARIANTS = {
    "resnettiny": Variant((1, 1, 1, 1), bottleneck=False, small_stem=True),
    "resnet18": Variant((2, 2, 2, 2), bottleneck=False),
    "resnet34": Variant((3, 4, 6, 3), bottleneck=False),
    "resnet50": Variant((3, 4, 6, 3), bottleneck=True),
    "resnet101": Variant((3, 4, 23, 3), bottleneck=True),
}


class ResNet(nn.Module):
    """Residual network (He et al., CVPR 2016) dilated to output stride 8 (DeepLab-V2).

    The published dialects differ in three places:

    | `style`                         | caffe                  | torchvision                 |
    |---------------------------------|------------------------|-----------------------------|
    | stride of a bottleneck          | first 1x1 convolution  | 3x3 convolution             |
    | first block of a dilated stage  | dilation of the stage  | dilation of the stage before|
    | 3x3 max-pool                    | ceil mode              | floor mode                  |

    For an input H x W the maps of layer2 to layer4 are h x w with h = ceil(H / 8) in the
    torchvision style; in the caffe style h = ceil((floor(ceil(H/2) / 2) + 1) / 2). layer1 has
    stride 4. `resnettiny` has one basic block a stage and replaces stem and max-pool by one 7x7
    convolution of stride 4 (h = ceil(H / 8) in both styles); its layers are `width` * 1, 2, 4, 8
    channels wide. The others have width 64 (times 4 at a bottleneck's end).

    Names: conv1, bn1 and, in each layer{1..4}_{i}, conv1, bn1, conv2, bn2, conv3, bn3,
    downsample_conv, downsample_bn.
    """

    variant: str = "resnet101"
    style: str = "caffe"
    width: int = 64
    bn: str = "train"
    bn_eps: float = 1e-5
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, train: bool) -> dict[str, jax.Array]:
        """Map `image[B,H,W,3]` to {"layer1", "layer3", "layer4"}, each [B,h,w,C] in `dtype`."""
        check_choice("variant", self.variant, VARIANTS)
        check_choice("style", self.style, STYLES)
        variant = VARIANTS[self.variant]
        norm = batch_norm(self.bn, self.bn_eps, self.axis_name, self.dtype)
        kernel, stride = (7, 4) if variant.small_stem else (7, 2)
        x = conv(self.width, kernel, stride, dtype=self.dtype, name="conv1")(image)
        x = nn.relu(norm(name="bn1")(x, train))
        if not variant.small_stem:
            x = max_pool(x, ceil_mode=self.style == "caffe")
        features = {}
        for stage, blocks in enumerate(variant.blocks, start=1):
            for index in range(blocks):
                block = self._block(variant, norm, stage, index)
                x = block(x, train)
            features[f"layer{stage}"] = x
        return {name: features[name] for name in ("layer1", "layer3", "layer4")}

    def _block(self, variant, norm, stage, index):
        dilation = {3: 2, 4: 4}.get(stage, 1)
        if index == 0 and self.style == "torchvision":
            dilation = {4: 2}.get(stage, 1)
        kind = BasicBlock
        if variant.bottleneck:
            kind = functools.partial(Bottleneck, stride_first=self.style == "caffe")
        return kind(
            width=self.width * 2 ** (stage - 1),
            stride=2 if stage == 2 and index == 0 else 1,
            dilation=dilation,
            project=index == 0 and (stage > 1 or variant.bottleneck),
            norm=norm,
            dtype=self.dtype,
            name=f"layer{stage}_{index}",
        )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; both carry the block's dilation."""

    width: int
    stride: int
    dilation: int
    project: bool
    norm: object
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `x[B,H,W,C]` to [B,h,w,width]."""
        y = conv(self.width, 3, self.stride, self.dilation, dtype=self.dtype, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y, train))
        y = conv(self.width, 3, 1, self.dilation, dtype=self.dtype, name="conv2")(y)
        y = self.norm(name="bn2")(y, train)
        return nn.relu(y + _shortcut(self, x, self.width, train))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions and a shortcut; `stride_first`: the stride is on the first."""

    width: int
    stride: int
    dilation: int
    project: bool
    stride_first: bool
    norm: object
    dtype: jnp.dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Map `x[B,H,W,C]` to [B,h,w,4*width]."""
        first, second = (self.stride, 1) if self.stride_first else (1, self.stride)
        y = conv(self.width, 1, first, dtype=self.dtype, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y, train))
        y = conv(self.width, 3, second, self.dilation, dtype=self.dtype, name="conv2")(y)
        y = nn.relu(self.norm(name="bn2")(y, train))
        y = conv(4 * self.width, 1, dtype=self.dtype, name="conv3")(y)
        y = self.norm(name="bn3")(y, train)
        return nn.relu(y + _shortcut(self, x, 4 * self.width, train))


def _shortcut(block, x, channels, train):
    """The identity, or a strided 1x1 projection made inside `block`'s scope."""
    if not block.project:
        return x
    x = conv(channels, 1, block.stride, dtype=block.dtype, name="downsample_conv")(x)
    return block.norm(name="downsample_bn")(x, train)


def conv(
    channels: int, kernel: int, stride: int = 1, dilation: int = 1, *, dtype, name, **options
) -> nn.Conv:
    """A bias-free `kernel` x `kernel` convolution, symmetrically padded by half its extent.

    `options` override nn.Conv's settings (use_bias, kernel_init, feature_group_count, padding).
    Initialised as He et al., ICCV 2015, by fan-out.
    """
    pad = dilation * (kernel - 1) // 2
    settings = {
        "padding": ((pad, pad), (pad, pad)),
        "use_bias": False,
        "kernel_init": nn.initializers.variance_scaling(2.0, "fan_out", "normal"),
    }
    return nn.Conv(
        channels,
        (kernel, kernel),
        strides=(stride, stride),
        kernel_dilation=(dilation, dilation),
        dtype=dtype,
        name=name,
        **(settings | options),
    )
