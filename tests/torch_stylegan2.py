"""StyleGAN2 in PyTorch functions over an official state dict, written from the published rules.

Every sample is convolved with its own demodulated kernel (a grouped convolution), upsampling is
PyTorch's transposed convolution, and filters run over maps with zeros put in: other ways to the
same numbers than the code under test takes. `official_pickle` writes the official file format.
"""

import io
import pickle
import sys
import types

import numpy as np
import torch
from torch.nn import functional as F

TAPS = torch.tensor([1.0, 3.0, 3.0, 1.0])
FILTER = torch.outer(TAPS, TAPS) / 64

# A hostile value: a pickle of a few hundred bytes, whose text would be 2**60 leaves long.
BUSHY = ["leaf"]
for _ in range(60):
    BUSHY = [BUSHY, BUSHY]


def filtered(x, up=1, down=1, pad=(0, 0, 0, 0), gain=1.0):
    """Zeros in, pad, convolve, drop: x[N,C,H,W], pad = left, right, top, bottom."""
    n, c, h, w = x.shape
    stuffed = x.new_zeros(n, c, h * up, w * up)
    stuffed[:, :, ::up, ::up] = x
    stuffed = F.pad(stuffed, pad)
    kernel = (FILTER.to(x.dtype) * gain).flip(0, 1).expand(c, 1, 4, 4)
    return F.conv2d(stuffed, kernel, groups=c)[:, :, ::down, ::down]


def act(x, gain=1.0, clamp=None):
    x = F.leaky_relu(x, 0.2) * np.sqrt(2) * gain
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def dense(state, name, x, lr=1.0, activate=False):
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    y = x @ (weight * lr / np.sqrt(weight.shape[1])).T + bias * lr
    return act(y) if activate else y


def unit(x):
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


def mapping(state, z, c):
    parts = ([unit(z)] if z is not None else []) + (
        [unit(dense(state, "mapping.embed", c))] if "mapping.embed.weight" in state else []
    )
    x, i = torch.cat(parts, 1), 0
    while f"mapping.fc{i}.weight" in state:
        x, i = dense(state, f"mapping.fc{i}", x, 0.01, True), i + 1
    return x


