"""Images per second of a full LabOR training step, beside the same step in PyTorch.

    python tests/benchmarks/train_step.py [--size 120x160] [--batch 8] [--threads 2] [--repeats 9]

The step is that of `configs/spl.py:camvid_dusk` while a selector is asked: one pass over source and
target, L1, L2 on sparse answers, IAST pseudo-labels, cross-entropies and discrepancy of the two
classifiers, gradients, Adam. PyTorch (eager, in both of its memory layouts) starts from the same
weights and must give the same first loss, or nothing is measured. The ways take turns in one
process, on the same cores, so that other work on the machine meets all of them; medians are
compared, PyTorch's by its faster layout. The input pipeline is timed alone, on the same views, from
synthetic records that are cached in memory. Prints one JSON line.

On a busy machine look at --threads 1 and at the processor's seconds: PyTorch's threads wait for one
another at every operation, and with other work on their cores such a step took 25 times as long.
"""

import argparse
import importlib.metadata
import json
import os
import sys
import time
from pathlib import Path

import jax
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # `configs` is not installed

from configs import spl
from jax_labor.classes import IGNORE, get_table
from jax_labor.data.pipeline import train_iterator
from jax_labor.data.records import CachedRecords
from jax_labor.data.views import TrainView
from jax_labor.engine.startup import setup_jax
from jax_labor.experiments.assembly import build_network, initial_state
from jax_labor.steps import parallel
from jax_labor.steps.adapt import make_train_step
from jax_labor.steps.pseudo_labels import INITIAL_THRESHOLD

NATIVE, RECORDS, SHARE = (360, 480), 32, 0.022
LAYOUTS = {"torch": torch.contiguous_format, "torch_channels_last": torch.channels_last}


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1, bias: bool = False) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


