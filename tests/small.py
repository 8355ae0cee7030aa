"""A run small enough to repeat: rendered streets of 32x48 pixels, a handful of steps."""

import os
import sys
from pathlib import Path

import forked
import jax

from configs import spl

ROOT = Path(__file__).resolve().parents[1]

SETTINGS = {
    "train.steps": 9,
    "rounds.warmup": 3,
    "rounds.every": 3,
    "rounds.count": 2,
    "train.log_every": 2,
    "train.checkpoint_every": 2,
    "train.tensorboard": False,
    "train.pictures": 2,
    "model.width": 8,
    "optimizer.warmup": 0,
    "optimizer.decay_steps": 9,  # a step of a shorter run is the same program
    "discriminator.layers": 3,
    "discriminator.width": 4,
    "data.source_view.size": (32, 48),
    "data.target_view.size": (32, 48),
    "eval.size": (32, 48),
    **{f"data.{d}.options.height": 32 for d in ("source", "target", "eval")},
    **{f"data.{d}.options.width": 48 for d in ("source", "target", "eval")},
    "data.source.options.train": 10,
    **{f"data.{d}.options.train": 6 for d in ("target", "eval")},
    **{f"data.{d}.options.val": 4 for d in ("target", "eval")},
    "data.source_batch": 4,
    "data.target_batch": 4,
    "data.eval_batch": 4,
}
# As the tests were started: commands decide for themselves whether to add some.
XLA_FLAGS = os.environ.get("XLA_FLAGS", "")
FLAGS = [f"--config.{name}={value}" for name, value in SETTINGS.items()]


def config(data, card=spl, preset="demo", **changes):
    """The card's settings for a small run in this process."""
    settings = card.get_config(preset)
    settings.data.dir = str(data)
    settings.update_from_flattened_dict(SETTINGS | changes)
    return settings


def command(workdir, data, *flags, card="spl.py:demo"):
    """The command line of a small run."""
    base = [sys.executable, str(ROOT / "launch" / "main.py"), f"--config={ROOT}/configs/{card}"]
    places = [f"--workdir={workdir}", f"--config.data.dir={data}"]
    return [*base, *places, f"--compilation_cache={data}/compiled", *FLAGS, *flags]


def environment(**more):
    """This process's environment on the CPU, compiling quickly, and the same programs as here."""
    ours = {"JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "XLA_FLAGS": XLA_FLAGS}
    return {**os.environ, **ours, "JAX_NUM_CPU_DEVICES": str(jax.device_count()), **more}


def launch(workdir, data, *flags, card="spl.py:demo", status=0):
    """Runs a small run to its end; returns what it printed on stderr."""
    done = forked.run(command(workdir, data, *flags, card=card), env=environment())
    assert done.returncode == status, done.stderr[-3000:]
    return done.stderr
