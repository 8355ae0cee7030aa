"""Images out of a generator, by number: sample i of a seed is always the same."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_labor.experiments.batches import filled_batches
from jax_labor.steps.samples import PICTURES, STOPS, draw_latents, to_pixels


class Sampler:
    """Draws images of one generator, in batches of one size, so that it compiles once.

    Args:
        generator: a StyleGAN2Generator.
        seed: of latents and noise.
        batch: images at once.
    """

    def __init__(self, generator, seed: int, batch: int):
        self._generator, self._batch = generator, batch
        self._render = jax.jit(self._images)
        self._latents = jax.jit(lambda *which: draw_latents(generator, seed, *which)[:2])

    def images(self, variables, count: int, psi: float = 1.0) -> np.ndarray:
        """Samples 0 .. count - 1 as uint8[count, H, W, 3], each with noise of its own.

        Args:
            variables: {"params", "stats"}.
            count: how many.
            psi: truncation: 1 for none, 0 for the mean image.
        """
        z, keys = self._numbered(PICTURES, count)
        return self._in_batches(variables, z, z, np.zeros(count, np.float32), keys, psi)

    def interpolation(self, variables, stops: int, between: int, psi: float) -> np.ndarray:
        """A round trip through `stops` samples, straight in the space of styles.

        Returns:
            uint8[stops, between, H, W, 3]: row i goes from stop i towards stop i + 1, all with the
            same noise.
        """
        z, keys = self._numbered(STOPS, stops)
        start = np.repeat(np.arange(stops), between)
        share = np.tile(np.arange(between, dtype=np.float32) / between, stops)
        images = self._in_batches(
            variables, z[start], z[(start + 1) % stops], share, keys[start * 0], psi
        )
        return images.reshape(stops, between, *images.shape[1:])

    def _numbered(self, purpose, count):
        numbers = np.arange(-(-count // self._batch) * self._batch)
        parts = [self._latents(purpose, part) for part in numbers.reshape(-1, self._batch)]
        z, keys = (jnp.concatenate(x)[:count] for x in zip(*parts, strict=True))
        return np.asarray(z), keys

    def _in_batches(self, variables, start, end, share, keys, psi):
        variables = jax.device_put(variables)
        parts = [
            np.asarray(self._render(variables, start[r], end[r], share[r], keys[r], psi))[:kept]
            for r, kept in filled_batches(len(start), self._batch)
        ]
        return np.concatenate(parts)

    def _images(self, variables, start, end, share, keys, psi):
        apply = self._generator.apply
        first, last = (apply(variables, z, method="map") for z in (start, end))
        ws = first + share[:, None, None] * (last - first)
        mean = variables["stats"]["w_avg"][None, None]
        ws = mean + psi * (ws - mean)
        images, _ = apply(variables, ws, keys, method="synthesise")
        return to_pixels(images)
