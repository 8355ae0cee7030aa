"""Times the labelling of images against the direct way, and the training of an ensemble.

    python tests/benchmarks/labelling.py [--size 512] [--base 6x6] [--classes 20] [--repeats 3]
    python tests/benchmarks/labelling.py --train [--size 512] [--images 16] [--steps 20]

Features have the shapes of a StyleGAN2 of configuration f (6,016 channels at 512), with random
values; --base is the size of its smallest map, so 6x6 at 512 means images of 768x768, about the
largest that the direct way can hold in 24 GiB. The direct way builds the upsampled features
[H, W, C] and runs the classifiers over them one by one, jitted too, with the same weights. Ours
labels an image per core, as the factory does; the direct way takes all cores for one image, whose
features fill the memory. Prints one JSON line. Times alternate between the two ways in one process,
so that other work on the machine meets both. Peak memory is that of a process of its own that
compiles and does one way alone: its resident set, or on an accelerator the device's memory.
"""

import argparse
import functools
import json
import os
import resource
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jax_labor.models.pixel_ensemble import PixelClassifier
from jax_labor.ops.resize import resize_bilinear
from jax_labor.steps import parallel
from jax_labor.steps.pixel_ensemble import (
    create_ensemble,
    find_labelled,
    make_training,
)
from jax_labor.steps.pixel_labels import PixelLabels, make_labelling

MEMBERS = 10


