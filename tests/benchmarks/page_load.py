"""The labelling page under many people at once: latencies, lost answers, memory.

    python tests/benchmarks/page_load.py [--kind points|mask] [--images 500] [--annotators 20]
        [--think 0.0] [--size 256x512] [--limit 600]

Makes a round in a temporary folder, serves it on this machine in a process of its own, and lets
simulated annotators answer it until nothing is left. Then every answer file is compared, pixel by
pixel, with the labels expected; a missing, altered or doubled answer ends with status 1. `think` is
the median time a person really waits before each answer; with 0 every request follows the last at
once, and a latency then says how long the queue of all people is, not how long one person waits.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from jax_labor.classes import ClassTable
from jax_labor.labels.effort import summary
from jax_labor.labels.simulate import simulate
from jax_labor.labels.store import Query, Round

CLASSES = 19
TABLE = ClassTable(
    "load",
    tuple(f"class {i}" for i in range(CLASSES)),
    tuple((13 * i, 255 - 13 * i, 7 * i) for i in range(CLASSES)),
    tuple(range(CLASSES)),
    (255,),
    "",
)
ROOT = Path(__file__).resolve().parents[2]
SERVE = "import sys; from jax_labor.labels.page.serve import serve; serve(sys.argv[1], port=0)"


def scene(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """uint8[H, W], smooth regions of classes, about a hundredth of it void."""
    coarse = rng.random((CLASSES, 6, 8))
    zoom = (1, size[0] / 6, size[1] / 8)
    label = ndimage.zoom(coarse, zoom, order=1).argmax(0).astype(np.uint8)
    return np.where(ndimage.zoom(rng.random((6, 8)), zoom[1:], order=1) > 0.85, 255, label)


def asked_mask(label: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """bool[H, W]: ragged pieces along the borders of regions, as LabOR's segments lie."""
    borders = ndimage.morphological_gradient(label, size=3) > 0
    return borders & (ndimage.uniform_filter(rng.random(label.shape), 3) > 0.5)


def make_round(workdir: Path, kind: str, images: int, points: int, size: tuple[int, int]) -> dict:
    """Writes the round; returns the truth by name, uint8[H, W]."""
    rng = np.random.default_rng(0)
    round_ = Round(workdir, 0)
    scenes = [scene(size, rng) for _ in range(min(images, 20))]
    truth = {}
    for number in range(images):
        name = f"street_{number:05d}"
        truth[name] = label = scenes[number % len(scenes)]
        guess = np.where(rng.random(size) < 0.7, label, rng.integers(0, CLASSES, size))
        order = rng.permutation(label.size)[:points] if kind == "points" else []
        asked = asked_mask(label, rng) if kind == "mask" else np.zeros(size, bool)
        asked.ravel()[order] = True
        guess = np.where(asked, np.minimum(guess, CLASSES - 1), 255).astype(np.uint8)
        pairs = np.stack(np.unravel_index(order, size), 1) if len(order) else np.zeros((0, 2), int)
        round_.write_query(Query(name, guess, kind, pairs))
        photo = np.stack([label * 11, 255 - label * 7, label * 3], -1).astype(np.uint8)
        round_.write_image(name, photo)
    round_.open(kind, truth, TABLE, smallest=4 if kind == "mask" else 0)
    return truth


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used, which other programs of the machine hardly change."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Resident memory of a process in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def watch(pid: int, stop: threading.Event, found: list[tuple[float, float]]) -> None:
    """Notes (seconds, MiB) twice a second until told to stop."""
    begin = time.perf_counter()
    while not stop.wait(0.5):
        found.append((time.perf_counter() - begin, memory(pid)))


def faults(workdir: Path, truth: dict) -> list[str]:
    """What is wrong with the answer files."""
    round_ = Round(workdir, 0)
    found = [f"{name}: no answer" for name in round_.unanswered()]
    for name in round_.answered():
        asked = round_.read_query(name).asked
        wrong = round_.read_answer(name) != np.where(asked, truth[name], 255)
        if wrong.any():
            found.append(f"{name}: {int(wrong.sum())} pixels are not as answered")
        items = [item["item"] for item in round_.answer_facts(name)["items"]]
        if len(items) != len(set(items)):
            found.append(f"{name}: an item stands twice")
    return found


def too_long(*_) -> None:
    """Ends the script, and with it the server, when the limit has passed."""
    raise SystemExit("the limit of seconds has passed; see --limit")


def load(workdir: Path, truth: dict, annotators: int, think: float, limit: int) -> tuple:
    """(figures of the simulation, memory over time in MiB) of one round."""
    with open(workdir / "server.log", "w") as log:
        server = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(workdir)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    stop, over_time = threading.Event(), []
    try:
        address = next(line for line in server.stdout if "#token=" in line).strip()
        url, _, token = address.partition("#token=")
        watcher = threading.Thread(target=watch, args=(server.pid, stop, over_time))
        watcher.start()
        signal.signal(signal.SIGALRM, too_long)
        signal.alarm(limit)
        how = {"annotators": annotators, "undo": 0.02, "seconds": think or 1.0}
        before = cpu_seconds(server.pid)
        figures = simulate(url, token, truth=truth.get, real_time=float(think > 0), **how)
        figures["server_cpu_seconds"] = cpu_seconds(server.pid) - before
        signal.alarm(0)
        stop.set()
        watcher.join()
    finally:
        stop.set()
        server.terminate()
        server.wait(30)
        server.stdout.close()
    return figures, over_time


def main() -> int:
    """Runs the load and prints what it cost."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=["points", "mask"], default="points")
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--annotators", type=int, default=20)
    parser.add_argument("--think", type=float, default=0.0)
    parser.add_argument("--size", default="256x512")
    parser.add_argument("--limit", type=int, default=600)
    arguments = parser.parse_args()
    size = tuple(map(int, arguments.size.split("x")))
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder)
        truth = make_round(workdir, arguments.kind, arguments.images, arguments.points, size)
        figures, over_time = load(
            workdir, truth, arguments.annotators, arguments.think, arguments.limit
        )
        wrong = faults(workdir, truth)
        effort = summary([Round(workdir, 0)])
    given = figures["answers"] - figures["undone"]
    if arguments.kind == "points" and effort["items"] != given:
        wrong.append(f"{given} answers were given and {effort['items']} stand in the files")
    for route, row in figures.pop("routes").items():
        print(f"{route:9} " + "  ".join(f"{key} {value}" for key, value in row.items()))
    print({key: round(value, 1) for key, value in figures.items()})
    print(
        f"{figures['requests'] / figures['seconds']:.0f} requests per second,"
        f" {1000 * figures['server_cpu_seconds'] / figures['requests']:.2f} ms of the server's"
        " processor time each"
    )
    for what, part in (("start", 0), ("middle", len(over_time) // 2), ("end", -1)):
        print(f"server memory, {what}: {over_time[part][1]:.0f} MiB")
    print("\n".join(wrong[:20]) or "every answer stands once, as given")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