class UNet(nn.Module):
    """UNet: to stride 16 and back to stride 2, layers named as in Flax."""

    def __init__(self, width: int):
        super().__init__()
        channels = [width, 3 * width // 2, 3 * width, 3 * width]
        x = self._add("conv1", "bn1", 3, width // 2)
        for stage, wide in enumerate(channels, start=1):
            for index, stride in ((1, 2), (2, 1)):
                x = self._add(
                    f"layer{stage}_conv{index}", f"layer{stage}_bn{index}", x, wide, stride
                )
        for stage in (3, 2, 1):
            inputs, x = x + channels[stage - 1], channels[max(stage - 2, 0)]
            self._add(f"merge{stage}_conv", f"merge{stage}_bn", inputs, x)

    def forward(self, image):
        x, maps = self._unit("conv1", "bn1", image), []
        for stage in range(1, 5):
            for index in (1, 2):
                x = self._unit(f"layer{stage}_conv{index}", f"layer{stage}_bn{index}", x)
            maps.append(x)
        for stage in (3, 2, 1):
            low = maps[stage - 1]
            x = torch.cat([resize(x, low.shape[2:]), low], 1)
            x = self._unit(f"merge{stage}_conv", f"merge{stage}_bn", x)
        return x

    def _add(self, name: str, bn_name: str, inputs: int, outputs: int, stride: int = 1) -> int:
        self.add_module(name, conv(inputs, outputs, 3, stride))
        self.add_module(bn_name, nn.BatchNorm2d(outputs))
        return outputs

    def _unit(self, name: str, bn_name: str, x):
        return F.relu(getattr(self, bn_name)(getattr(self, name)(x)), inplace=True)


class Net(nn.Module):
    """Backbone, main head, and two classifiers that do not train the backbone."""

    def __init__(self, width: int, num_classes: int):
        super().__init__()

        def head():
            return nn.ModuleDict({"branch0": conv(width, num_classes, 3, bias=True)})

        self.backbone, self.head = UNet(width), head()
        self.selector = nn.ModuleDict({"classifier1": head(), "classifier2": head()})

    def forward(self, image):
        features = self.backbone(image)
        main, features = self.head["branch0"](features), features.detach()
        return main, *(part["branch0"](features) for part in self.selector.values())


def resize(x, size):
    return F.interpolate(x, tuple(size), mode="bilinear", align_corners=False)


def cross_entropy(logits, labels):
    return F.cross_entropy(resize(logits, labels.shape[1:]), labels, ignore_index=IGNORE)


def rate_factor(step: int, settings, total_steps: int) -> float:
    """Learning rate over its peak: linear warm-up, then cosine decay."""
    if step < settings.warmup:
        return step / settings.warmup
    done = (step - settings.warmup) / (total_steps - settings.warmup)
    return (1 + np.cos(np.pi * min(done, 1.0))) / 2


class TorchStep:
    """The training step in PyTorch, from the given Flax parameters."""

    def __init__(self, config, params, num_classes: int, layout: torch.memory_format):
        self._config, self._layout = config, layout
        self.net = Net(config.model.width, num_classes).to(memory_format=layout).train()
        load(self.net, params)
        settings = config.optimizer
        self._optimizer = torch.optim.Adam(
            self.net.parameters(), settings.lr, weight_decay=settings.weight_decay, fused=True
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer, lambda step: rate_factor(step, settings, config.train.steps)
        )
        self._thresholds = torch.full((num_classes,), INITIAL_THRESHOLD)

    def __call__(self, batch) -> float:
        """Takes a step on a batch of NumPy arrays; returns its loss."""
        parts = [batch["source"], batch["target"]]
        images = torch.cat([torch.from_numpy(part["image"]) for part in parts])
        images = images.permute(0, 3, 1, 2).contiguous(memory_format=self._layout)
        labels = [torch.from_numpy(part["label"]).long() for part in parts]
        loss = self._loss(self.net(images), *labels)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        return loss.item()

    def _loss(self, outputs, source, target):
        weights, n = self._config.loss, len(source)
        (main, *classifiers) = outputs
        pseudo = self._pseudo_labels(main[n:].detach().softmax(1))
        loss = weights.source * cross_entropy(main[:n], source)
        loss = loss + weights.target * cross_entropy(main[n:], target)
        for logits in classifiers:
            loss = loss + weights.selector_source * cross_entropy(logits[:n], source)
            loss = loss + weights.selector_target * cross_entropy(logits[n:], target)
            if (pseudo != IGNORE).any():
                loss = loss + weights.selector_pseudo * cross_entropy(logits[n:], pseudo)
        first, second = (logits[n:].softmax(1) for logits in classifiers)
        return loss - weights.discrepancy * (first - second).abs().mean()

    def _pseudo_labels(self, probs):
        """IAST: moves each class's threshold to a percentile of its pixels' confidences."""
        settings = self._config.pseudo
        confidence, prediction = probs.max(1)
        values = confidence.half().float()
        for k, threshold in enumerate(self._thresholds.clone()):
            own = torch.cat([values[prediction == k], threshold[None]])
            percentile = torch.quantile(own, 1 - settings.alpha * threshold**settings.gamma)
            moved = settings.beta * threshold + (1 - settings.beta) * percentile
            self._thresholds[k] = torch.where(moved >= 1, 0.999, moved)
        return torch.where(confidence >= self._thresholds[prediction], prediction, IGNORE)


def load(net: Net, params) -> None:
    """Copies Flax parameters into `net`; fails unless both have the same ones."""
    weights = {}
    for path, value in jax.tree_util.tree_flatten_with_path(params)[0]:
        *place, leaf = (entry.key for entry in path)
        value = np.asarray(value)
        value = value.transpose(3, 2, 0, 1) if leaf == "kernel" else value
        name = ".".join([*place, "bias" if leaf == "bias" else "weight"])
        weights[name] = torch.from_numpy(value.copy())
    own = dict(net.named_parameters())
    if own.keys() != weights.keys():
        raise SystemExit(f"only one of the networks has {sorted(own.keys() ^ weights.keys())}")
    with torch.no_grad():
        for name, parameter in own.items():
            if parameter.shape != weights[name].shape:
                raise SystemExit(f"{name}: {tuple(parameter.shape)}, {tuple(weights[name].shape)}")
            parameter.copy_(weights[name])


class JaxStep:
    """The project's own step, mapped as a run maps it."""

    def __init__(self, config, network, state):
        step = make_train_step(network, config, trains_selector=True, self_trains=False)
        self._step = parallel.parallel_step(step)
        self._state = state

    def __call__(self, batch) -> float:
        """Takes a step on a batch of NumPy arrays; returns its loss."""
        self._state, metrics = self._step(self._state, parallel.split(batch))
        return float(jax.block_until_ready((self._state, metrics))[1]["loss"])


def make_config(args):
    """The card, at the asked sizes."""
    config = spl.get_config("camvid_dusk")
    config.data.source_batch = config.data.target_batch = args.batch
    size = args.size or config.data.source_view.size
    config.data.source_view.size = config.data.target_view.size = size
    config.model.width = args.width or config.model.width
    loss, expected = config.loss, (0.0, 0.0, "l1")
    same = (loss.adversarial, loss.pseudo, loss.discrepancy_kind) == expected
    if not same or config.model.aux or len(config.model.dilations) > 1:
        raise SystemExit("the card's step is no longer the one written here in PyTorch")
    return config


def make_iterators(config, num_classes: int) -> dict:
    """Source with all labels, target with sparse answers, from records in memory."""
    rng = np.random.default_rng(0)
    records = [
        {
            "image": np.kron(rng.integers(0, 255, (30, 40, 3)), np.ones((12, 12, 1))).astype("u1"),
            "label": np.kron(rng.integers(0, num_classes, (30, 40)), np.ones((12, 12))).astype(
                "u1"
            ),
        }
        for _ in range(RECORDS)
    ]
    asked = rng.random(NATIVE) < SHARE
    answers = [np.where(asked, record["label"], IGNORE).astype("u1") for record in records]
    iterators = {}
    for role, overlay in (("source", None), ("target", answers.__getitem__)):
        settings = config.data[f"{role}_view"].to_dict()
        view = TrainView(**settings, normalize=config.data.normalize)
        cached, batch = CachedRecords(records, view.size), config.data[f"{role}_batch"]
        iterators[role] = train_iterator(
            cached, view, batch, seed=0, threads=config.data.threads, overlay=overlay
        )
    return iterators


def next_batch(iterators) -> dict:
    batch = {role: next(iterator) for role, iterator in iterators.items()}
    return {role: {k: part[k] for k in ("image", "label")} for role, part in batch.items()}


def pipeline_rate(iterators, images: int, threads: int, seconds: float) -> float:
    """Images per second, once every record is in the cache and what was read ahead is used up."""
    for _ in range(-(-2 * RECORDS // images) + 2 * threads):
        next_batch(iterators)
    start, count = time.perf_counter(), 0
    while (elapsed := time.perf_counter() - start) < seconds:
        next_batch(iterators)
        count += images
    return count / elapsed


def check_same_loss(first: dict) -> None:
    """Ends the program where the two frameworks do not compute the same."""
    if not np.allclose(list(first.values()), first["jax"], rtol=1e-3):
        raise SystemExit(f"the first losses differ, so the steps are not the same: {first}")


def medians(ways: dict, batches: list, repeats: int) -> tuple[dict, dict]:
    """Median seconds of a step by way, by the clock and of the processor; the ways take turns."""
    clocks = time.perf_counter, time.process_time
    taken = {name: [] for name in ways}
    for repeat in range(repeats):
        for name, step in ways.items():
            start = [clock() for clock in clocks]
            step(batches[repeat % len(batches)])
            taken[name].append([clock() - then for clock, then in zip(clocks, start, strict=True)])
    both = {name: np.median(times, axis=0).tolist() for name, times in taken.items()}
    return {name: wall for name, (wall, _) in both.items()}, {
        k: cpu for k, (_, cpu) in both.items()
    }


def times_torch(seconds: dict) -> float:
    """How many times as long the faster layout of PyTorch takes."""
    return min(seconds[name] for name in LAYOUTS) / seconds["jax"]


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--size",
        type=lambda text: tuple(map(int, text.split("x"))),
        help="HEIGHTxWIDTH of the network's input; the card's when absent",
    )
    parser.add_argument("--batch", type=int, default=8, help="images of each domain")
    parser.add_argument("--width", type=int, default=0, help="of the network; 0: the card's")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=2, help="time for the pipeline")
    return parser.parse_args(arguments)


def main(arguments=None):
    """Measures and prints."""
    args = parse(arguments)
    # XLA takes its number of threads from the cores that the process may use.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    torch.set_num_threads(args.threads)
    setup_jax("~/.cache/jax_labor")
    config = make_config(args)
    num_classes, images = get_table(config.data.classes).num_classes, 2 * args.batch
    iterators = make_iterators(config, num_classes)
    pipeline = pipeline_rate(iterators, images, config.data.threads, args.seconds)
    batches = [next_batch(iterators) for _ in range(3)]
    for iterator in iterators.values():
        iterator.close()

    network = build_network(config, num_classes)
    state = initial_state(config, network, num_classes)
    ways = {name: TorchStep(config, state.params, num_classes, x) for name, x in LAYOUTS.items()}
    parameters = {name: sum(p.numel() for p in way.net.parameters()) for name, way in ways.items()}
    parameters["jax"] = sum(x.size for x in jax.tree.leaves(state.params))
    ways["jax"] = JaxStep(config, network, state)
    first = {name: step(batches[0]) for name, step in ways.items()}
    check_same_loss(first)
    medians(ways, batches, 1)  # JAX compiles again for a state that is on its devices
    seconds, cpu = medians(ways, batches, args.repeats)
    report = {
        "benchmark": "LabOR training step, {}x{}, {}+{} images".format(
            *config.data.source_view.size, *[args.batch] * 2
        ),
        "parameters": parameters,
        "first_loss": first,
        "images_per_second": {name: images / s for name, s in seconds.items()},
        "times_torch": times_torch(seconds),
        "cpu_seconds": cpu,
        "times_torch_by_cpu_seconds": times_torch(cpu),
        "pipeline_images_per_second": pipeline,
        "pipeline_over_step": pipeline * seconds["jax"] / images,
        "threads": args.threads,
        "load_average": os.getloadavg()[0],
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "flax", "torch")},
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