def modulated(state, name, x, w, up=False, demodulate=True):
    weight = state[f"{name}.weight"]
    style = dense(state, f"{name}.affine", w)
    if not demodulate:
        style = style / np.sqrt(weight[0].numel())
    n, (o, i, k, _) = x.shape[0], weight.shape
    own = weight[None] * style[:, None, :, None, None]
    if demodulate:
        own = own * (own.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    x = x.reshape(1, n * i, *x.shape[2:])
    if up:
        own = own.transpose(1, 2).reshape(n * i, o, k, k)
        x = F.conv_transpose2d(x, own, stride=2, groups=n)
        return filtered(x.reshape(n, o, *x.shape[2:]), pad=(1, 1, 1, 1), gain=4)
    x = F.conv2d(x, own.reshape(n * o, i, k, k), padding=k // 2, groups=n)
    return x.reshape(n, o, *x.shape[2:])


def layer(state, name, x, w, clamp, up=False):
    x = modulated(state, name, x, w, up)
    x = x + state[f"{name}.noise_const"] * state[f"{name}.noise_strength"]
    return act(x + state[f"{name}.bias"][None, :, None, None], clamp=clamp)


def synthesis(state, ws, resolution, clamp=None):
    """Image and every named map [N,C,H,W]."""
    taps, image, rows = {}, None, list(ws.unbind(1))
    x = state["synthesis.b4.const"].expand(len(ws), -1, -1, -1)
    for power in range(2, resolution.bit_length()):
        block = f"b{2**power}"
        if power > 2:
            x = taps[f"{block}.conv0"] = layer(
                state, f"synthesis.{block}.conv0", x, rows.pop(0), clamp, up=True
            )
        x = taps[f"{block}.conv1"] = layer(state, f"synthesis.{block}.conv1", x, rows.pop(0), clamp)
        rgb = modulated(state, f"synthesis.{block}.torgb", x, rows[0], demodulate=False)
        rgb = rgb + state[f"synthesis.{block}.torgb.bias"][None, :, None, None]
        rgb = rgb if clamp is None else rgb.clamp(-clamp, clamp)
        image = rgb if image is None else filtered(image, up=2, pad=(2, 1, 2, 1), gain=4) + rgb
    return image, taps


def conv(state, name, x, gain=1.0, clamp=None, down=False, activate=True):
    weight = state[f"{name}.weight"]
    k = weight.shape[2]
    if down:
        p = 1 + k // 2
        x = filtered(x, pad=(p, p, p, p))
    padding, stride = (0, 2) if down else (k // 2, 1)
    x = F.conv2d(x, weight / np.sqrt(weight[0].numel()), stride=stride, padding=padding)
    if f"{name}.bias" in state:
        x = x + state[f"{name}.bias"][None, :, None, None]
    return act(x, gain, clamp) if activate else x * gain


def deviation(x, group, channels):
    n, c, h, w = x.shape
    group = min(group, n)
    groups, out = n // group, x.new_zeros(n, channels, h, w)
    for g in range(groups):
        members = x[g::groups].reshape(group, channels, c // channels, h, w)
        std = (members.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
        out[g::groups] = std[None, :, None, None]
    return torch.cat([x, out], 1)


def discriminator(state, image, c, resolution, architecture, clamp=None, group=4, channels=1):
    x = None
    for power in range(resolution.bit_length() - 1, 2, -1):
        block = f"b{2**power}"
        if f"{block}.fromrgb.weight" in state:
            colours = conv(state, f"{block}.fromrgb", image, clamp=clamp)
            x = colours if x is None else x + colours
        if architecture == "skip":
            image = filtered(image, down=2, pad=(1, 1, 1, 1))
        residual = architecture == "resnet"
        gain = np.sqrt(0.5) if residual else 1.0
        y = conv(state, f"{block}.conv0", x, clamp=clamp)
        y = conv(state, f"{block}.conv1", y, gain, clamp, down=True)
        if residual:
            y = y + conv(state, f"{block}.skip", x, gain, down=True, activate=False)
        x = y
    if architecture == "skip":
        x = x + conv(state, "b4.fromrgb", image)
    x = deviation(x, group, channels) if channels else x
    x = conv(state, "b4.conv", x, clamp=clamp)
    x = dense(state, "b4.out", dense(state, "b4.fc", x.flatten(1), activate=True))
    if c is None:
        return x
    projection = mapping(state, None, c)
    return (x * projection).sum(1, keepdim=True) / np.sqrt(projection.shape[1])


class Persistent:
    """Pickles as an official network does: its class's source text, its state."""

    def __init__(self, kind, tensors, arguments, **state):
        self.meta = {"type": "class", "version": 6, "module_src": "raise SystemExit"}
        self.meta |= {"class_name": kind, "state": _state(tensors, arguments) | state}

    def __reduce__(self):
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


def _state(tensors, arguments=None):
    """A module's attributes; the keys' first parts become submodules."""
    children, own, buffers = {}, {}, {}
    for key, value in tensors.items():
        head, dot, rest = key.partition(".")
        if dot:
            children.setdefault(head, {})[rest] = value
        elif head in ("noise_const", "resample_filter", "w_avg"):
            buffers[head] = value
        else:
            own[head] = torch.nn.Parameter(value, requires_grad=False)
    return {
        "_init_args": (),
        "_init_kwargs": arguments or {},
        "_parameters": own,
        "_buffers": buffers,
        "_modules": {name: Persistent("Part", part, None) for name, part in children.items()},
        "_non_persistent_buffers_set": set(),
        "training": False,
    }


def official_pickle(content, protocol=3):
    """The bytes of `content` with every Persistent in it as the official code writes it."""

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("the pickle was run")

    package, module = types.ModuleType("torch_utils"), types.ModuleType("torch_utils.persistence")
    _reconstruct_persistent_obj.__module__ = module.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj
    package.persistence = module
    added = {package.__name__: package, module.__name__: module}
    sys.modules.update(added)
    try:
        stream = io.BytesIO()
        pickle.dump(content, stream, protocol)
        return stream.getvalue()
    finally:
        for name in added:
            del sys.modules[name]
