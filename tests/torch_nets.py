"""Small PyTorch networks with the key names and the dialects of the published checkpoints.

Written for these tests: any number of blocks and any width, so that a comparison takes
milliseconds. `randomise` gives every tensor seeded values, running statistics included.
"""

import torch
from torch import nn
from torch.nn import functional as F


def conv(inputs, outputs, kernel=3, stride=1, dilation=1, groups=1, bias=False):
    padding = dilation * (kernel - 1) // 2
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias)


class FrozenNorm(nn.Module):
    """Stored statistics, affine buffers and no epsilon, as RIPU has it."""

    def __init__(self, channels):
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x):
        mean, var, weight, bias = (
            t[None, :, None, None]
            for t in (self.running_mean, self.running_var, self.weight, self.bias)
        )
        return (x - mean) / var.sqrt() * weight + bias


class Block(nn.Module):
    """Basic or bottleneck block; `strides`, `dilations` are those of its convolutions."""

    def __init__(self, inputs, width, kernels, strides, dilations, project, norm):
        super().__init__()
        widths = [inputs, *[width] * (len(kernels) - 1), width * (4 if len(kernels) == 3 else 1)]
        for i, kernel in enumerate(kernels):
            layer = conv(widths[i], widths[i + 1], kernel, strides[i], dilations[i])
            self.add_module(f"conv{i + 1}", layer)
            self.add_module(f"bn{i + 1}", norm(widths[i + 1]))
        self.depth = len(kernels)
        self.downsample = None
        if project:
            stride = max(strides)
            self.downsample = nn.Sequential(conv(inputs, widths[-1], 1, stride), norm(widths[-1]))

    def forward(self, x):
        y = x
        for i in range(1, self.depth + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            y = F.relu(y) if i < self.depth else y
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Dilated ResNet of output stride 8 in the "caffe" or the "torchvision" dialect."""

    def __init__(self, style, blocks=(1, 1, 1, 1), width=8, bottleneck=True, norm=None, fc=0):
        super().__init__()
        norm = norm or nn.BatchNorm2d
        self.ceil_mode = style == "caffe"
        self.conv1, self.bn1 = conv(3, width, 7, 2), norm(width)
        channels = width
        for stage, count in enumerate(blocks, start=1):
            layers = []
            for index in range(count):
                stride = 2 if stage == 2 and index == 0 else 1
                dilation = {3: 2, 4: 4}.get(stage, 1)
                if style == "torchvision" and index == 0:
                    dilation = {4: 2}.get(stage, 1)
                project = index == 0 and (stage > 1 or bottleneck)
                if bottleneck:
                    strides = (stride, 1, 1) if style == "caffe" else (1, stride, 1)
                    form = (1, 3, 1), strides, (1, dilation, 1)
                else:
                    form = (3, 3), (stride, 1), (dilation, dilation)
                planes = width * 2 ** (stage - 1)
                layers.append(Block(channels, planes, *form, project, norm))
                channels = planes * (4 if bottleneck else 1)
            self.add_module(f"layer{stage}", nn.Sequential(*layers))
        self.channels = channels
        if fc:
            self.fc = nn.Linear(channels, fc)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        maps = {0: F.max_pool2d(x, 3, 2, 1, ceil_mode=self.ceil_mode)}
        for stage in range(1, 5):
            maps[stage] = getattr(self, f"layer{stage}")(maps[stage - 1])
        return maps

    def forward(self, x):
        return self.features(x)[4]


class ASPP(nn.Module):
    """Four dilated convolutions in `conv2d_list`, of which the first `active` are summed."""

    def __init__(self, channels, classes, active=4):
        super().__init__()
        self.active = active
        dilations = (6, 12, 18, 24)
        self.conv2d_list = nn.ModuleList(
            conv(channels, classes, 3, 1, d, 1, True) for d in dilations
        )

    def forward(self, x):
        return sum(layer(x) for layer in self.conv2d_list[: self.active])


class DeeplabMulti(ResNet):
    """AdaptSegNet (active=2) and ADVENT (active=4), two levels: (aux, main)."""

    def __init__(self, classes, active, **options):
        super().__init__("caffe", **options)
        self.layer5 = ASPP(self.channels // 2, classes, active)
        self.layer6 = ASPP(self.channels, classes, active)

    def forward(self, x):
        maps = self.features(x)
        return self.layer5(maps[3]), self.layer6(maps[4])


class DeeplabSingle(ResNet):
    """AdaptSegNet with one level (active=2), and the initial weights (active=4)."""

    def __init__(self, classes, active, **options):
        super().__init__("caffe", **options)
        self.layer5 = ASPP(self.channels, classes, active)

    def forward(self, x):
        return self.layer5(super().forward(x))


class Holder(nn.Module):
    """Modules under given names, nothing more."""

    def __init__(self, **modules):
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


class Iast(Holder):
    """backbone (with its ImageNet fc), decoder.aspp and a discriminator."""

    def __init__(self, classes):
        backbone = ResNet("torchvision", fc=10)
        super().__init__(
            backbone=backbone,
            decoder=Holder(aspp=ASPP(backbone.channels, classes)),
            discriminators=nn.Sequential(nn.Sequential(conv(classes, 4, 3, 2, bias=True))),
        )

    def forward(self, x):
        return self.decoder.aspp(self.backbone(x))


class Ripu(Holder):
    """feature_extractor.backbone and classifier; `plus` for DeepLab-V3+, `norm` by FREEZE_BN."""

    def __init__(self, classes, plus=False, norm=FrozenNorm):
        backbone = ResNet("torchvision", norm=norm)
        channels = backbone.channels
        head = V3Plus(channels, 32, classes, norm) if plus else ASPP(channels, classes)
        super().__init__(feature_extractor=Holder(backbone=backbone), classifier=head)
        self.plus = plus

    def forward(self, x):
        maps = self.feature_extractor.backbone.features(x)
        return self.classifier(maps[4], maps[1]) if self.plus else self.classifier(maps[4])


def unit(inputs, outputs, kernel=1, dilation=1, norm=nn.BatchNorm2d):
    return nn.Sequential(conv(inputs, outputs, kernel, 1, dilation), norm(outputs), nn.ReLU())


class Separable(nn.Module):
    def __init__(self, inputs, outputs, norm, dilation=1):
        super().__init__()
        self.depthwise_conv = conv(inputs, inputs, 3, 1, dilation, inputs)
        self.depthwise_bn = norm(inputs)
        self.pointwise_conv = conv(inputs, outputs, 1)
        self.pointwise_bn = norm(outputs)

    def forward(self, x):
        x = F.relu(self.depthwise_bn(self.depthwise_conv(x)))
        return F.relu(self.pointwise_bn(self.pointwise_conv(x)))


class V3Plus(nn.Module):
    """RIPU's DeepLab-V3+ head; `channels` is 512 in the original."""

    def __init__(self, inputs, low, classes, norm, channels=16):
        super().__init__()
        branches = [unit(inputs, channels, norm=norm)]
        branches += [Separable(inputs, channels, norm, dilation) for dilation in (6, 12, 18)]
        self.parallel_branches = nn.ModuleList(branches)
        pooled = unit(inputs, channels, norm=norm)
        self.global_branch = nn.Sequential(nn.AdaptiveAvgPool2d(1), *pooled)
        self.bottleneck = unit(5 * channels, channels, 3, norm=norm)
        self.shortcut = unit(low, 48, norm=norm)
        self.decoder = nn.Sequential(
            Separable(channels + 48, channels, norm),
            Separable(channels, channels, norm),
            nn.Dropout2d(0.1),
            conv(channels, classes, 1, bias=True),
        )

    def forward(self, x, low):
        maps = [branch(x) for branch in self.parallel_branches]
        maps.append(self.global_branch(x).expand_as(maps[0]))
        x = self.bottleneck(torch.cat(maps, 1))
        x = F.interpolate(x, low.shape[2:], mode="bilinear", align_corners=True)
        return self.decoder(torch.cat([x, self.shortcut(low)], 1))


class V3Pyramid(nn.Module):
    def __init__(self, inputs, channels):
        super().__init__()
        pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), *unit(inputs, channels))
        dilated = [unit(inputs, channels, 3, dilation) for dilation in (12, 24, 36)]
        self.convs = nn.ModuleList([unit(inputs, channels), *dilated, pooled])
        self.project = nn.Sequential(*unit(5 * channels, channels), nn.Dropout(0.5))

    def forward(self, x):
        maps = [branch(x) for branch in self.convs]
        maps[-1] = maps[-1].expand_as(maps[0])
        return self.project(torch.cat(maps, 1))


