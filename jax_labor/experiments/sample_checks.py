"""What is refused of samples and their labels, before classifiers learn from them."""

import numpy as np

from jax_labor.classes import IGNORE, ClassTable
from jax_labor.errors import UserError
from jax_labor.experiments.sample_files import Manifest, digest, manifest_path
from jax_labor.labels.store import Round

# Mean difference, in steps of 8 bits, that another device's rounding may make in a sample.
_ROUNDING = 2.0


def check_generator(round_: Round, manifest: Manifest, generator) -> None:
    """Raises a UserError where the OpenGenerator is not the manifest's."""
    was, now = manifest.checksum, generator.checksum
    if was == now:
        return
    remedy = "name the generator that made them"
    if manifest.source == generator.source:
        remedy = (
            "its training has gone on, or it was replaced. Restore it as it was (in a copy of a"
            " run's folder, remove generator/ and the later steps of checkpoints/)"
        )
    raise UserError(
        f"{manifest_path(round_)}: the samples come from {manifest.source} (SHA-256"
        f" {was[:12]}...), but config.generator.path is {generator.source} ({now[:12]}...):"
        f" {remedy}, or start in another workdir."
    )


def check_image(round_: Round, manifest: Manifest, name: str, image: np.ndarray) -> None:
    """Raises a UserError where people saw something else than `image`, uint8[H, W, 3]."""
    stored = round_.read_image(name)
    if stored.shape == image.shape and np.abs(stored.astype(int) - image).mean() <= _ROUNDING:
        return
    damaged = round_.image_path(name)
    if digest(stored) == manifest.digests[name]:
        damaged = f"{manifest_path(round_)} or latents.npz beside it"
    raise UserError(
        f"{damaged} was changed: {name} is not what the generator makes of its latent, and labels"
        " of it would be read off other features. Restore the file, or start in another workdir."
    )


def check_labels(round_: Round, labels: np.ndarray, table: ClassTable, smallest: int) -> None:
    """Refuses labels that classifiers could not learn from, for as long as people may mend them.

    Args:
        round_: what was answered.
        labels: uint8[N, H, W] train ids, 255 where void.
        table: the classes.
        smallest: the labelled pixels that every class needs.

    Raises:
        UserError: a class has fewer, or nothing at all is labelled; it says how to mend that.
    """
    pixels = np.bincount(labels.ravel(), minlength=IGNORE + 1)
    answers, mend = round_.folder / "answers", how_to_mend(round_)
    if not pixels[:IGNORE].any():
        raise UserError(f"{answers}: no pixel is labelled, all are void. {mend}.")
    few = [
        f"{name} ({pixels[i]} pixels)" for i, name in enumerate(table.names) if pixels[i] < smallest
    ]
    if few:
        raise UserError(
            f"{answers}: too little is labelled of {', '.join(few)} in {len(labels)} samples."
            f" {mend}; or label more with config.samples.count in another workdir, or let"
            " classifiers train without these classes with config.ensemble.smallest=0."
        )


def how_to_mend(round_: Round) -> str:
    """What to do about answers that will not do."""
    state = "The round is still open"
    if round_.is_closed:  # by an earlier version, or a config.ensemble.smallest that has grown
        state = f"Remove {round_.folder / 'closed.json'} to open the round again"
    return f"{state}: label more of it on the page (launch/annotate.py serve) and start again"
