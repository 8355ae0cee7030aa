"""A generator's training small enough to repeat: 8x12 pixels, a handful of iterations."""

import sys
from pathlib import Path

from forked import Command
from small import environment

from configs import stylegan2

SETTINGS = {
    "network.resolution": 8,
    "network.base": (4, 6),
    "network.mapping_layers": 1,
    "network.channel_base": 32,
    "network.channel_max": 4,
    "network.z_dim": 4,
    "network.w_dim": 4,
    "network.mbstd_group": 2,
    "data.train_batch": 8,
    "data.train.options.height": 16,
    "data.train.options.width": 24,
    "data.train.options.train": 10,
    "loss.path_every": 2,
    "loss.r1_every": 4,
    "augment.kinds": "c",  # the others take long to compile, and have tests of their own
    "augment.every": 2,
    "train.kimg": 0.072,
    "train.log_every": 4,
    "train.checkpoint_every": 4,
    "train.pictures_every": 0,
    "train.pictures": 4,
    "train.tensorboard": False,
    "distance.images": 8,
}
# What takes longest to compile, and is resumed in a process that does so once for all tests.
LEFT_OUT = {"loss.path_weight": 0, "train.pictures": 0, "distance.images": 0}
ROOT = Path(__file__).resolve().parents[1]


def config(data=None, **changes):
    """The small card's settings, made smaller."""
    settings = stylegan2.get_config("small")
    settings.data.dir = str(data or "")
    settings.update_from_flattened_dict(SETTINGS | changes)
    return settings


def start(workdir, data, process=Command):
    """The run as a user starts it, without LEFT_OUT; what it prints goes to WORKDIR.log."""
    command = [sys.executable, str(ROOT / "launch" / "main.py")]
    command += [f"--config={ROOT}/configs/stylegan2.py:small", f"--workdir={workdir}"]
    command += [f"--config.data.dir={data}", f"--compilation_cache={data}/compiled"]
    changes = SETTINGS | LEFT_OUT
    command += [f"--config.{name}={value}" for name, value in changes.items()]
    with open(f"{workdir}.log", "a") as log:
        return process(command, env=environment(), stdout=log, stderr=log)
