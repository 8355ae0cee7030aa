"""Training a generator: StyleGAN2 with adaptive augmentation on any folder of images."""

import logging

from jax_labor.engine.processes import from_main
from jax_labor.engine.results import write_results
from jax_labor.experiments.gan_pictures import save_pictures
from jax_labor.experiments.gan_quality import Features, distances, masked
from jax_labor.experiments.gan_session import GanSession
from jax_labor.experiments.generator_file import save_generator
from jax_labor.models.stylegan2 import settings_of

_LOG = logging.getLogger(__name__)


def run(config, workdir: str, force: bool = False) -> dict:
    """Trains a generator; returns the content of results.json."""
    # Read before the training, as its mistakes would else show only after it.
    features = Features(config.distance.features) if config.distance.features else None
    with GanSession(config, workdir, force) as session:
        session.train()
        # Who left earlier would wait in the shutdown of JAX, which gives up after five minutes.
        return from_main(lambda: _finish(session, features))


def _finish(session: GanSession, features: Features | None) -> dict:
    """Writes the generator, pictures and results.json."""
    save_generator(session.workdir, session.gan.generator, session.variables, session.step)
    save_pictures(session)
    measured = _measured(session, features)
    config = session.config
    results = {
        "experiment": config.experiment,
        **measured,
        "data": {"train": session.records.description, "images": len(session.images)},
        "network": settings_of(session.gan.generator),
        "steps": session.step,
        "kimg": session.step * config.data.train_batch / 1000,
        "augment_p": float(session.state.augment_p),
        "seconds": session.clock.total_seconds(),
        "images_per_second": session.clock.mean_images_per_second(),
        "seed": config.seed,
    }
    results = write_results(session.workdir, results)
    shown = ", ".join(f"{name} {value:.2f}" for name, value in measured["swd"].items())
    _LOG.info("SWD x 1000: %s; %s", shown or "not asked", session.workdir / "results.json")
    return results


def _measured(session: GanSession, features: Features | None) -> dict:
    """SWD, and FID where there are features, of generated images and as many real ones.

    Each real image counts at most once.
    """
    count = min(session.config.distance.images, len(session.images))
    if not count:
        return {"swd": {}}
    real, masks = session.images.pixels(count)
    fake = session.sampler.images(session.variables, count)
    if masks is not None:
        real, fake = masked(real, masks), masked(fake, masks)
    found = {"swd": distances(real, fake, session.config.seed)}
    if features:
        found |= {"fid": features.distance(real, fake), "fid_images": count}
    return found
