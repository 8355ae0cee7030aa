"""Labelled images out of a generator and an ensemble of pixel classifiers."""

from collections.abc import Callable

from jax_labor.steps.pixel_labels import make_labelling, to_picture
from jax_labor.steps.samples import WRITTEN, draw_latents, make_render


def make_generation(
    generator,
    seed: int,
    psi: float,
    cutoff: int,
    voting: str,
    score: str,
    purpose=WRITTEN,
) -> Callable[[dict, dict], dict]:
    """Builds generate(state, batch) -> labelled images, for one device (Zhang et al., CVPR 2021).

    `state` is {"generator": its variables, "ensemble": the classifiers'}; `batch` {"number":
    int[B]}, whose samples depend on (seed, number) alone. Given B, so do their bits: nothing says
    how many devices there are.

    Returns a dict of

    * image uint8[B, H, W, 3];
    * label uint8[B, H, W], train ids;
    * divergence uint8[B, H, W], of the members, as `to_picture` gives it;
    * score float32[B], uncertainty of the image;
    * finite bool[B], whether the generator's output is numbers.

    Args:
      generator: a StyleGAN2Generator.
      seed: of the samples.
      psi, cutoff: truncation, as in `make_render`.
      voting, score: as in `make_labelling`.
      purpose: which stream of samples.
    """
    render = make_render(generator, psi, cutoff)
    label = make_labelling(generator.pyramid.image_size, None, voting, score)

    def generate(state, batch):
        latents = draw_latents(generator, seed, purpose, batch["number"])
        sample = render(state["generator"], latents)
        labels = label(state["ensemble"], sample.maps)
        return {
            "image": sample.images,
            "label": labels.label.astype("uint8"),
            "divergence": to_picture(labels.divergence),
            "score": labels.score,
            "finite": sample.finite,
        }

    return generate
