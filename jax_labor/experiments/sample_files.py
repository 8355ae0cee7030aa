"""What keeps the samples of round 0 what they are, whatever draws latents later.

`rounds/000/samples.json` is the manifest: the generator's checksum, truncation and, for every
sample, its name, its number among those drawn and the SHA-256 of its pixels;
`rounds/000/latents.npz` holds the latents and noise keys. The generator itself: `kept_generator`.
"""

import dataclasses
import hashlib
import io

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jax_labor.errors import UserError
from jax_labor.files import read_json, write_json, write_with
from jax_labor.labels.store import Round
from jax_labor.steps.samples import LABELLED, Latents, draw_latents


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What making the samples again takes.

    Attributes:
        source: where their generator was read.
        checksum: of the generator, see `OpenGenerator`.
        psi, cutoff: truncation.
        digests: by name, in the order of the latents, the SHA-256 of each sample's pixels.
    """

    source: str
    checksum: str
    psi: float
    cutoff: int
    digests: dict[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """Of all samples, in the order of the latents."""
        return tuple(self.digests)


def manifest_path(round_: Round) -> epath.Path:
    """Where the manifest lies."""
    return round_.folder / "samples.json"


def write_manifest(
    round_: Round, generator, config, names, numbers: np.ndarray, images: np.ndarray
) -> None:
    """Writes the manifest of samples `names`, drawn as `numbers`, with pixels uint8[N, H, W, 3]."""
    content = {
        "generator": {"source": generator.source, "sha256": generator.checksum},
        "psi": config.generator.psi,
        "cutoff": config.generator.cutoff,
        "seed": config.seed,
        "samples": [
            {"name": name, "number": number, "sha256": digest(image)}
            for name, number, image in zip(names, numbers.tolist(), images, strict=True)
        ],
    }
    write_json(manifest_path(round_), content)


def read_manifest(round_: Round) -> Manifest:
    """Reads the manifest; a UserError where it is missing, damaged or of another round."""
    path = manifest_path(round_)
    content = read_json(path)
    try:
        manifest = Manifest(
            source=str(content["generator"]["source"]),
            checksum=str(content["generator"]["sha256"]),
            psi=float(content["psi"]),
            cutoff=int(content["cutoff"]),
            digests={str(sample["name"]): str(sample["sha256"]) for sample in content["samples"]},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: damaged ({error!r}): restore it.") from error
    if sorted(manifest.names) != round_.names():
        raise UserError(f"{path}: its samples are not those of round.json beside it: restore it.")
    return manifest


def digest(image: np.ndarray) -> str:
    """SHA-256 of pixels uint8[H, W, 3], as the manifest has it."""
    return hashlib.sha256(image.tobytes()).hexdigest()


def write_latents(round_: Round, latents: Latents) -> None:
    """Writes latents and noise keys."""
    arrays = {"z": latents.z, "noise": jax.random.key_data(latents.keys)}
    if latents.c is not None:
        arrays["c"] = latents.c
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    write_with(_latents_path(round_), lambda stream: np.savez(stream, **arrays))


def read_latents(round_: Round, network, count: int) -> Latents:
    """Reads the latents of `count` samples of `network`; a UserError where they are not that."""
    path = _latents_path(round_)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            keys = jax.random.wrap_key_data(jnp.asarray(arrays["noise"]))
            latents = Latents(arrays["z"], keys, arrays.get("c"))
    except Exception as error:  # readers of damaged files raise nearly anything
        raise UserError(f"{path}: missing or damaged ({error!r}): restore it.") from error
    expected = jax.eval_shape(lambda n: draw_latents(network, 0, LABELLED, n), np.arange(count))
    found, wanted = (jax.tree.map(lambda x: (x.shape, x.dtype), x) for x in (latents, expected))
    if found != wanted:
        raise UserError(f"{path}: its arrays are not those of {count} samples: restore it.")
    return latents


def _latents_path(round_: Round) -> epath.Path:
    return round_.folder / "latents.npz"
