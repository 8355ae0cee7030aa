"""The copy of the generator whose samples people label, in `WORKDIR/samples/generator`.

Where it came from, its training may go on, and what made the samples may soon be gone.
"""

import dataclasses

from etils import epath

from jax_labor.engine.processes import from_main, together
from jax_labor.errors import UserError
from jax_labor.experiments.generator_file import OpenGenerator, open_generator, save_generator
from jax_labor.experiments.sample_files import manifest_path, read_manifest
from jax_labor.labels.store import Round


def keep_generator(workdir, generator: OpenGenerator) -> None:
    """Keeps a copy of the samples' generator; main process, before the round is open."""
    # What is there is of a start that was killed before it asked: another one perhaps.
    save_generator(kept_generator(workdir), generator.network, generator.variables, 0)


def kept_generator(workdir) -> epath.Path:
    """Where the copy lies, a folder for `open_generator`."""
    return epath.Path(workdir) / "samples"


def open_samples_generator(config, workdir) -> OpenGenerator:
    """The generator of the samples: the copy of it once round 0 is open, before what is set.

    Call in all processes. Work directories of earlier versions have no copy: there it is always
    what is set.

    Raises:
        UserError: the copy is of another generator than what is set, or is damaged; or what
            `open_generator` finds.
    """
    path, round_, kept = config.generator.path, Round(workdir, 0), kept_generator(workdir)
    asked = from_main(lambda: round_.is_open and kept.exists())
    if config.ensemble.weights or not asked:
        return together(lambda: open_generator(path))
    return together(lambda: _open_kept(path, round_, kept))


def _open_kept(path: str, round_: Round, kept: epath.Path) -> OpenGenerator:
    manifest = read_manifest(round_)
    if manifest.source != path:
        raise UserError(
            f"{manifest_path(round_)}: the samples come from {manifest.source}, but"
            f" config.generator.path is {path}: name the generator that made them (it need not be"
            f" there, {kept} is a copy), or start in another workdir."
        )
    generator = dataclasses.replace(open_generator(kept), source=manifest.source)
    if generator.checksum != manifest.checksum:
        raise UserError(f"{kept} did not make the samples of {manifest_path(round_)}: restore it.")
    return generator
