"""What training scripts put around a state dict, and what they put beside it."""

import re

from jax_labor.errors import UserError

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
PAIRS = (("feature_extractor", "classifier"),)
# rosinality's file: its generators, what is read beside them, and its other entries.
GENERATORS = ("g_ema", "g")
MEAN_LATENT = "latent_avg"
GAN_COMPANIONS = ("d", "g_optim", "d_optim", "ada_aug_p")
COMPANIONS = re.compile(
    r"optim\w*|\w*scheduler\w*|iteration|iter|step|epoch|best\w*|args|amp|scaler"
)


def unwrap(path: str, content: object, network: str) -> dict[str, object]:
    """Find the state dict in what a file holds; every other entry must be a known companion.

    Args:
      path: for messages.
      content: what was loaded.
      network: which one, where the file has rosinality's.

    Returns:
      key -> what should be a tensor, as `read_checkpoint` names them.

    Raises:
      UserError: there is no state dict, no such network, or something unknown beside it.
    """
    if isinstance(content, dict) and _is_dict(content, GENERATORS[0]):
        return _generator(path, content, network.lower())
    return _strip(_unwrapped(path, content))


def _unwrapped(path: str, content: object) -> dict[str, object]:
    if not isinstance(content, dict):
        raise UserError(f"{path}: holds a {type(content).__name__}, not a state dict of tensors.")
    names = next((pair for pair in PAIRS if set(pair) <= set(content)), None)
    names = names or next(((name,) for name in WRAPPERS if _is_dict(content, name)), ())
    if not names:
        return content
    for name in content:
        if name not in names and not COMPANIONS.fullmatch(str(name)):
            raise UserError(
                f"{path}: beside {' and '.join(names)} it has {name!r}, which is not known. "
                f"Save {' and '.join(names)} alone, where the file was made."
            )
    if len(names) == 1:
        return content[names[0]]
    return {f"{n}.{key}": value for n in names for key, value in _strip(content[n]).items()}


def _generator(path: str, content: dict, network: str) -> dict[str, object]:
    """Take a generator out of rosinality's file."""
    if network not in GENERATORS or not _is_dict(content, network):
        there = " or ".join(name for name in GENERATORS if _is_dict(content, name))
        raise UserError(f"{path}: has no generator {network!r}; choose {there}.")
    for name in content:
        known = (*GENERATORS, MEAN_LATENT, *GAN_COMPANIONS)
        if name not in known and not COMPANIONS.fullmatch(str(name)):
            raise UserError(f"{path}: beside {network} it has {name!r}, which is not known.")
    state = {f"{GENERATORS[0]}.{key}": value for key, value in _strip(content[network]).items()}
    mean = {MEAN_LATENT: content[MEAN_LATENT]} if MEAN_LATENT in content else {}
    return state | mean


def _is_dict(content: dict, name: str) -> bool:
    return isinstance(content.get(name), dict)


def _strip(state: dict[str, object]) -> dict[str, object]:
    """Take `module.` (DataParallel) off, where every key has it."""
    if state and all(str(key).startswith("module.") for key in state):
        return {key.removeprefix("module."): value for key, value in state.items()}
    return state
