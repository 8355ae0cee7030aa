"""How a module of a PyTorch state dict is named and stored here, in both directions.

A name template is a literal with numbered places: ``layer{s}.{b}.conv{i}`` stands for every
``layer<number>.<number>.conv<number>``. The same places appear in the Flax template, so that one
line of a layout serves import and export alike.
"""

import dataclasses
import functools
import re

import numpy as np


@dataclasses.dataclass(frozen=True)
class Leaf:
    """One tensor of a module: `torch` key ending <-> `flax` leaf in `collection`."""

    torch: str
    collection: str
    flax: str


CONV = (Leaf("weight", "params", "kernel"), Leaf("bias", "params", "bias"))
NORM = (
    Leaf("weight", "params", "scale"),
    Leaf("bias", "params", "bias"),
    Leaf("running_mean", "batch_stats", "mean"),
    Leaf("running_var", "batch_stats", "var"),
)


@dataclasses.dataclass(frozen=True)
class Module:
    """A line of a layout: `torch` and `flax` module name templates and the tensors they hold."""

    torch: str
    flax: str
    leaves: tuple[Leaf, ...]

    def flax_path(self, key: str) -> str | None:
        """`layer1.0.conv2.weight` -> `params/layer1_0/conv2/kernel`; None where it is not ours."""
        module, _, ending = key.rpartition(".")
        leaf = next((leaf for leaf in self.leaves if leaf.torch == ending), None)
        name = leaf and rename(self.torch, self.flax, module)
        return name and f"{leaf.collection}/{name}/{leaf.flax}"

    def torch_key(self, path: str) -> str | None:
        """Give the PyTorch key of a Flax path, the reverse of `flax_path`."""
        collection, _, rest = path.partition("/")
        module, _, ending = rest.rpartition("/")
        wanted = (collection, ending)
        leaf = next((leaf for leaf in self.leaves if (leaf.collection, leaf.flax) == wanted), None)
        name = leaf and rename(self.flax, self.torch, module)
        return name and f"{name}.{leaf.torch}"

    def under(self, torch: str, flax: str) -> "Module":
        """Prepend `torch` and `flax` to the two names."""
        return Module(torch + self.torch, flax + self.flax, self.leaves)


def conv(torch: str, flax: str) -> Module:
    """Build the line of a convolution, with or without a bias."""
    return Module(torch, flax, CONV)


def norm(torch: str, flax: str) -> Module:
    """Build the line of a batch normalisation, its running statistics included."""
    return Module(torch, flax, NORM)


def rename(source: str, target: str, name: str) -> str | None:
    """Carry the numbers of `name`, read by template `source`, over to template `target`."""
    found = _pattern(source).fullmatch(name)
    return target.format(**found.groupdict()) if found else None


@functools.cache
def _pattern(template: str) -> re.Pattern:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>\\d+)", re.escape(template)))


def to_flax(tensor: np.ndarray) -> np.ndarray:
    """Turn a convolution OIHW into HWIO (depthwise too: [C,1,h,w] -> [h,w,1,C]); keep vectors."""
    return np.ascontiguousarray(tensor.transpose(2, 3, 1, 0)) if tensor.ndim == 4 else tensor


def to_torch(array: np.ndarray) -> np.ndarray:
    """Turn a convolution HWIO into OIHW, the reverse of `to_flax`."""
    return np.ascontiguousarray(array.transpose(3, 2, 0, 1)) if array.ndim == 4 else array
