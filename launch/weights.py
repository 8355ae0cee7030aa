"""Bring weights of other frameworks in, and take ours out.

    python launch/weights.py inspect resnet101-5d3b4d8f.pth
    python launch/weights.py import adaptsegnet:GTA5_multi.pth --config=configs/spl.py \
        --config.model.dilations="(6, 12)" --config.model.aux=True --out=gta5.npz
    python launch/weights.py export gta5.npz --layout=adaptsegnet --out=gta5.pth
    python launch/weights.py export runs/spl --layout=advent --out=spl.pth
    python launch/weights.py import ffhq.pkl --out=ffhq.npz
    python launch/weights.py import ffhq.pkl --network=D --out=ffhq_d.npz
    python launch/weights.py import 550000.pt --mean_latent=4096 --out=ffhq.npz
    python launch/weights.py import runs/generator --out=mine.npz
    python launch/weights.py export ffhq.npz --layout=rosinality --out=ffhq.pt
    python launch/weights.py export runs/generator --layout=stylegan2 --out=g_ema.pt

`import` checks every key against the model of --config and writes an .npz that training reads
without PyTorch: --config.weights=gta5.npz. A layout's name may stand before the file. A StyleGAN2
file tells its own architecture and takes no --config; nothing in a .pkl is run.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `configs` is not installed

import jax
import numpy as np
from absl import flags
from flax import traverse_util
from ml_collections import config_flags

from jax_labor.classes import get_table
from jax_labor.command_line import expand_home, nothing_left, read_flags
from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.errors import UserError, about, exit_on_mistake
from jax_labor.experiments.generator_file import open_generator
from jax_labor.files import read_object
from jax_labor.models import build_model
from jax_labor.models.pretrained import (
    ABOUT,
    LAYOUTS,
    Options,
    Report,
    check_export,
    check_layouts,
    check_settings,
    detect_layout,
    export_weights,
    get_layout,
    load_stylegan,
    load_variables,
    network_settings,
    read_noted,
    read_variables,
    save_checkpoint,
    save_variables,
    take_about,
)
from jax_labor.models.stylegan2 import settings_of

FILES = {
    "inspect": "a checkpoint, or an .npz of ours",
    "import": "[LAYOUT:]CHECKPOINT, or the work directory of a generator's run",
    "export": "an .npz of ours, or the work directory of a run",
}


def main() -> None:
    """Run the command in sys.argv."""
    args, rest = _parser().parse_known_args(expand_home(sys.argv[1:]))
    with exit_on_mistake():
        args.command(args, rest)


def inspect(args, rest) -> None:
    """Print the tensors of a file and the layout they are in."""
    nothing_left(rest)
    tensors, notes = read_noted(args.file, args.network)
    with about(args.file):
        ours = take_about(tensors) if ABOUT in tensors else None
    for key, tensor in tensors.items():
        print(f"{key:60} {tensor.dtype!s:8} {tensor.shape}")
    total = sum(tensor.size for tensor in tensors.values())
    print(f"{len(tensors)} tensors, {total:,} numbers", *notes, sep="\n")
    if ours:
        setting = "generator.path" if ours["network"] else "weights"
        print(f"weights in layout {ours['layout']}: set --config.{setting}={args.file}")
        return
    try:
        layout = detect_layout(tensors)
        print(f"layout {layout}: {LAYOUTS[layout].about}")
    except UserError as undecided:
        print(undecided)


def bring_in(args, rest) -> None:
    """Convert a file for the model of --config, or a StyleGAN2 network, which needs none."""
    if not any(argument.startswith("--config") for argument in rest):
        nothing_left(rest)
        _bring_in_stylegan(args)
        return
    _unasked(args)
    config = _config(rest)
    variables = _variables(config, args.num_classes)
    filled, report = load_variables(args.file, variables, config.model, config.data.normalize)
    save_variables(args.out, filled, report)
    print(f"{report.summary()}\nwrote {args.out}: set --config.weights={args.out}")


def _bring_in_stylegan(args) -> None:
    if Path(args.file).is_dir():
        _unasked(args)
        network, variables, report = _generator_of(args.file)
    else:
        options = Options(args.network, args.conv_clamp, args.mean_latent)
        network, variables, report = load_stylegan(args.file, options)
    save_variables(args.out, variables, report, settings_of(network))
    shown = ", ".join(f"{name}={value}" for name, value in settings_of(network).items())
    print(f"{type(network).__name__}: {shown}\n{report.summary()}\nwrote {args.out}")


def _unasked(args) -> None:
    """Refuse an answer to what only some files of StyleGAN2 leave open."""
    for name in ("conv_clamp", "mean_latent"):
        if getattr(args, name) is not None:
            raise UserError(
                f"{args.file}: --{name} is for StyleGAN2 files that do not say it: leave it out."
            )


def _generator_of(workdir: str):
    """Give the generator of a run as `load_stylegan` gives a file's."""
    opened = open_generator(workdir)
    names = tuple(traverse_util.flatten_dict(opened.variables, sep="/"))
    return opened.network, opened.variables, Report("stylegan2", (), (), names, (), ())


