"""Contact sheet of a rendered data set with its labels, class shares and milliseconds an image.

python tests/benchmarks/rendered_sheet.py OUT.png [--data streets] [--size 120x160] [--grid 4x4]
    [--style source] [--first 0] [--zoom 1]
"""

import argparse
import time

import numpy as np
from PIL import Image

from jax_labor.classes import IGNORE
from jax_labor.data.builders import codec, make_source

TABLES = {"streets": "camvid11", "figures": "figures12"}


def main():
    """Render the first images of the training split and write them over their labels."""
    args = _flags()
    height, width = map(int, args.size.split("x"))
    rows, columns = map(int, args.grid.split("x"))
    options = {"height": height, "width": width, "train": args.first + rows * columns}
    if args.style:
        options["style"] = args.style
    source = make_source(args.data, None, TABLES[args.data], options)
    items = source.scan("train").items[args.first :]
    source.read(items[0])  # textures are made once
    start = time.process_time()
    examples = [source.read(item) for item in items]
    seconds = time.process_time() - start
    tiles = [np.vstack(_pictures(example, source.table.palette())) for example in examples]
    sheet = [np.hstack(tiles[i * columns : (i + 1) * columns]) for i in range(rows)]
    sheet = Image.fromarray(np.vstack(sheet))
    sheet.resize((sheet.width * args.zoom, sheet.height * args.zoom), 0).save(args.out)
    print(f"{1000 * seconds / len(items):.1f} ms of processor an image at {height}x{width}, as PNG")
    _print_shares(examples, source.table.names, height * width)


def _flags():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out")
    parser.add_argument("--data", choices=TABLES, default="streets")
    parser.add_argument("--style", help="of streets")
    parser.add_argument("--size", default="120x160")
    parser.add_argument("--grid", default="4x4")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--zoom", type=int, default=1)
    return parser.parse_args()


def _pictures(example, palette):
    label = codec.decode_label(example.label)[..., 0]
    return codec.decode_image(example.image), palette[label]


def _print_shares(examples, names, pixels):
    counts = np.array([example.class_pixels for example in examples])
    shares = 100 * counts.sum(0) / (pixels * len(examples))
    occurs = 100 * (counts > 0).mean(0)
    for name, share, images in zip(names, shares, occurs, strict=True):
        print(f"{name:>12} {share:6.2f} % of pixels, in {images:3.0f} % of images")
    print(f"{IGNORE:>12} {max(100 - shares.sum(), 0):6.2f} % of pixels")


if __name__ == "__main__":
    main()
