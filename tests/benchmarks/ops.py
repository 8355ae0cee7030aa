"""Times mask + PPL of one 1024x2048 image with 19 classes against vectorised NumPy.

    python tests/benchmarks/ops.py [--repeats 7] [--noise 0.3]

Prints one JSON line. Times alternate between the two in one process, so that other work on the
machine meets both; the medians are compared. A third turn adds up both classifiers' logits at full
resolution, on the device, which says what reading them once takes. Peak memory is the growth of the
resident set of a process of its own over its size with inputs made and libraries loaded; for JAX
that is before compilation, so the compiler's memory is counted, and on an accelerator it is the
device's memory.
"""

import argparse
import functools
import json
import resource
import subprocess
import sys
import time

import numpy as np

LOW, SIZE, CLASSES, POINTS = (129, 257), (1024, 2048), 19, 40


def make_logits(noise):
    """Returns two classifiers' logits float32[1,h,w,K]; the second is the first plus noise."""
    rng = np.random.default_rng(0)
    first = 3 * rng.standard_normal((1, *LOW, CLASSES))
    second = first + noise * rng.standard_normal(first.shape)
    return first.astype(np.float32), second.astype(np.float32)


def _taps(n, size):
    source = np.arange(size) * ((n - 1) / (size - 1))
    low = np.minimum(source.astype(int), n - 1)
    return low, np.minimum(low + 1, n - 1), (source - low).astype(np.float32)


def _upsample(x):
    """Two-tap interpolation along columns, then rows; [K,h,w] -> [K,H,W].

    Classes come first because NumPy reduces over a short last axis several times more slowly.
    """
    low, high, weight = _taps(LOW[1], SIZE[1])
    x = x[..., low] * (1 - weight) + x[..., high] * weight
    low, high, weight = _taps(LOW[0], SIZE[0])
    weight = weight[:, None]
    return x[:, low] * (1 - weight) + x[:, high] * weight


def _softmax(x):
    x -= x.max(0)
    np.exp(x, out=x)
    x /= x.sum(0)
    return x


def numpy_way(first, second):
    """Mask and PPL points with every full-resolution map held, vectorised."""
    p1, p2 = (_softmax(_upsample(x[0].transpose(2, 0, 1))) for x in (first, second))
    mask = p1.argmax(0) != p2.argmax(0)
    discrepancy = np.abs(p1 - p2).mean(0)
    mean = (p1 + p2) / 2
    classes = mean.argmax(0)
    flat = np.flatnonzero(mask)
    vectors, classes_in = mean.reshape(CLASSES, -1)[:, flat], classes.ravel()[flat]
    ranked = [_best(vectors, np.flatnonzero(classes_in == k)) for k in range(CLASSES)]
    order = [r[i] for i in range(POINTS) for r in ranked if i < len(r)][:POINTS]
    return mask, discrepancy, flat[order]


def _best(vectors, members):
    """Returns the positions of the members closest to their mean by cosine, best first."""
    own = vectors[:, members]
    mu = own.mean(1) if len(members) else np.zeros(CLASSES, np.float32)
    close = mu @ own / (np.linalg.norm(own, axis=0) * np.linalg.norm(mu) + 1e-12)
    count = min(POINTS, len(members))
    best = np.argpartition(-close, count - 1)[:count] if count else np.arange(0)
    return members[best[np.lexsort((best, -close[best]))]]


def jax_way():
    """Returns the jitted equivalent in ops."""
    import jax
    import jax.numpy as jnp

    from jax_labor.ops.disagreement import disagreement
    from jax_labor.ops.prototypes import select_ppl

    @jax.jit
    def run(first, second):
        found = disagreement(first, second, SIZE)
        available = jnp.ones(found.mask.shape, bool)
        _, points = select_ppl(first, second, found, available, points=POINTS)
        return found.mask, found.discrepancy, points

    return lambda *logits: jax.block_until_ready(run(*logits))


def reading():
    """Returns a function that reads two maps of logits at full resolution once."""
    import jax

    maps = [jax.random.normal(jax.random.key(i), (*SIZE, CLASSES)) for i in range(2)]
    total = jax.jit(lambda x, y: x.sum() + y.sum())
    return lambda: jax.block_until_ready(total(*maps))


def _resident_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _megabytes():
    """Peak of the accelerator's memory where there is one, else of this process's resident set."""
    import jax

    stats = jax.local_devices()[0].memory_stats()
    return stats["peak_bytes_in_use"] / 2**20 if stats else _resident_megabytes()


def peak_megabytes(way, noise):
    """Returns the growth of the peak resident set while one way runs once, in this process."""
    logits = make_logits(noise)
    function = numpy_way if way == "numpy" else jax_way()
    if way == "jax":
        import jax

        jax.block_until_ready(jax.jit(lambda x: x + 1)(np.zeros(3)))  # start the runtime
    peak = _megabytes if way == "jax" else _resident_megabytes
    before = peak()
    function(*logits)
    return peak() - before


def _peak_in_own_process(way, noise):
    command = [sys.executable, __file__, "--peak", way, "--noise", str(noise)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _seconds(function):
    """Returns (wall, CPU) seconds; a machine busy with other work gives JAX fewer cores."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


def main():
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--noise", type=float, default=0.3, help="how far the classifiers differ")
    parser.add_argument("--peak", choices=["numpy", "jax"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.peak:
        print(peak_megabytes(args.peak, args.noise))
        return

    import jax  # not before the other processes: this one would take the accelerator's memory

    peak = {way: _peak_in_own_process(way, args.noise) for way in ("numpy", "jax")}
    logits = make_logits(args.noise)
    run, on_device = jax_way(), jax.device_put(logits)
    ways = {
        "numpy": functools.partial(numpy_way, *logits),
        "jax": functools.partial(run, *on_device),
        "reading": reading(),
    }
    answers = {way: run() for way, run in ways.items()}
    share = float(np.mean(answers["numpy"][0]))
    same = float(np.mean(answers["numpy"][0] == np.asarray(answers["jax"][0])[0]))
    points = set(answers["numpy"][2].tolist()) & set(np.asarray(answers["jax"][2])[0].tolist())
    seconds = {way: [] for way in ways}
    for _ in range(args.repeats):
        for way, run in ways.items():
            seconds[way].append(_seconds(run))
    median, cpu = ({way: float(np.median(s, 0)[i]) for way, s in seconds.items()} for i in (0, 1))
    report = {
        "benchmark": "mask + PPL, 1024x2048x19 from 129x257, 40 points",
        "mask_share": share,
        "mask_agreement": same,
        "points_in_common": len(points),
        "seconds": median,
        "cores_used": {way: cpu[way] / median[way] for way in ways},
        "times_faster": median["numpy"] / median["jax"],
        "times_reading": median["jax"] / median["reading"],
        "device": jax.devices()[0].device_kind,
        "peak_mb": peak,
        "peak_ratio": peak["jax"] / peak["numpy"],
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
