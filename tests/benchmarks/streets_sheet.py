"""Contact sheets of rendered streets with their labels, class shares and milliseconds a scene.

python tests/benchmarks/streets_sheet.py OUT.png [--style source] [--size 120x160] [--grid 4x4]
"""

import argparse
import time

import numpy as np
from PIL import Image

from jax_labor.data.streets import STYLES, render

NAMES = [
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
]
COLOURS = (
    (128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (0, 0, 192), (128, 128, 0),
    (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192),
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--style", choices=STYLES, default="source")
    parser.add_argument("--size", default="120x160")
    parser.add_argument("--grid", default="4x4")
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    height, width = map(int, args.size.split("x"))
    rows, columns = map(int, args.grid.split("x"))
    palette = np.zeros((256, 3), np.uint8)
    palette[:11] = COLOURS
    render(0, args.style, (height, width))
    counts, tiles, seconds = np.zeros(256), [], 0.0
    for seed in range(args.first, args.first + rows * columns):
        start = time.perf_counter()
        image, label = render(seed, args.style, (height, width))
        seconds += time.perf_counter() - start
        counts += np.bincount(label.ravel(), minlength=256)
        tiles.append(np.vstack([image, palette[label]]))
    sheet = [np.hstack(tiles[i * columns : (i + 1) * columns]) for i in range(rows)]
    Image.fromarray(np.vstack(sheet)).save(args.out)
    print(f"{1000 * seconds / len(tiles):.1f} ms a scene at {height}x{width}")
    shares = 100 * counts / counts.sum()
    print(
        " ".join(f"{n} {s:.2f}" for n, s in zip(NAMES, shares, strict=False)),
        f"void {shares[255]:.2f}",
    )


if __name__ == "__main__":
    main()
