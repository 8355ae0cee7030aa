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
    """One tensor of a module: `torch` key ending <-> `flax` leaf in `collection`.

    `axes` names the axes of both, as in "1oihw->hwio" (1: an axis of length one that ours lacks).
    Without it a tensor of four axes is a convolution, oihw->hwio, and every other stays.
    """

    torch: str
    collection: str
    flax: str
    axes: str = ""

    def to_flax(self, tensor: np.ndarray) -> np.ndarray:
        """Arrange a PyTorch tensor as ours; one that does not fit `axes` stays as it is."""
        theirs, ours = self._axes(tensor.ndim)
        ones = tuple(i for i, axis in enumerate(theirs) if axis == "1")
        if tensor.ndim != len(theirs) or any(tensor.shape[i] != 1 for i in ones):
            return tensor
        letters = theirs.replace("1", "")
        return tensor.squeeze(ones).transpose([letters.index(axis) for axis in ours]).copy("C")

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """Arrange our array as PyTorch's, the reverse of `to_flax`."""
        theirs, ours = self._axes(array.ndim)
        turned = array.transpose([ours.index(axis) for axis in theirs.replace("1", "")])
        ones = tuple(i for i, axis in enumerate(theirs) if axis == "1")
        return np.expand_dims(turned, ones).copy("C")

    def _axes(self, ndim: int) -> tuple[str, str]:
        if self.axes:
            theirs, _, ours = self.axes.partition("->")
            return theirs, ours
        return ("oihw", "hwio") if ndim == 4 else ("abcdefg"[:ndim],) * 2


CONV = (Leaf("weight", "params", "kernel"), Leaf("bias", "params", "bias"))
DENSE = (Leaf("weight", "params", "kernel", "oi->io"), Leaf("bias", "params", "bias"))
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
        name = rename(self.torch, self.flax, module) if leaf else None
        return None if name is None else "/".join(filter(None, (leaf.collection, name, leaf.flax)))

    def torch_key(self, path: str) -> str | None:
        """Give the PyTorch key of a Flax path, the reverse of `flax_path`."""
        collection, _, rest = path.partition("/")
        module, _, ending = rest.rpartition("/")
        wanted = (collection, ending)
        leaf = next((leaf for leaf in self.leaves if (leaf.collection, leaf.flax) == wanted), None)
        name = rename(self.flax, self.torch, module) if leaf else None
        return None if name is None else ".".join(filter(None, (name, leaf.torch)))

    def leaf(self, key: str) -> Leaf | None:
        """Give the leaf that PyTorch `key` is; None where it is not ours."""
        module, _, ending = key.rpartition(".")
        leaf = next((leaf for leaf in self.leaves if leaf.torch == ending), None)
        return leaf if leaf and rename(self.torch, "", module) is not None else None

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
