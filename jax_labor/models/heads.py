"""Segmentation heads: DeepLab-V2, V3 and V3+; feature maps in, low-resolution logits out.

Every head is called on the backbone's dict of feature maps and returns float32 logits [B,h,w,C],
which its last convolutions compute in float32 whatever its `dtype`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.models.dropout import dropout
from jax_labor.models.norm import batch_norm
from jax_labor.models.pooling import global_average
from jax_labor.models.resnet import conv
from jax_labor.ops.resize import resize_bilinear


class ASPPV2(nn.Module):
    """Sum of 3x3 convolutions, one per dilation (DeepLab-V2, Chen et al., TPAMI 2018, fig. 7).

    ADVENT, IAST and RIPU sum dilations 6, 12, 18, 24; AdaptSegNet's published weights need
    `dilations=(6, 12)`, because its loop returns early. `tap` names the feature map it reads:
    layer4 for the main head, layer3 for the auxiliary one. Names: branch{i}.
    """

    num_classes: int
    dilations: tuple[int, ...] = (6, 12, 18, 24)
    tap: str = "layer4"

    @nn.compact
    def __call__(
        self, features: dict[str, jax.Array], train: bool, keys: jax.Array | None = None
    ) -> jax.Array:
        """Logits float32[B,h,w,num_classes] at the size of `features[tap]`."""
        del train, keys
        x = features[self.tap]
        branches = (
            conv(self.num_classes, 3, 1, dilation, name=f"branch{i}", **_LINEAR)
            for i, dilation in enumerate(self.dilations)
        )
        return sum(branch(x) for branch in branches)


class HeadV3(nn.Module):
    """DeepLab-V3 head (Chen et al., 2017, arXiv 1706.05587, section 3.3), as in torchvision.

    A 1x1 convolution, one 3x3 per dilation and image pooling are concatenated, projected, and
    classified after one more 3x3 convolution. In training, torchvision's drops values of the
    projection (`dropout` 0.5). Names: aspp_conv{i}, aspp_bn{i} (i = 0: 1x1,
    1..n: dilated, n+1: pooled), project_conv, project_bn, conv, bn, classifier.
    """

    num_classes: int
    dilations: tuple[int, ...] = (12, 24, 36)
    channels: int = 256
    dropout: float = 0.0
    bn: str = "train"
    bn_eps: float = 1e-5
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, features: dict[str, jax.Array], train: bool, keys: jax.Array | None = None
    ) -> jax.Array:
        """Logits float32[B,h,w,num_classes] at the size of layer4; `keys` as of `dropout`."""
        unit = _Units(self, train)
        x = features["layer4"]
        branches = [unit.conv(x, 1, "aspp_conv0", "aspp_bn0")]
        for i, dilation in enumerate(self.dilations, start=1):
            branches.append(unit.conv(x, 3, f"aspp_conv{i}", f"aspp_bn{i}", dilation))
        last = len(self.dilations) + 1
        branches.append(_pooled(unit, x, f"aspp_conv{last}", f"aspp_bn{last}"))
        x = unit.conv(jnp.concatenate(branches, -1), 1, "project_conv", "project_bn")
        x = dropout(x, self.dropout, keys)
        x = unit.conv(x, 3, "conv", "bn")
        return _classify(self, x)


class HeadV3Plus(nn.Module):
    """DeepLab-V3+ head (Chen et al., ECCV 2018, fig. 2) with separable ASPP, as in RIPU.

    A 1x1 convolution, one depthwise-separable 3x3 per dilation and image pooling give `channels`
    maps (RIPU: 512, the paper: 256), which are resized to layer1 (aligned corners), joined by 48
    maps of layer1 and decoded by two separable convolutions. In training, RIPU's drops maps before
    it classifies (`dropout` 0.1). Names: aspp_conv0, aspp_bn0;
    aspp_depthwise_conv{i}, aspp_depthwise_bn{i}, aspp_pointwise_conv{i}, aspp_pointwise_bn{i};
    pool_conv, pool_bn; project_conv, project_bn; shortcut_conv, shortcut_bn;
    decoder_depthwise_conv{0,1} and so on; classifier.
    """

    num_classes: int
    dilations: tuple[int, ...] = (6, 12, 18)
    channels: int = 512
    dropout: float = 0.0
    bn: str = "train"
    bn_eps: float = 1e-5
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(
        self, features: dict[str, jax.Array], train: bool, keys: jax.Array | None = None
    ) -> jax.Array:
        """Logits float32[B,h,w,num_classes] at layer1's size (stride 4); `keys`: of `dropout`."""
        unit = _Units(self, train)
        low, x = features["layer1"], features["layer4"]
        branches = [unit.conv(x, 1, "aspp_conv0", "aspp_bn0")]
        for i, dilation in enumerate(self.dilations, start=1):
            branches.append(unit.separable(x, "aspp", i, dilation))
        branches.append(_pooled(unit, x, "pool_conv", "pool_bn"))
        x = unit.conv(jnp.concatenate(branches, -1), 3, "project_conv", "project_bn")
        x = resize_bilinear(x, low.shape[1:3], align_corners=True)
        low = unit.conv(low, 1, "shortcut_conv", "shortcut_bn", channels=48)
        x = jnp.concatenate([x, low], -1)
        x = unit.separable(x, "decoder", 0)
        x = unit.separable(x, "decoder", 1)
        x = dropout(x, self.dropout, keys, whole_maps=True)
        return _classify(self, x)


# Published DeepLab heads start their classifiers at N(0, 0.01) with a bias. In bfloat16 a logit of
# 5 is known to 0.02: of two classifiers that nearly agree, rounding would say where they differ.
_LINEAR = {
    "use_bias": True,
    "kernel_init": nn.initializers.normal(0.01),
    "dtype": jnp.float32,
}


class _Units:
    """Convolution + batch norm + ReLU with one head's settings, made in that head's scope."""

    def __init__(self, head, train):
        self.head = head
        self.train = train
        self.norm = batch_norm(head.bn, head.bn_eps, head.axis_name, head.dtype)

    def conv(self, x, kernel, name, bn_name, dilation=1, channels=None, groups=1):
        """`x[B,h,w,C]` -> [B,h,w,channels or the head's]."""
        channels = channels or self.head.channels
        layer = conv(
            channels,
            kernel,
            1,
            dilation,
            dtype=self.head.dtype,
            name=name,
            feature_group_count=groups,
            kernel_init=nn.initializers.variance_scaling(2.0, "fan_in", "normal"),
        )
        return nn.relu(self.norm(name=bn_name)(layer(x), self.train))

    def separable(self, x, prefix, index, dilation=1):
        """Depthwise 3x3, then pointwise 1x1, each with batch norm and ReLU."""
        depthwise, pointwise = f"{prefix}_depthwise", f"{prefix}_pointwise"
        width = x.shape[-1]
        names = f"{depthwise}_conv{index}", f"{depthwise}_bn{index}"
        x = self.conv(x, 3, *names, dilation, channels=width, groups=width)
        return self.conv(x, 1, f"{pointwise}_conv{index}", f"{pointwise}_bn{index}")


def _pooled(unit, x, name, bn_name):
    """Image-level features, spread back over the map."""
    pooled = unit.conv(global_average(x), 1, name, bn_name)
    return jnp.broadcast_to(pooled, (*x.shape[:3], pooled.shape[-1]))


def _classify(head, x):
    return conv(head.num_classes, 1, name="classifier", **_LINEAR)(x)