def take_out(args, rest) -> None:
    """Convert an .npz of ours, or the newest checkpoint of a run, for another code."""
    nothing_left(rest)
    layout = get_layout(args.layout)
    if Path(args.file).is_dir():
        variables = _trained(args.file, layout.name)
    else:
        variables, source = read_variables(args.file)
        check_layouts(source, layout.name)
        check_export(network_settings(args.file), layout.name)
    tensors = export_weights(variables, layout.name)
    save_checkpoint(args.out, tensors, layout.wrapped)
    print(f"wrote {args.out}: {len(tensors)} tensors in layout {layout.name}")


def _parser() -> argparse.ArgumentParser:
    form = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = argparse.ArgumentParser("weights", description=__doc__, **form)
    commands = parser.add_subparsers(required=True)

    def command(name, function):
        sub = commands.add_parser(name, help=function.__doc__, allow_abbrev=False)
        sub.add_argument("file", help=FILES[name])
        sub.set_defaults(command=function)
        return sub

    def choose_network(sub):
        sub.add_argument("--network", default="G_ema", help="of several: G_ema, G or D")

    choose_network(command("inspect", inspect))
    sub = command("import", bring_in)
    sub.add_argument("--out", required=True, help="the .npz to write")
    sub.add_argument("--num_classes", type=int, help="default: those of config.data.classes")
    choose_network(sub)
    sub.add_argument("--conv_clamp", type=float, help="of a StyleGAN2 state dict; 0 for none")
    sub.add_argument("--mean_latent", type=int, help="latents to average where none is stored")
    sub = command("export", take_out)
    sub.add_argument("--out", required=True, help="the .pth or .npz to write")
    sub.add_argument("--layout", required=True, help=", ".join(LAYOUTS))
    return parser


def _config(arguments: list[str]):
    """Read --config=FILE[:PRESET] and the --config.x=y that override it."""
    values = flags.FlagValues()
    config = config_flags.DEFINE_config_file("config", flag_values=values)
    read_flags(["weights", *arguments], values)
    if config.value is None or "model" not in config.value:
        raise UserError("give --config=configs/spl.py or another card of a segmenter.")
    return config.value


def _variables(config, num_classes: int | None) -> dict:
    """Give the variables of the configured model as zeros: only names and shapes matter here."""
    if num_classes is None and not config.data.classes:
        raise UserError("config.data.classes is empty: give the number of classes, --num_classes.")
    model = build_model(config.model, num_classes or get_table(config.data.classes).num_classes)
    image = np.zeros((1, 64, 64, 3), np.float32)
    shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), image, train=False))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


def _trained(workdir: str, layout: str) -> dict:
    """Give the variables in the newest checkpoint of a run."""
    config = read_object(Path(workdir) / "config.json")
    if "network" in config:
        network = config["network"]
        check_export(network | {"conv_clamp": network["conv_clamp"] or None}, layout)
    else:
        check_settings(layout, config["model"], config["data"]["normalize"])
    with Checkpoints(workdir, read_only=True) as checkpoints:
        found = checkpoints.read()
    if found is None:
        raise UserError(f"{workdir}: has no checkpoint yet.")
    step, state = found
    print(f"{workdir}: checkpoint of step {step}")
    if "network" not in config:
        return {name: state[name] for name in ("params", "batch_stats")}
    if layout == "stylegan2_discriminator":
        return {"params": state["discriminator"]}
    return {"params": state["average"], "stats": state["stats"]}


if __name__ == "__main__":
    main()
