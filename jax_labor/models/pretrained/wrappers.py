"""What training scripts put around a state dict, and what they put beside it."""

import argparse
import re
from collections.abc import Iterable, Mapping

import numpy as np

from jax_labor.errors import UserError

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
PAIRS = (("feature_extractor", "classifier"),)
# rosinality's file: its generators, what is read beside them, and its other entries.
GENERATORS = ("g_ema", "g")
MEAN_LATENT = "latent_avg"
BARE = {"style.1.weight", "conv1.conv.modulation.weight"}  # in a generator's state dict alone
GAN_COMPANIONS = ("d", "g_optim", "d_optim", "ada_aug_p")
COMPANIONS = re.compile(
    r"optim\w*|\w*scheduler\w*|iteration|iter|step|epoch|best\w*|args|amp|scaler"
)


_PLAIN = (str, bytes, int, float, complex, np.generic, type(None))


def unwrap(path: str, content: object, network: str) -> tuple[dict[str, object], tuple[str, ...]]:
    """Find the state dict in what a file holds; no other tensors may be there unknown.

    Args:
      path: for messages.
      content: what was loaded.
      network: which one, where the file has rosinality's.

    Returns:
      key -> what should be a tensor, as `read_checkpoint` names them; and a line for a person on
      what is unknown beside it and was passed over, where there is such.

    Raises:
      UserError: there is no state dict, no such network, or unknown tensors beside it.
    """
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state dict of tensors.")
    if set(_strip(content)) >= BARE:
        content = {GENERATORS[0]: content}
    if _is_dict(content, GENERATORS[0]):
        return _generator(path, content, network.lower())
    names = next((pair for pair in PAIRS if set(pair) <= set(content)), None)
    names = names or next(((name,) for name in WRAPPERS if _is_dict(content, name)), ())
    if not names:
        return _strip(content), ()
    notes = _beside(path, content, names)
    if len(names) == 1:
        return _strip(content[names[0]]), notes
    state = {f"{n}.{key}": value for n in names for key, value in _strip(content[n]).items()}
    return state, notes


def _generator(path: str, content: dict, network: str) -> tuple[dict[str, object], tuple[str, ...]]:
    """Take a generator out of rosinality's file."""
    if network not in GENERATORS or not _is_dict(content, network):
        there = " or ".join(name for name in GENERATORS if _is_dict(content, name))
        raise UserError(f"{path}: has no generator {network!r}; choose {there}.")
    notes = _beside(path, content, (network, *GENERATORS, MEAN_LATENT, *GAN_COMPANIONS))
    state = {f"{GENERATORS[0]}.{key}": value for key, value in _strip(content[network]).items()}
    if MEAN_LATENT in content:
        mean = content[MEAN_LATENT]
        # [1,w] is what his Generator.mean_latent gives, [w] what his converter writes.
        single = getattr(mean, "ndim", 1) == 2 and len(mean) == 1
        state[MEAN_LATENT] = mean[0] if single else mean
    return state, notes


def _beside(path: str, content: dict, known: tuple[str, ...]) -> tuple[str, ...]:
    """Name what is unknown beside the weights; refuse it where it could be weights too."""
    unknown = [n for n in content if n not in known and not COMPANIONS.fullmatch(str(n))]
    for name in unknown:
        if not _plain(content[name]):
            raise UserError(
                f"{path}: beside {known[0]} it has tensors in {name!r}, which is not known. "
                f"Save {known[0]} alone, where the file was made."
            )
    names = ", ".join(str(name)[:50] for name in unknown[:6])
    return (f"not read, as it is unknown and no weights: {names}",) if unknown else ()


def _plain(value: object) -> bool:
    """Tell whether there is only text and numbers in `value`, however it is nested."""
    parts, seen = [value], set()
    while parts:
        part = parts.pop()
        if isinstance(part, _PLAIN) or id(part) in seen:
            continue
        seen.add(id(part))
        inside = _inside(part)
        if inside is None:
            return False
        parts += inside
    return True


def _inside(part: object) -> Iterable[object] | None:
    part = vars(part) if isinstance(part, argparse.Namespace) else part
    if isinstance(part, Mapping):
        return [*part.keys(), *part.values()]
    return part if isinstance(part, (list, tuple, set)) else None


def _is_dict(content: dict, name: str) -> bool:
    return isinstance(content.get(name), dict)


def _strip(state: dict[str, object]) -> dict[str, object]:
    """Take `module.` (DataParallel) off, where every key has it."""
    if state and all(str(key).startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state
