"""Tileable relief of the materials, made once per process from fixed seeds."""

import functools

import numpy as np

from jax_labor.data.streets import kinds

SIZE = 512
PER_METRE = 64


def _smooth(noise, radius):
    """A Gaussian blur with wrap-around, back to unit variance."""
    spectrum = np.fft.rfft2(noise)
    rows, columns = np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None]
    soft = np.fft.irfft2(
        spectrum * np.exp(-((radius * 4) ** 2) * (rows**2 + columns**2)), (SIZE,) * 2
    )
    return soft / soft.std()


def _blocks(rng, high, wide, shift, joint):
    """A bond of blocks high x wide texels: a tone for each, and darker joints."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    course = rows // high
    columns = (columns + course * shift) % SIZE
    tones = rng.normal(size=(SIZE // high, SIZE // wide))
    joints = (rows % high < joint) | (columns % wide < joint)
    return np.where(joints, -1.6, 0.7 * tones[course, columns // wide])


@functools.cache
def reliefs():
    """Relief of all materials, float32[M, SIZE, SIZE], about unit variance, mean near 0."""
    rng = np.random.Generator(np.random.PCG64(20210801))
    white = rng.normal(size=(kinds.NUM_MATERIALS, SIZE, SIZE))
    fine = [_smooth(w, 1) for w in white]
    broad = [_smooth(w[::-1], 12) for w in white]
    streaks = np.repeat(rng.normal(size=(1, SIZE // 16)), 16, axis=1)
    atlas = np.zeros((kinds.NUM_MATERIALS, SIZE, SIZE))
    atlas[kinds.ASPHALT] = 0.7 * white[1] + 0.5 * broad[1]
    atlas[kinds.SLABS] = _blocks(rng, 32, 32, 16, 2) + 0.4 * fine[2]
    atlas[kinds.BRICK] = _blocks(rng, 8, 16, 8, 2) + 0.4 * fine[3]
    atlas[kinds.PLASTER] = 0.3 * fine[4] + 0.7 * broad[4]
    atlas[kinds.LEAVES] = 1.3 * _smooth(white[5], 2) + 1.3 * _smooth(white[6], 5)
    atlas[kinds.GRASS] = 0.8 * fine[6] + 0.5 * broad[6]
    atlas[kinds.STONE] = _blocks(rng, 16, 32, 16, 2) + 0.5 * broad[7]
    atlas[kinds.BOARDS] = streaks + 0.4 * fine[8] - 1.5 * (np.arange(SIZE) % 16 < 2)
    return np.clip(atlas, -3, 3).astype(np.float32)


@functools.cache
def blotches():
    """Broad stains shared by all materials, float32[SIZE, SIZE], unit variance, tileable."""
    noise = np.random.Generator(np.random.PCG64(20210802)).normal(size=(3, SIZE, SIZE))
    mixed = sum(
        _smooth(n, r) * w for n, r, w in zip(noise, (3, 10, 30), (0.5, 0.7, 1), strict=True)
    )
    return (mixed / mixed.std()).astype(np.float32)
