"""What a checkpoint layout is: a table of modules and the lists of what is deliberately left out.

Every key of a file must appear in `modules` or `drop`, every variable of the model in `modules` or
`left`; whatever else is found is an error.
"""

import dataclasses
import fnmatch
from collections.abc import Iterable

from jax_labor.models.pretrained.naming import Module, rename

# PyTorch counts batches for a mode of batch norm that no network here uses.
COUNTERS = ("*.num_batches_tracked",)


@dataclasses.dataclass(frozen=True)
class Layout:
    """One known arrangement of keys.

    Attributes:
      name: how the user calls it.
      about: one line for messages.
      modules: the modules that are read, and where they go.
      anchors: PyTorch module templates that every file of this layout has; they tell layouts apart.
      drop: patterns of keys that are deliberately not read.
      left: patterns of variables (without collection) that may stay as initialised.
      replaceable: patterns of variables; the modules that match are read only if all of them fit
        the model, otherwise they are dropped together and the model's stay as initialised.
      zeros: (module, like) PyTorch templates: export writes zeros for `module`, shaped as `like`.
      wrapped: the file is a dict of these state dicts; their names are the first part of a key.
      model: the settings of the model the weights were trained in.
    """

    name: str
    about: str
    modules: tuple[Module, ...]
    anchors: tuple[str, ...]
    drop: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    replaceable: tuple[str, ...] = ()
    zeros: tuple[tuple[str, str], ...] = ()
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

    def drops(self, key: str) -> bool:
        """Tell whether `key` is on the list of what is deliberately not read."""
        return matches(key, self.drop + COUNTERS)

    def anchored(self, keys: Iterable[str]) -> bool:
        """Tell whether every anchor of the layout is among `keys`."""
        modules = {key.rpartition(".")[0] for key in keys}
        return all(any(rename(a, "", m) is not None for m in modules) for a in self.anchors)


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether `name` matches one of the shell-style `patterns`."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
