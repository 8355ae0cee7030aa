"""What makes labelled images by number: a generator and an ensemble, on all devices of a process.

Images are made in chunks of `config.factory.batch`, each chunk by one device in one call of one
program, whatever other devices do: so the bytes do not depend on how many there are. They do on
what a device is: XLA divides the sums of a CPU among its cores, and rounds otherwise for another
number of them (scores by 1e-7, a few pixels by a grey level), as for another kind of device.
"""

import jax
import numpy as np

from jax_labor.engine.tree import checksum
from jax_labor.steps import parallel
from jax_labor.steps.generate import make_generation


class Maker:
    """Makes labelled images by number, on all devices of this process.

    Attributes:
        generator: the OpenGenerator.
        ensemble: the classifiers' {"params", "batch_stats"}.
        settings: `config.factory`.
    """

    def __init__(self, config, generator, ensemble: dict):
        self.generator, self.ensemble = generator, ensemble
        self._config, self.settings, truncation = config, config.factory, config.generator
        generate = make_generation(
            generator.network,
            config.seed,
            truncation.psi,
            truncation.cutoff,
            self.settings.voting,
            self.settings.score,
        )
        self._generate = parallel.local_map(generate)
        state = {"generator": generator.variables, "ensemble": ensemble}
        self._state = parallel.place(state, jax.local_devices())

    def facts(self) -> dict:
        """All that decides what is made, and what becomes of it; reads all weights."""
        truncation = self._config.generator
        cut = {"psi": truncation.psi, "cutoff": truncation.cutoff}
        return {
            "seed": self._config.seed,
            "generator": {"sha256": self.generator.checksum, **cut},
            "ensemble": {"sha256": checksum(self.ensemble)},
            "factory": self.settings.to_dict(),
        }

    def make(self, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Labelled images, as `make_generation` says, NumPy.

        The same bits each time, on machines of one kind with as many cores, where `numbers` follow
        each other from a multiple of the batch on.

        Args:
            numbers: int[n].

        Raises:
            UserError: a sample is not finite.
        """
        step, parts = self.settings.batch * jax.local_device_count(), []
        for start in range(0, len(numbers), step):
            part = numbers[start : start + step]
            # A last chunk is filled up with the numbers that follow.
            filled = np.append(part, part[-1] + 1 + np.arange(step - len(part)))
            made = parallel.merge(self._generate(self._state, parallel.split({"number": filled})))
            parts.append({name: value[: len(part)] for name, value in made.items()})
        made = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        self.generator.check_finite(made["finite"], [f"sample {number}" for number in numbers])
        return made
