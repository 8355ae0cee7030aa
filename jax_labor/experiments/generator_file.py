"""A trained generator on disk: what sampling, labelling and the factory start from.

`FOLDER/generator/checkpoints/STEP/state` holds its arrays, {"params", "stats"}, as Orbax restores
them without our code, and `FOLDER/generator/network.json` the settings that build the network. This
is written last and goes first: a folder without it is none.
"""

import dataclasses
import functools
import json
import logging

import jax
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.engine.processes import from_main
from jax_labor.engine.tree import checksum
from jax_labor.errors import UserError, about
from jax_labor.experiments.gan_assembly import build_gan
from jax_labor.files import read_object, write_json
from jax_labor.models.pretrained import GENERATOR, build_stylegan, load_stylegan
from jax_labor.models.stylegan2 import StyleGAN2Generator, settings_of

FOLDER = "generator"
_LOG = logging.getLogger(__name__)
# Generators that are part of the project, by name: NAME.npz, with the run's config in NAME.json.
_OWN = epath.Path(__file__).parent.parent / "generators"


@dataclasses.dataclass(frozen=True)
class OpenGenerator:
    """A generator to draw samples from.

    Attributes:
        network: a StyleGAN2Generator.
        variables: {"params", "stats"}, NumPy arrays.
        source: where it was read.
    """

    network: StyleGAN2Generator
    variables: dict
    source: str

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the images."""
        return self.network.pyramid.image_size

    @functools.cached_property
    def checksum(self) -> str:
        """SHA-256 of settings and arrays: another one makes other samples."""
        settings = json.dumps(settings_of(self.network), sort_keys=True)
        return checksum(self.variables, settings.encode())

    def check_finite(self, finite: np.ndarray, names) -> None:
        """Raises a UserError that names the first of the samples `names` where not `finite`."""
        if not finite.all():
            raise UserError(
                f"{self.source}: {names[int(np.argmin(finite))]} is not finite, so the generator is"
                " damaged or diverged: choose an earlier checkpoint of its training."
            )


def open_generator(path: epath.PathLike) -> OpenGenerator:
    """Reads the generator of a run, or of a file.

    Args:
        path: the work directory of a run of configs/stylegan2.py; an official .pkl, rosinality's
            .pt or an .npz of launch/weights.py; or the bare name of a generator of the project.

    Raises:
        UserError: nothing is there, or it is damaged, or is no generator.
    """
    if not path:
        raise UserError(
            "config.generator.path is empty: name the --workdir of a run of configs/stylegan2.py,"
            " or a file of weights."
        )
    own, bare = _OWN / f"{path}.npz", epath.Path(path).name == str(path)
    if bare and own.exists():  # joined, an absolute path would drop our folder
        network, variables, _ = load_stylegan(own)
    elif epath.Path(path).is_dir():
        network, variables, _ = load_generator(path)
    else:
        network, variables, _ = load_stylegan(path)
    if not isinstance(network, StyleGAN2Generator):
        raise UserError(f"{path} holds a {type(network).__name__}: give a generator.")
    variables = jax.tree.map(np.asarray, {name: variables[name] for name in ("params", "stats")})
    return OpenGenerator(network, variables, str(path))


def save_generator(workdir: epath.PathLike, generator, variables: dict, step: int) -> None:
    """Writes the generator of `step` to `workdir/generator`, in the place of any that is there.

    Args:
        workdir: the run's work directory.
        generator: a StyleGAN2Generator.
        variables: {"params", "stats"}, host arrays.
        step: iterations trained.
    """
    place = epath.Path(workdir) / FOLDER
    (place / "network.json").unlink(missing_ok=True)
    if place.exists():
        place.rmtree()
    with Checkpoints(place, keep=1) as checkpoints:
        checkpoints.save(step, variables, {"step": step})
    write_json(place / "network.json", settings_of(generator))


def load_generator(workdir: epath.PathLike) -> tuple[StyleGAN2Generator, dict, int]:
    """Reads what `save_generator` wrote, or the newest checkpoint of a run that has not ended.

    A run that goes on after its end has checkpoints of later steps again.

    Returns:
        The network, its variables {"params", "stats"} as NumPy arrays, and the step.

    Raises:
        UserError: there is none yet, it is damaged, or its arrays do not fit its settings.
    """
    place = epath.Path(workdir) / FOLDER
    finished = from_main(lambda: _has_ended(workdir, place))
    generator, variables, step = _finished(place) if finished else _in_training(workdir)
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(variables)):
        raise UserError(f"{place}: weights that are not finite; train again with a lower rate.")
    return generator, variables, step


def _has_ended(workdir: epath.PathLike, place: epath.Path) -> bool:
    """Whether the generator at `place` is there, and of no earlier step than the run's training."""
    if not (place / "network.json").exists():
        return False
    with Checkpoints(place, read_only=True) as kept, Checkpoints(workdir, read_only=True) as run:
        return max(kept.steps(), default=-1) >= max(run.steps(), default=-1)


def _finished(place: epath.Path) -> tuple[StyleGAN2Generator, dict, int]:
    path = place / "network.json"
    settings = read_object(path)
    with about(path):
        generator, shapes = build_stylegan(GENERATOR, settings)
    with Checkpoints(place, read_only=True) as checkpoints:
        found = checkpoints.restore(shapes)
    if found is None:
        raise UserError(f"{place} holds no generator: its files are gone. Restore them.")
    step, variables, _ = found
    return generator, variables, step


def _in_training(workdir: epath.PathLike) -> tuple[StyleGAN2Generator, dict, int]:
    """The average of the newest checkpoint: who likes the pictures need not wait for the end."""
    path = epath.Path(workdir) / "config.json"
    config = read_object(path) if path.exists() else {}
    if "network" not in config:
        raise UserError(
            f"{workdir} holds no generator: name the --workdir of a run of configs/stylegan2.py."
        )
    with Checkpoints(workdir, read_only=True) as checkpoints:
        found = checkpoints.read()
    if found is None:
        raise UserError(f"{workdir} holds no generator yet: its training has no checkpoint.")
    step, state = found
    _LOG.info("%s: the training has not ended; its checkpoint of step %d is taken", workdir, step)
    generator = build_gan(ConfigDict(config)).generator
    return generator, {"params": state["average"], "stats": state["stats"]}, step