class TorchvisionV3(Holder):
    """torchvision's deeplabv3: backbone, classifier, aux_classifier."""

    def __init__(self, classes, channels=16):
        backbone = ResNet("torchvision")
        inputs = backbone.channels
        head = [V3Pyramid(inputs, channels), *unit(channels, channels, 3)]
        super().__init__(
            backbone=backbone,
            classifier=nn.Sequential(*head, conv(channels, classes, 1, bias=True)),
            aux_classifier=nn.Sequential(
                *unit(inputs // 2, 8, 3), nn.Dropout(0.1), conv(8, classes, 1, bias=True)
            ),
        )

    def forward(self, x):
        return self.classifier(self.backbone(x))


class Discriminator(nn.Module):
    """AdaptSegNet's discriminator: conv1 to conv4, classifier."""

    def __init__(self, classes, ndf=8):
        super().__init__()
        widths = (classes, ndf, 2 * ndf, 4 * ndf, 8 * ndf)
        for i in range(4):
            self.add_module(f"conv{i + 1}", nn.Conv2d(widths[i], widths[i + 1], 4, 2, 1))
        self.classifier = nn.Conv2d(8 * ndf, 1, 4, 2, 1)

    def forward(self, x):
        for i in range(1, 5):
            x = F.leaky_relu(getattr(self, f"conv{i}")(x), 0.2)
        return self.classifier(x)


def sequential_discriminator(classes, ndf=8):
    """Build ADVENT's form of it: the same layers, with keys 0, 2, 4, 6, 8."""
    layers = list(Discriminator(classes, ndf).children())
    between = [[layer, nn.LeakyReLU(0.2)] for layer in layers[:-1]]
    return nn.Sequential(*(module for pair in between for module in pair), layers[-1])


def randomise(module, seed=0):
    """Give every tensor seeded values as of a trained network; returns `module` in eval mode."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            elif tensor.ndim > 1:
                tensor.copy_(noise * (2 / tensor[0].numel()) ** 0.5)
            else:
                tensor.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
    return module.eval()
