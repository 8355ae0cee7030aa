"""What has been asked and answered so far, over the rounds of a run."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.labels.effort import summary
from jax_labor.labels.store import Round


class Ledger:
    """Asked pixels and answers of rounds 0 .. `rounds` - 1 of the run in `workdir`.

    Later rounds on disk are not looked at: a run that fell back to an earlier checkpoint sees the
    same labels as the first time.
    """

    def __init__(self, workdir, rounds: int):
        self._rounds = [Round(workdir, number) for number in range(rounds)]
        with ThreadPoolExecutor() as pool:  # in a bucket each takes as long as many on a disk
            self._facts = [
                dict(zip(names := r.names(), pool.map(r.query_facts, names), strict=True))
                for r in self._rounds
            ]
        self._by_round = [{n: f["asked"] for n, f in facts.items()} for facts in self._facts]

    @property
    def by_round(self) -> tuple[int, ...]:
        """Pixels asked in each round, void ones included."""
        return tuple(sum(counts.values()) for counts in self._by_round)

    @property
    def total(self) -> int:
        """Pixels asked in all rounds."""
        return sum(self.by_round)

    def asked(self, name: str) -> int:
        """Pixels asked about image `name`, void ones included."""
        return sum(counts.get(name, 0) for counts in self._by_round)

    def answered(self, name: str) -> int:
        """Pixels of image `name` that were asked and have a class now."""
        asked = zip(self._rounds, self._by_round, strict=True)
        labels = (round_.read_answer(name) for round_, counts in asked if name in counts)
        return sum(int((label != IGNORE).sum()) for label in labels)

    def asked_mask(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """bool[H, W], the pixels of image `name` asked in any round."""
        mask = np.zeros(shape, bool)
        for round_, counts in zip(self._rounds, self._by_round, strict=True):
            if name in counts:
                mask |= round_.read_query(name).asked
        return mask

    def label(self, name: str) -> np.ndarray | None:
        """Everything answered about image `name`: uint8[H, W], 255 elsewhere; None if never asked.

        Raises:
            UserError: two rounds of the image differ in size.
        """
        label = None
        for round_, counts in zip(self._rounds, self._by_round, strict=True):
            if name not in counts:
                continue
            answer = round_.read_answer(name)
            if label is not None and label.shape != answer.shape:
                raise UserError(
                    f"{round_.folder}: the answer for {name} is {answer.shape}, an earlier round's"
                    f" {label.shape}; the target images changed: start in another workdir."
                )
            label = answer if label is None else np.where(answer != IGNORE, answer, label)
        return label

    def report(self, images: int, pixels: int) -> dict:
        """The figures for results.json, for a data set of `images` images and `pixels` pixels."""
        return {
            "asked_pixels": self.total,
            "asked_pixels_per_image": self.total / images,
            "asked_share": self.total / pixels,
            "asked_by_round": list(self.by_round),
            "left_out_pixels": sum(f["left_out"] for facts in self._facts for f in facts.values()),
            "effort": summary(self._rounds),
        }
