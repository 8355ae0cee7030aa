"""The pictures of a generator: grids of samples, real images beside them, a way between samples."""

import numpy as np

from jax_labor.engine.pictures import save_png, save_sheet

_COLUMNS, _STOPS, _BETWEEN = 8, 3, 8


def progress_picture(session) -> np.ndarray:
    """Writes pictures/progress/STEP.png, the same samples each time; returns uint8[H, W, 3]."""
    images = session.sampler.images(session.variables, max(session.config.train.pictures, 1))
    picture = grid(images, _COLUMNS)
    save_png(session.workdir / "pictures" / "progress" / f"{session.step:08d}.png", picture)
    return picture


def save_pictures(session) -> None:
    """Writes pictures/samples.png, whole and truncated beside real images, and interpolation.png.

    Args:
        session: a trained GanSession; main process only.
    """
    count, psi = session.config.train.pictures, session.config.train.psi
    if not count:
        return
    columns = max(int(np.sqrt(count)), 1)
    variables, folder = session.variables, session.workdir / "pictures"
    real, _ = session.images.pixels(count)
    samples = {
        f"generated, psi {p:g}": session.sampler.images(variables, count, p) for p in (1, psi)
    }
    panels = {"real": real} | samples
    grids = [grid(images, columns) for images in panels.values()]
    save_sheet(folder / "samples.png", [grids], list(panels), height=max(480, grids[0].shape[0]))
    rows = session.sampler.interpolation(variables, _STOPS, _BETWEEN, psi)
    frames = rows.reshape(-1, *rows.shape[2:])
    save_png(folder / "interpolation.png", grid(frames, _BETWEEN))


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Lays uint8[N, H, W, 3] out in rows of `columns`, empty places white.

    Returns:
        uint8[rows * H, columns * W, 3].
    """
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    full = np.full((rows * columns, height, width, channels), 255, np.uint8)
    full[:count] = images
    tiles = full.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    return tiles.reshape(rows * height, columns * width, channels)
