"""What a checkpoint layout is: a table of modules and the lists of what is deliberately left out.

Every key of a file must appear in `modules` or `drop`, every variable of the model in `modules` or
`left`; whatever else is found is an error.
"""

import dataclasses
import fnmatch
from collections.abc import Iterable

import numpy as np

from jax_labor.models.pretrained.naming import Leaf, Module, rename

# PyTorch counts batches for a mode of batch norm that no network here uses.
COUNTERS = ("*.num_batches_tracked",)


@dataclasses.dataclass(frozen=True)
class Constant:
    """A tensor that every file has and that our code has as a number: `torch` beside `like`.

    Both are templates of keys. It must hold `value`, and export writes it where `like` is.
    """

    torch: str
    like: str
    value: np.ndarray


@dataclasses.dataclass(frozen=True)
class Layout:
    """One known arrangement of keys.

    Attributes:
      name: how the user calls it.
      about: one line for messages.
      modules: the modules that are read, and where they go.
      anchors: templates of PyTorch modules or keys that every file of this layout has; they tell
        layouts apart.
      drop: patterns of keys that are deliberately not read.
      left: patterns of variables (without collection) that may stay as initialised.
      replaceable: patterns of variables; the modules that match are read only if all of them fit
        the model, otherwise they are dropped together and the model's stay as initialised.
      zeros: (module, like) PyTorch templates: export writes zeros for `module`, shaped as `like`.
      counters: files may count batches; where not, counts make another layout.
      constants: tensors that must hold what our code assumes, see Constant.
      wrapped: the file is a dict of these state dicts; their names are the first part of a key.
      model: the settings the weights were trained with: of the model, and `normalize` of its input.
    """

    name: str
    about: str
    modules: tuple[Module, ...]
    anchors: tuple[str, ...]
    drop: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    replaceable: tuple[str, ...] = ()
    zeros: tuple[tuple[str, str], ...] = ()
    counters: bool = True
    constants: tuple[Constant, ...] = ()
    wrapped: tuple[str, ...] = ()
    model: tuple[tuple[str, object], ...] = ()

    def flax_path(self, key: str) -> str | None:
        """Give the variable that PyTorch `key` fills; None where the layout does not read it."""
        path = next(filter(None, (module.flax_path(key) for module in self.modules)), None)
        # Where two lines lead to one variable, only the key that export would write is read.
        return path if path and self.torch_key(path) == key else None

    def torch_key(self, path: str) -> str | None:
        """Give the PyTorch key that fills variable `path`; None where the layout has none."""
        return next(filter(None, (module.torch_key(path) for module in self.modules)), None)

    def to_flax(self, key: str, tensor: np.ndarray) -> np.ndarray:
        """Arrange the tensor of PyTorch `key` as our variable; one of a wrong rank stays."""
        return self._leaf(key).to_flax(tensor)

    def to_torch(self, key: str, array: np.ndarray) -> np.ndarray:
        """Arrange our variable as the tensor of PyTorch `key`, the reverse of `to_flax`."""
        return self._leaf(key).to_torch(array)

    def _leaf(self, key: str) -> Leaf:
        return next(filter(None, (module.leaf(key) for module in self.modules)))

    def constant(self, key: str) -> np.ndarray | None:
        """Give what PyTorch `key` must hold, where that is fixed."""
        fixed = (c.value for c in self.constants if rename(c.torch, "", key) is not None)
        return next(fixed, None)

    def reads(self, key: str) -> bool:
        """Tell whether the layout knows `key`."""
        known = self.drops(key) or self.constant(key) is not None
        return known or self.flax_path(key) is not None

    def drops(self, key: str) -> bool:
        """Tell whether `key` is on the list of what is deliberately not read."""
        return matches(key, self.drop + COUNTERS * self.counters)

    def anchored(self, keys: Iterable[str]) -> bool:
        """Tell whether every anchor of the layout is among `keys`."""
        names = {name for key in keys for name in (key, key.rpartition(".")[0])}
        return all(any(rename(a, "", n) is not None for n in names) for a in self.anchors)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether `name` matches one of the shell-style `patterns`."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
