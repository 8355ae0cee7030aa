"""Inception-v3 as the Fréchet distance uses it, in PyTorch's functions, with random weights."""

import torch
import torch.nn.functional as F


class TorchInception:
    """Draws the weights of a layer when it is first met; `state` holds them by public name."""

    def __init__(self, seed=0):
        self.state, self._draw = {}, torch.Generator().manual_seed(seed)

    def __call__(self, x):
        """float32[B, 3, H, W] to float32[B, 2048]."""
        unit = self.unit
        x = unit("Conv2d_1a_3x3", x, 32, 3, stride=2)
        x = unit("Conv2d_2a_3x3", x, 32, 3)
        x = F.max_pool2d(unit("Conv2d_2b_3x3", x, 64, 3, padding=1), 3, 2)
        x = unit("Conv2d_3b_1x1", x, 80, 1)
        x = F.max_pool2d(unit("Conv2d_4a_3x3", x, 192, 3), 3, 2)
        for name, pooled in (("5b", 32), ("5c", 64), ("5d", 64)):
            x = self.a(f"Mixed_{name}.", x, pooled)
        x = self.b("Mixed_6a.", x)
        for name, inner in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
            x = self.c(f"Mixed_{name}.", x, inner)
        x = self.d("Mixed_7a.", x)
        x = self.e("Mixed_7b.", x, means)
        x = self.e("Mixed_7c.", x, lambda x: F.max_pool2d(x, 3, 1, 1))
        return F.adaptive_avg_pool2d(x, 1).flatten(1)

    def unit(self, name, x, features, kernel, stride=1, padding=0):
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        if f"{name}.conv.weight" not in self.state:
            shape = (features, x.shape[1], *kernel)
            fan_in = shape[1] * shape[2] * shape[3]
            self.state[f"{name}.conv.weight"] = self.normal(shape) * (2 / fan_in) ** 0.5
            self.state[f"{name}.bn.weight"] = 1 + 0.2 * self.normal(features)
            self.state[f"{name}.bn.bias"] = 0.2 * self.normal(features)
            self.state[f"{name}.bn.running_mean"] = 0.2 * self.normal(features)
            # Small ones, so that the epsilon counts.
            self.state[f"{name}.bn.running_var"] = 0.01 + self.normal(features) ** 2
        leaves = ("conv.weight", "bn.running_mean", "bn.running_var", "bn.weight", "bn.bias")
        weight, *norm = (self.state[f"{name}.{leaf}"] for leaf in leaves)
        return F.relu(F.batch_norm(F.conv2d(x, weight, None, stride, padding), *norm, eps=0.001))

    def normal(self, shape):
        shape = (shape,) if isinstance(shape, int) else shape
        return torch.randn(shape, generator=self._draw)

    def a(self, at, x, pooled):
        five = self.unit(f"{at}branch5x5_1", x, 48, 1)
        return torch.cat([
            self.unit(f"{at}branch1x1", x, 64, 1),
            self.unit(f"{at}branch5x5_2", five, 64, 5, padding=2),
            self.double(at, x, 1, 1),
            self.unit(f"{at}branch_pool", means(x), pooled, 1),
        ], 1)  # fmt: skip

    def b(self, at, x):
        three = self.unit(f"{at}branch3x3", x, 384, 3, stride=2)
        return torch.cat([three, self.double(at, x, 2, 0), F.max_pool2d(x, 3, 2)], 1)

    def double(self, at, x, stride, padding):
        x = self.unit(f"{at}branch3x3dbl_1", x, 64, 1)
        x = self.unit(f"{at}branch3x3dbl_2", x, 96, 3, padding=1)
        return self.unit(f"{at}branch3x3dbl_3", x, 96, 3, stride, padding)

    def chain(self, name, x, widths, kernels):
        for number, (width, kernel) in enumerate(zip(widths, kernels, strict=True), 1):
            padding = (kernel[0] // 2, kernel[1] // 2)
            x = self.unit(f"{name}_{number}", x, width, kernel, padding=padding)
        return x

    def c(self, at, x, n):
        wide, high = (1, 7), (7, 1)
        once = self.chain(f"{at}branch7x7", x, (n, n, 192), ((1, 1), wide, high))
        twice = self.chain(
            f"{at}branch7x7dbl", x, (n, n, n, n, 192), ((1, 1), high, wide, high, wide)
        )
        return torch.cat([
            self.unit(f"{at}branch1x1", x, 192, 1),
            once,
            twice,
            self.unit(f"{at}branch_pool", means(x), 192, 1),
        ], 1)  # fmt: skip

    def d(self, at, x):
        three = self.unit(f"{at}branch3x3_1", x, 192, 1)
        seven = self.chain(f"{at}branch7x7x3", x, (192,) * 3, ((1, 1), (1, 7), (7, 1)))
        return torch.cat([
            self.unit(f"{at}branch3x3_2", three, 320, 3, stride=2),
            self.unit(f"{at}branch7x7x3_4", seven, 192, 3, stride=2),
            F.max_pool2d(x, 3, 2),
        ], 1)  # fmt: skip

    def e(self, at, x, pool):
        three = self.unit(f"{at}branch3x3_1", x, 384, 1)
        double = self.chain(f"{at}branch3x3dbl", x, (448, 384), ((1, 1), (3, 3)))
        return torch.cat([
            self.unit(f"{at}branch1x1", x, 320, 1),
            self.unit(f"{at}branch3x3_2a", three, 384, (1, 3), padding=(0, 1)),
            self.unit(f"{at}branch3x3_2b", three, 384, (3, 1), padding=(1, 0)),
            self.unit(f"{at}branch3x3dbl_3a", double, 384, (1, 3), padding=(0, 1)),
            self.unit(f"{at}branch3x3dbl_3b", double, 384, (3, 1), padding=(1, 0)),
            self.unit(f"{at}branch_pool", pool(x), 192, 1),
        ], 1)  # fmt: skip


def means(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