def shapes(args):
    """(h, w, C) of every feature map: the constant, conv1 at 4, then two per resolution."""
    high, wide = args.base
    factors = [2**i for i in range((args.size // 4).bit_length())]
    return [(f * high, f * wide, min(8192 // f, 512)) for f in factors for _ in range(2)]


def image_size(args):
    """(H, W): that of the largest map."""
    return shapes(args)[-1][:2]


def make_inputs(args, images):
    """Returns the classifiers' variables and float32 feature maps [images, 1, h, w, C].

    One image on each of so many devices, as the factory's generator leaves them; all are alike.
    """
    rng = np.random.default_rng(0)
    draw = functools.partial(rng.standard_normal, dtype=np.float32)
    maps = [on_devices(draw((1, 1, *shape)), images) for shape in shapes(args)]
    model = PixelClassifier(args.classes)
    x = jnp.zeros((1, sum(m.shape[-1] for m in maps)))
    one = jax.eval_shape(lambda: model.init(jax.random.key(0), x, False))
    return jax.tree_util.tree_map_with_path(lambda path, a: weights(path, a.shape, draw), one), maps


def on_devices(x, images):
    """x [1, ...] on each of the first devices: [images, ...]."""
    devices = jax.local_devices()[:images]
    sharding = NamedSharding(Mesh(devices, ("data",)), PartitionSpec("data"))
    parts = [jax.device_put(x, device) for device in devices]
    return jax.make_array_from_single_device_arrays((images, *x.shape[1:]), sharding, parts)


def weights(path, shape, draw):
    """Weights of some effect, for all members: unit gain, and norms that norm."""
    noise = draw((MEMBERS, *shape))
    if path[-1].key == "kernel":
        noise *= (2 / shape[0]) ** 0.5
    else:
        noise = (path[-1].key in ("scale", "var")) + 0.1 * np.abs(noise)
    return jnp.asarray(noise)


def direct_way(args):
    """Returns label(variables, maps) that upsamples all features, as the published code does."""
    model, size = PixelClassifier(args.classes), image_size(args)

    @functools.partial(jax.jit, donate_argnums=0)
    def fill(features, x, channel):
        raised = resize_bilinear(x[0, 0], size, align_corners=False).reshape(-1, x.shape[-1])
        return jax.lax.dynamic_update_slice(features, raised, (0, channel))

    @jax.jit
    def classify(variables, features):
        return conclude(jax.lax.map(lambda own: model.apply(own, features, False), variables))

    def label(variables, maps):
        edges = np.cumsum([0] + [x.shape[-1] for x in maps])
        features = jnp.zeros((size[0] * size[1], edges[-1]))
        for x, channel in zip(maps, edges, strict=False):
            features = fill(features, x, channel)  # donated: one copy of the features, not two
        return classify(variables, features)

    def conclude(logits):
        log_p = jax.nn.log_softmax(logits)
        p = jnp.exp(log_p)
        mean = p.mean(0)
        js = (p * log_p).sum(-1).mean(0) - jax.scipy.special.xlogy(mean, mean).sum(-1)
        votes = jax.nn.one_hot(logits.argmax(-1), args.classes).sum(0)
        top = jnp.sort(js)[-(js.size // 10) :].mean()
        return PixelLabels(votes.argmax(-1).reshape(1, *size), js.reshape(1, *size), top[None])

    return label


def projected_way(args):
    """Returns the labelling of steps/pixel_labels.py, of an image on every device."""
    return parallel.local_map(make_labelling(image_size(args)))


WAYS = {"direct": direct_way, "projected": projected_way}


def images_of(way):
    """How many images a way labels at once."""
    return 1 if way == "direct" else jax.local_device_count()


def peak_gigabytes():
    """Returns this process's peak of an accelerator's memory, or its resident set, in GiB."""
    stats = jax.local_devices()[0].memory_stats()
    if stats:
        return stats["peak_bytes_in_use"] / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure_peak(args):
    """Does one way once and prints (peak with inputs alone, peak)."""
    inputs = jax.block_until_ready(make_inputs(args, images_of(args.peak)))
    before, label = peak_gigabytes(), WAYS[args.peak](args)
    jax.block_until_ready(label(*inputs))
    print(json.dumps([before, peak_gigabytes()]))


def peak_in_own_process(args, way):
    """Returns what `measure_peak` prints in a process of its own."""
    settings = {name: getattr(args, name) for name in ("size", "classes", "devices")}
    settings |= {"base": "{}x{}".format(*args.base), "peak": way}
    settings = [f"--{name}={value}" for name, value in settings.items()]
    command = [sys.executable, __file__, *settings]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(function, *inputs):
    """Returns (wall, CPU) seconds; a machine busy with other work gives JAX fewer cores."""
    wall, cpu = time.perf_counter(), time.process_time()
    jax.block_until_ready(function(*inputs))
    return time.perf_counter() - wall, time.process_time() - cpu


def compare(args):
    """Prints times and memory of both ways and how far their results lie apart."""
    peaks = {way: peak_in_own_process(args, way) for way in WAYS}
    images = {way: images_of(way) for way in WAYS}
    inputs = {way: make_inputs(args, images[way]) for way in WAYS}
    labels = {way: make(args) for way, make in WAYS.items()}
    out = {way: jax.device_get(label(*inputs[way])) for way, label in labels.items()}
    out["projected"] = jax.tree.map(lambda x: x[-1], out["projected"])
    times = {way: [] for way in WAYS}
    for _ in range(args.repeats):
        for way, label in labels.items():
            times[way].append(seconds(label, *inputs[way]))
    best = {way: np.min(times[way], 0) / images[way] for way in WAYS}
    a, b = out.values()
    report = {
        "size": image_size(args),
        "channels": sum(s[-1] for s in shapes(args)),
        "device": jax.devices()[0].device_kind,
        "devices": jax.local_device_count(),
        "seconds": {way: round(float(best[way][0]), 4) for way in WAYS},
        "cpu_seconds": {way: round(float(best[way][1]), 4) for way in WAYS},
        "images_per_second": {way: round(float(1 / best[way][0]), 3) for way in WAYS},
        "faster": round(float(best["direct"][0] / best["projected"][0]), 1),
        "less_cpu": round(float(best["direct"][1] / best["projected"][1]), 1),
        "peak_gib": {way: round(peaks[way][1], 2) for way in WAYS},
        "inputs_gib": {way: round(peaks[way][0], 2) for way in WAYS},
        "less_memory": round(peaks["direct"][1] / peaks["projected"][1], 1),
        "divergence_apart": float(np.abs(a.divergence - b.divergence).max()),
        "largest_divergence": float(a.divergence.max()),
        "labels_apart": int((a.label != b.label).sum()),
        "score_apart": float(np.abs(a.score - b.score).max()),
    }
    print(json.dumps(report))


def train(args):
    """Trains the ensemble on random half-precision features of many images; prints the costs."""
    rng = np.random.default_rng(0)
    size = image_size(args)
    maps = tuple(jnp.asarray(half(rng, (args.images, *shape))) for shape in shapes(args))
    labels = rng.integers(0, args.classes, (args.images, *size), dtype=np.uint8)
    pixels = jax.device_put(find_labelled(labels))
    model, tx = PixelClassifier(args.classes), optax.adam(1e-3)
    channels = sum(s[-1] for s in shapes(args))
    state = create_ensemble(model, tx, jax.random.key(0), channels, range(MEMBERS))
    before = peak_gigabytes()
    run = jax.jit(make_training(model, tx, size, args.steps), donate_argnums=0)
    state, _ = jax.block_until_ready(run(state, maps, pixels, jax.random.key(1)))
    wall, cpu = time.perf_counter(), time.process_time()
    state, loss = jax.block_until_ready(run(state, maps, pixels, jax.random.key(1)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    # In half precision: the maps as they are, and upsampled as the direct way has them.
    native = 2 * args.images * sum(np.prod(shape) for shape in shapes(args))
    direct = 2 * args.images * np.prod(size) * channels
    report = {
        "size": size,
        "images": args.images,
        "channels": channels,
        "peak_gib": round(peak_gigabytes(), 2),
        "inputs_gib": round(before, 2),
        "native_gib": round(native / 2**30, 2),
        "upsampled_gib": round(direct / 2**30, 1),
        "steps_per_second": round(args.steps / wall, 2),
        "cpu_seconds_per_step": round(cpu / args.steps, 3),
        "finite": bool(np.isfinite(loss).all()),
    }
    print(json.dumps(report))


def half(rng, shape):
    """Random float16, an image at a time: float32 for all at once would set the peak."""
    out = np.empty(shape, np.float16)
    for image in out:
        image[:] = rng.standard_normal(shape[1:], dtype=np.float32)
    return out


def main():
    """Read the flags and run one mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512, help="of an image of base 4x4")
    parser.add_argument(
        "--base",
        type=lambda text: tuple(map(int, text.split("x"))),
        default=(4, 4),
        help="HEIGHTxWIDTH of the smallest map",
    )
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--devices", type=int, default=os.cpu_count(), help="of a CPU")
    parser.add_argument("--peak", choices=WAYS)
    args = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", 1 if args.train else args.devices)
    if args.train:
        train(args)
    elif args.peak:
        measure_peak(args)
    else:
        compare(args)


if __name__ == "__main__":
    main()
