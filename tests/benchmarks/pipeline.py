"""Images per second of the input pipeline, beside the plain loop over the same files.

    python tests/benchmarks/pipeline.py [--seconds 4] [--threads 2]

Writes synthetic PNGs (smooth scenes with a little noise, about as hard to decode as photographs) to
a temporary folder and reads them through `train_iterator`. "plain" does the same steps with Pillow
and float NumPy, one image after the other.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from jax_labor.data import transforms
from jax_labor.data.pipeline import train_iterator
from jax_labor.data.records import CachedRecords
from jax_labor.data.sparse import resize_sparse
from jax_labor.data.views import TrainView


class Pngs:
    """Records that decode an image and its label from a folder at each access."""

    def __init__(self, folder: Path, count: int):
        self._folder, self._count = folder, count

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        image, label = (
            np.asarray(Image.open(self._folder / f"{kind}{index}.png")) for kind in ("i", "l")
        )
        return {"image": image, "label": label, "name": str(index)}


def write_pngs(folder: Path, count: int, size: tuple[int, int]) -> Pngs:
    """Write `count` image and label pairs of (h, w) pixels."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        coarse = rng.integers(0, 230, (12, 16, 3), dtype=np.uint8)
        image = transforms.resize_image(coarse, size) // 2
        image = image + rng.integers(0, 12, image.shape, dtype=np.uint8)
        Image.fromarray(image).save(folder / f"i{index}.png")
        label = transforms.resize_label(rng.integers(0, 19, (12, 16), dtype=np.uint8), size)
        Image.fromarray(label).save(folder / f"l{index}.png")
    return Pngs(folder, count)


def plain_images(records, view: TrainView):
    """The plain way for a "fixed" view: float NumPy, channels broadcast, one by one."""
    rule = transforms.NORMALIZATIONS[view.normalize]
    size = view.size[::-1]
    while True:
        for index in range(len(records)):
            record = records[index]
            image = Image.fromarray(record["image"]).resize(size, Image.BICUBIC)
            label = Image.fromarray(record["label"]).resize(size, Image.NEAREST)
            image = np.asarray(image, np.float32) * np.float32(rule.scale) + np.float32(rule.offset)
            yield np.ascontiguousarray(image[:, ::-1]), np.asarray(label, np.int32)


def rate(iterator, images_per_item: int, seconds: float) -> float:
    """Images per second after a warm-up of two items."""
    for _ in range(2):
        next(iterator)
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        next(iterator)
        count += images_per_item
    return count / elapsed


def measure(title, records, view, batch, options, plain_rate=None, overlay=None):
    """Print and return the rate of one setting."""
    iterator = train_iterator(
        records, view, batch, 0, threads=options.threads, workers=options.workers, overlay=overlay
    )
    images = rate(iterator, batch, options.seconds)
    iterator.close()
    ratio = f"   {images / plain_rate:5.2f} x plain" if plain_rate else ""
    print(f"{title:58s} {images:8.1f} images/s{ratio}", flush=True)
    return images


def measure_sparse():
    """Time of one sparse resize, beside plain nearest sampling."""
    rng = np.random.default_rng(0)
    for size, small, share in (((360, 480), (120, 160), 0.022), ((1024, 2048), (512, 1024), 0.022)):
        labels = rng.integers(0, 19, size).astype(np.uint8)
        labels[rng.random(size) > share] = 255
        times = []
        for resize in (resize_sparse, transforms.resize_label):
            start = time.perf_counter()
            for _ in range(20):
                resize(labels, small)
            times.append((time.perf_counter() - start) / 20 * 1000)
        print(f"sparse resize {size} -> {small}: {times[0]:.2f} ms (nearest {times[1]:.2f} ms)")


def main():
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0)
    options = parser.parse_args()
    measure_sparse()
    with tempfile.TemporaryDirectory() as folder:
        small = write_pngs(Path(folder, "small"), 64, (360, 480))
        view = TrainView((120, 160))
        plain = rate(plain_images(small, view), 1, options.seconds)
        print(f"{'plain loop 360x480 -> 120x160':58s} {plain:8.1f} images/s")
        measure("fixed 360x480 -> 120x160, batch 8", small, view, 8, options, plain)
        cached = CachedRecords(small, view.size)
        measure("  cached", cached, view, 8, options, plain)
        loud = TrainView(view.size, brightness=0.3, contrast=0.3, saturation=0.3)
        measure("  cached, colour jitter", cached, loud, 8, options, plain)
        answers = np.full((360, 480), 255, np.uint8)
        answers[::7, ::7] = 1
        measure("  cached, 2 % answers", cached, view, 8, options, plain, lambda i: answers)
        scaled = TrainView((120, 160), "scale_crop", scale=(0.3, 0.6))
        measure("scale_crop 360x480 -> 120x160", small, scaled, 8, options, plain)
        large = write_pngs(Path(folder, "large"), 8, (1052, 1914))
        view = TrainView((720, 1280), normalize="caffe")
        plain = rate(plain_images(large, view), 1, options.seconds)
        print(f"{'plain loop 1052x1914 -> 720x1280':58s} {plain:8.1f} images/s")
        measure("fixed 1052x1914 -> 720x1280, batch 2", large, view, 2, options, plain)
        crops = TrainView((720, 1280), "random_crop", crop_height=(400, 1000), normalize="caffe")
        measure("random_crop 1052x1914 -> 720x1280", large, crops, 2, options, plain)


if __name__ == "__main__":
    main()
