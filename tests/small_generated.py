"""A tiny factory: fixed random candidates, and the steps that a run takes with them."""

from pathlib import Path

import numpy as np

from jax_labor.classes import ClassTable, get_table
from jax_labor.data import generated

TABLE: ClassTable = get_table("ccp8")
BLOCKS, SHARD, KEPT = 3, 4, 10


def pair(seed: int, size=(6, 5)) -> tuple[np.ndarray, np.ndarray]:
    """Random image and train ids, some of them ignored."""
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (*size, 3), np.uint8)
    return image, rng.choice([*range(rng.integers(1, 9)), 255], size).astype(np.uint8)


def candidate(seed: int, size=(6, 5), score: float = 0.0) -> generated.Candidate:
    """Random candidate."""
    image, label = pair(seed, size)
    divergence = np.random.default_rng(seed + 500).integers(0, 256, size).astype(np.uint8)
    return generated.Candidate(image, label, divergence, score)


def candidates(block: int) -> list[generated.Candidate]:
    """Five of every block but the last, which has three."""
    count = 3 if block == BLOCKS - 1 else 5
    rng = np.random.default_rng(100 + block)
    return [
        candidate(10 * block + i, (6 + i, 5), float(rng.choice([0.1, 0.2, 0.3])))
        for i in range(count)
    ]


EVERYTHING = [each for block in range(BLOCKS) for each in candidates(block)]
SAMPLES = [generated.Sample(f"sample-{seed}", *pair(1000 + seed)) for seed in range(2)]


def make(folder: Path, processes: int = 1) -> None:
    """What a run does, from the start or from wherever it stopped."""
    if generated.is_finished(folder):
        generated.remove_parts(folder)
        return
    for block in range(BLOCKS):
        if not generated.block_done(folder, block):
            generated.write_block(folder, block, candidates(block), TABLE.num_classes)
    kept = generated.keep_certain(generated.read_scores(folder, BLOCKS), KEPT)
    for process in reversed(range(processes)):
        generated.write_shards(folder, kept, blocks=BLOCKS, shard=SHARD,
                               process_index=process, process_count=processes)  # fmt: skip
    generated.finish(folder, kept, blocks=BLOCKS, shard=SHARD, table=TABLE,
                     description="generated for a test", labelled=SAMPLES)  # fmt: skip


def tree(folder: Path) -> dict[str, bytes]:
    """Content of every file below, by relative path."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
