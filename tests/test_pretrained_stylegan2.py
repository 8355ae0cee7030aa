"""StyleGAN2 weights in and out: every layout both ways, architectures from files, the command."""

import argparse
import copy
import json
from pathlib import Path

import jax
import numpy as np
import pytest

from jax_labor.engine.checkpoint import Checkpoints
from jax_labor.errors import UserError
from jax_labor.files import write_json
from jax_labor.models.pretrained import (
    Options,
    check_export,
    detect_layout,
    export_weights,
    import_weights,
    load_stylegan,
    load_variables,
    network_settings,
    read_checkpoint,
    read_variables,
    save_checkpoint,
    save_variables,
)
from jax_labor.models.stylegan2 import settings_of, variable_shapes

torch = pytest.importorskip("torch", reason="the development extra torch is not installed")
import small_stylegan2 as small  # noqa: E402
from torch_stylegan2 import BUSHY, Persistent, official_pickle  # noqa: E402

COMMAND = Path(__file__).resolve().parents[1] / "launch" / "weights.py"


def same(found, expected):
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), found, expected)


def refused(source, message, options=None):
    with pytest.raises(UserError, match=message):
        load_stylegan(source, options)


NETWORKS = {
    "plain": (small.generator, {}, "stylegan2"),
    "conditional": (small.generator, {"c_dim": 3, "z_dim": 5}, "stylegan2"),
    "not square": (small.generator, {"base": (4, 6)}, "stylegan2"),
    "rosinality": (small.generator, {"mapping_layers": 8}, "rosinality"),
    "resnet": (small.discriminator, {}, "stylegan2_discriminator"),
    "skip": (small.discriminator, {"architecture": "skip"}, "stylegan2_discriminator"),
    "orig, conditional": (
        small.discriminator,
        {"architecture": "orig", "c_dim": 4},
        "stylegan2_discriminator",
    ),
}


@pytest.mark.parametrize(("make", "settings", "layout"), NETWORKS.values(), ids=NETWORKS)
def test_out_and_in_again_is_the_same(make, settings, layout):
    network, variables = make(**settings)
    tensors = export_weights(variables, layout)
    assert detect_layout(tensors) == layout
    found, report = import_weights(tensors, layout, variable_shapes(network))
    same(found, variables)
    assert not report.left
    assert set(report.used) == set(tensors)


def test_the_keys_are_the_official_ones(golden):
    keys = json.loads((golden / "sg2ada_uncond64_keys.json").read_text())
    for name, layout in (("G_ema", "stylegan2"), ("D", "stylegan2_discriminator")):
        network, variables, _ = load_stylegan(golden / "sg2ada_uncond64.pkl", Options(name))
        written = export_weights(variables, layout)
        assert {key: list(tensor.shape) for key, tensor in written.items()} == keys[name]
        read = read_checkpoint(golden / "sg2ada_uncond64.pkl", name)
        for key, tensor in read.items():
            np.testing.assert_array_equal(written[key], tensor, strict=True)


def test_a_missing_a_strange_and_a_misshapen_key_are_named():
    network, variables = small.generator()
    tensors = export_weights(variables, "stylegan2")
    del tensors["synthesis.b8.conv0.affine.bias"]
    tensors["synthesis.b8.conv7.scale"] = np.zeros(1, np.float32)
    tensors["synthesis.b4.const"] = tensors["synthesis.b4.const"][:, 0]
    tensors["synthesis.b4.conv1.resample_filter"] = np.full((4, 4), 1 / 16, np.float32)
    tensors["mapping.fc1.weight"][0, 0] = np.nan
    with pytest.raises(UserError) as error:
        import_weights(tensors, "stylegan2", variable_shapes(network))
    for named in (
        "missing: synthesis.b8.conv0.affine.bias",
        "unexpected: synthesis.b8.conv7.scale",
        "shape: synthesis.b4.const",
        "synthesis.b4.conv1.resample_filter is not the fixed filter",
        "mapping.fc1.weight holds NaN",
    ):
        assert named in str(error.value)


GENERATOR_ARGUMENTS = {
    "z_dim": 8,
    "c_dim": 2,
    "w_dim": 8,
    "img_resolution": 16,
    "img_channels": 3,
    "mapping_kwargs": {"num_layers": 2},
    "synthesis_kwargs": {
        "channel_base": 128,
        "channel_max": 12,
        "num_fp16_res": 4,
        "conv_clamp": 256,
        "fp16_channels_last": True,
    },
}
DISCRIMINATOR_ARGUMENTS = {
    "c_dim": 2,
    "img_resolution": 16,
    "img_channels": 3,
    "architecture": "skip",
    "channel_base": 128,
    "channel_max": 12,
    "cmap_dim": 6,
    "block_kwargs": {"freeze_layers": 2},
    "mapping_kwargs": {"num_layers": 3},
    "epilogue_kwargs": {"mbstd_group_size": None, "mbstd_num_channels": 2},
}


def write_pickle(path, network, variables, arguments):
    kind = "Discriminator" if "architecture" in arguments else "Generator"
    layout = "stylegan2" if kind == "Generator" else "stylegan2_discriminator"
    tensors = {k: torch.from_numpy(t) for k, t in export_weights(variables, layout).items()}
    path.write_bytes(official_pickle({"G_ema": Persistent(kind, tensors, arguments)}))
    return path


def test_the_architecture_is_the_pickle_s(tmp_path):
    for make, settings, arguments in (
        (small.generator, {"c_dim": 2, "conv_clamp": 256}, GENERATOR_ARGUMENTS),
        (
            small.discriminator,
            {
                **{"c_dim": 2, "architecture": "skip", "cmap_dim": 6, "mapping_layers": 3},
                **{"mbstd_group": None, "mbstd_channels": 2},
            },
            DISCRIMINATOR_ARGUMENTS,
        ),
    ):
        network, variables = make(**settings)
        path = write_pickle(tmp_path / "a.pkl", network, variables, arguments)
        found, read, _ = load_stylegan(path)
        assert found == network
        same(read, variables)


@pytest.mark.parametrize("clamp", [None, 256])
def test_a_network_trained_with_the_code_of_stylegan3(tmp_path, clamp):
    """Whose arguments do not say that its layers are clamped at 256, as they are by default."""
    network, variables = small.generator(c_dim=2, conv_clamp=clamp)
    arguments = copy.deepcopy(GENERATOR_ARGUMENTS) | {"fused_modconv_default": "inference_only"}
    del arguments["synthesis_kwargs"]["conv_clamp"]
    arguments["mapping_kwargs"]["w_avg_beta"] = 0.998
    tensors = {k: torch.from_numpy(t) for k, t in export_weights(variables, "stylegan2").items()}
    module = Persistent("Generator", tensors, arguments)
    block = module.meta["state"]["_modules"]["synthesis"].meta["state"]["_modules"]["b8"]
    block.meta["state"]["_modules"]["conv1"].meta["state"]["conv_clamp"] = clamp
    (tmp_path / "a.pkl").write_bytes(official_pickle({"G_ema": module}))
    found, read, _ = load_stylegan(tmp_path / "a.pkl")
    assert found == network
    same(read, variables)


@pytest.mark.parametrize(
    "about",
    [
        *("{}", "garbage", "[]", "null", '{"left": []}', '{"layout": "stylegan2"}'),
        pytest.param("[" * 99_999, id="deep"),
        '{"layout": "stylegan2", "left": [], "network": 5}',
        '{"layout": "stylegan2", "left": "*"}',
        '{"layout": "stylegan9", "left": []}',
        '{"layout": [], "left": []}',
    ],
)
def test_a_file_of_ours_whose_description_is_damaged(tmp_path, about):
    np.savez(tmp_path / "a.npz", __about__=about)
    for read in (load_stylegan, network_settings, read_variables, lambda p: load_variables(p, {})):
        with pytest.raises(UserError, match="a.npz: damaged: what it says of itself"):
            read(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a * np.float32(np.nan), "value: params/synthesis/b8/conv1/kernel holds NaN"),
        (lambda a: a.astype(np.complex64), "type: .*conv1/kernel is complex64"),
        (lambda a: np.full(a.shape, "x"), "type: .*conv1/kernel is <U1"),
        (lambda a: None, "missing: params/synthesis/b8/conv1/kernel"),
    ],
)
def test_a_file_of_ours_whose_weights_are_damaged(tmp_path, change, message):
    network, variables = small.generator()
    tensors = export_weights(variables, "stylegan2")
    _, report = import_weights(tensors, "stylegan2", variable_shapes(network))
    save_variables(tmp_path / "a.npz", variables, report, settings_of(network))
    arrays = dict(np.load(tmp_path / "a.npz"))
    name = "params/synthesis/b8/conv1/kernel"
    arrays |= {name: changed} if (changed := change(arrays.pop(name))) is not None else {}
    np.savez(tmp_path / "a.npz", **arrays)
    refused(tmp_path / "a.npz", f"(?s)a.npz: 1 variables.*{message}")
    if name in arrays:
        with pytest.raises(UserError, match=f"(?s)a.npz: 1 variables are no weights.*{message}"):
            read_variables(tmp_path / "a.npz")


def test_a_file_of_ours_in_half_precision_is_widened(tmp_path):
    network, variables = small.generator()
    half = jax.tree.map(lambda a: a.astype(np.float16), variables)
    tensors = export_weights(variables, "stylegan2")
    _, report = import_weights(tensors, "stylegan2", variable_shapes(network))
    save_variables(tmp_path / "a.npz", half, report, settings_of(network))
    same(load_stylegan(tmp_path / "a.npz")[1], jax.tree.map(np.float32, half))


@pytest.mark.parametrize("c_dim", [0, 2])
def test_a_discriminator_converted_from_tensorflow(tmp_path, c_dim):
    """legacy.py gives it a multiplier of layers that its mapping does not have."""
    network, variables = small.discriminator(c_dim=c_dim, mapping_layers=0)
    mapping = {"num_layers": 0, "embed_features": None, "lr_multiplier": 0.1}
    arguments = DISCRIMINATOR_ARGUMENTS | {"architecture": "resnet", "cmap_dim": None}
    arguments |= {"c_dim": c_dim, "mapping_kwargs": mapping, "epilogue_kwargs": {}}
    found, read, _ = load_stylegan(write_pickle(tmp_path / "a.pkl", network, variables, arguments))
    assert found == network
    same(read, variables)
    if c_dim:
        mapping["num_layers"] = 1
        write_pickle(tmp_path / "a.pkl", network, variables, arguments)
        refused(tmp_path / "a.pkl", "lr_multiplier=0.1; only 0.01")


HOLDS_ITSELF = {}
HOLDS_ITSELF["block_kwargs"] = HOLDS_ITSELF


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"img_channels": 1}, "img_channels=1; only 3"),
        ({"magnitude_ema_beta": 0.5}, "unknown argument magnitude_ema_beta"),
        ({"synthesis_kwargs": {"architecture": "resnet"}}, "architecture='resnet'; only 'skip'"),
        ({"img_resolution": "16"}, "resolution='16'"),
        ({"img_resolution": 2**60}, "resolution=1152921504606846976"),
        ({"img_resolution": 2**19}, "no channel"),
        ({"img_resolution": 32}, "missing"),
        ({"mapping_kwargs": {"num_layers": [8]}}, "mapping_layers=<list>"),
        ({"mapping_kwargs": {"num_layers": 10**9}}, "mapping_layers=1000000000"),
        ({"mapping_kwargs": HOLDS_ITSELF}, "nested deeper"),
        ({"z_dim": "abc"}, "z_dim='abc'"),
        ({"z_dim": 8.5}, "z_dim=8.5"),
        ({"z_dim": 2**66}, "z_dim=<int>"),
        ({"z_dim": 0, "c_dim": 0}, "settings make no network"),
        ({"c_dim": "q"}, "c_dim='q'"),
        ({"c_dim": None}, "c_dim=None"),
        ({"w_dim": True}, "w_dim=True"),
        ({"conv_clamp": "q"}, "conv_clamp='q'"),
        ({"conv_clamp": -1}, "conv_clamp=-1"),
        ({"unheard_of": 2**32_000}, "unknown argument unheard_of=<int>"),
        ({2**32_000: 1}, "unknown argument <int>=1"),
        ({"unheard_of": BUSHY}, "unknown argument unheard_of=<list>"),
        ({"img_channels": BUSHY}, "img_channels=<list>"),
        ({"z_dim": BUSHY}, "z_dim=<list>"),
        ({"layer_features": BUSHY, "w_dim": BUSHY}, "layer_features=<list>; only None"),
        ({"resample_filter": (1, 3, 3)}, "resample_filter=<tuple>; only .1, 3, 3, 1."),
        ({"resample_filter": [1, 3, 3]}, "resample_filter=<list>; only .1, 3, 3, 1."),
    ],
)
def test_an_architecture_that_is_not_ours(tmp_path, change, message):
    network, variables = small.generator(c_dim=2, conv_clamp=256)
    path = write_pickle(tmp_path / "a.pkl", network, variables, GENERATOR_ARGUMENTS | change)
    refused(path, message)


def test_arguments_that_state_the_default(tmp_path):
    """As a configuration with every argument in it writes them."""
    widths = {"embed_features": 8, "layer_features": 8}
    given = copy.deepcopy(GENERATOR_ARGUMENTS)
    given["mapping_kwargs"] |= widths
    given["synthesis_kwargs"]["resample_filter"] = (1, 3, 3, 1)
    network, variables = small.generator(c_dim=2, conv_clamp=256)
    assert load_stylegan(write_pickle(tmp_path / "a.pkl", network, variables, given))[0] == network
    given["mapping_kwargs"]["layer_features"] = 9
    write_pickle(tmp_path / "a.pkl", network, variables, given)
    refused(tmp_path / "a.pkl", "layer_features=9; only None")

    given = copy.deepcopy(DISCRIMINATOR_ARGUMENTS)
    given["mapping_kwargs"] |= {"embed_features": 6, "layer_features": 6}
    judge, variables = small.discriminator(
        **{"c_dim": 2, "architecture": "skip", "cmap_dim": 6, "mapping_layers": 3},
        **{"mbstd_group": None, "mbstd_channels": 2},
    )
    assert load_stylegan(write_pickle(tmp_path / "d.pkl", judge, variables, given))[0] == judge


def test_our_own_file_tells_everything(tmp_path):
    network, variables = small.generator(conv_clamp=0.5, base=(2, 3), c_dim=2)
    tensors = export_weights(variables, "stylegan2")
    _, report = import_weights(tensors, "stylegan2", variable_shapes(network))
    save_variables(tmp_path / "a.npz", variables, report, settings_of(network))
    found, read, _ = load_stylegan(tmp_path / "a.npz")
    assert found == network
    same(read, variables)


def test_a_state_dict_leaves_the_clamp_open(tmp_path):
    network, variables = small.generator(conv_clamp=256.0, c_dim=2)
    save_checkpoint(tmp_path / "g.pt", export_weights(variables, "stylegan2"))
    refused(tmp_path / "g.pt", "conv_clamp")
    found, read, _ = load_stylegan(tmp_path / "g.pt", Options(conv_clamp=256.0))
    assert found == network
    same(read, variables)
    assert load_stylegan(tmp_path / "g.pt", Options(conv_clamp=0))[0].conv_clamp is None


def test_an_option_whose_answer_is_in_the_file_is_refused(tmp_path, weights):
    network, variables = small.generator(conv_clamp=256, c_dim=2)
    write_pickle(tmp_path / "a.pkl", network, variables, GENERATOR_ARGUMENTS)
    tensors = export_weights(variables, "stylegan2")
    save_checkpoint(tmp_path / "a.pt", tensors)
    report = import_weights(tensors, "stylegan2", variable_shapes(network))[1]
    save_variables(tmp_path / "a.npz", variables, report, settings_of(network))
    torch.save(rosinality(small.generator(mapping_layers=8)[1]), tmp_path / "r.pt")
    clamp, mean = Options(conv_clamp=256.0), Options(mean_latent=9)
    both = Options(conv_clamp=256.0, mean_latent=9)
    for name, options in (
        *((name, options) for name in ("a.pkl", "a.npz", "r.pt") for options in (clamp, mean)),
        ("a.pt", both),
    ):
        refused(tmp_path / name, f"{name}: the file says itself what --", options)
    for beside in ([], ["--config=configs/spl.py"]):
        out = f"--out={tmp_path / 'b.npz'}"
        status, printed = weights("import", tmp_path, *beside, "--mean_latent=9", out)
        assert (status, "--mean_latent is for StyleGAN2 files that do not" in printed) == (2, True)


def rosinality(variables, **beside):
    state = {
        key.removeprefix("g_ema."): torch.from_numpy(np.array(tensor))
        for key, tensor in export_weights(variables, "rosinality").items()
    }
    mean = state.pop("latent_avg")
    return {"g_ema": state, "latent_avg": mean, **beside}


def test_rosinality_s_file(tmp_path):
    network, variables = small.generator(mapping_layers=8)
    content = rosinality(variables, ada_aug_p=0.5, d={"a": torch.zeros(1)}, g_optim={})
    content |= {"args": argparse.Namespace(size=16, path="/data"), "g": dict(content["g_ema"])}
    content["g"]["conv1.noise.weight"] = torch.tensor([7.0])
    torch.save(content, tmp_path / "a.pt")
    found, read, _ = load_stylegan(tmp_path / "a.pt")
    assert found == network
    same(read, variables)
    trained = load_stylegan(f"rosinality:{tmp_path}/a.pt", Options("G"))[1]
    assert trained["params"]["synthesis"]["b4"]["conv1"]["noise_strength"] == 7
    refused(tmp_path / "a.pt", "no generator 'd'; choose g_ema or g", Options("D"))
    # Its shapes: axes of length one, the gain of upsampling inside the filter.
    assert content["g_ema"]["convs.1.conv.weight"].shape[0] == 1
    assert content["g_ema"]["noises.noise_0"].shape == (1, 1, 4, 4)
    np.testing.assert_allclose(content["g_ema"]["convs.0.conv.blur.kernel"].sum(), 4)
    torch.save({**content, "critic": {"a": torch.zeros(1)}}, tmp_path / "b.pt")
    refused(tmp_path / "b.pt", "beside g_ema it has tensors in 'critic', which is not known")
    torch.save({**content, "size": 16}, tmp_path / "b.pt")
    assert load_stylegan(tmp_path / "b.pt")[2].notes == (
        "not read, as it is unknown and no weights: size",
    )
    # What his Generator.mean_latent gives, saved as it is.
    torch.save(content | {"latent_avg": content["latent_avg"][None]}, tmp_path / "c.pt")
    same(load_stylegan(tmp_path / "c.pt")[1], read)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_rosinality_s_generator_alone(tmp_path, prefix):
    network, variables = small.generator(mapping_layers=8)
    state = {prefix + key: value for key, value in rosinality(variables)["g_ema"].items()}
    torch.save(state, tmp_path / "a.pt")
    found, read, _ = load_stylegan(tmp_path / "a.pt", Options(mean_latent=9))
    assert found == network
    same(read["params"], variables["params"])


def test_a_mean_latent_that_is_missing_is_the_caller_s_choice(tmp_path):
    network, variables = small.generator(mapping_layers=8)
    content = rosinality(variables)
    del content["latent_avg"]
    torch.save(content, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "no mean latent.*mean_latent")
    _, read, report = load_stylegan(tmp_path / "a.pt", Options(mean_latent=400))
    assert not report.left
    z = np.random.default_rng(0).standard_normal((2000, 8)).astype(np.float32)
    w = np.asarray(jax.jit(lambda z: network.apply(variables, z, method="map"))(z)[:, 0])
    error = np.abs(read["stats"]["w_avg"] - w.mean(0)) / (w.std(0) / np.sqrt(400))
    assert error.max() < 5
    same(read["params"], variables["params"])


def test_a_file_from_before_noise_was_saved(tmp_path):
    """As rosinality's published 550000.pt is, which has no mean latent either."""
    network, variables = small.generator(mapping_layers=8)
    content = rosinality(variables, d={}, g_optim={}, d_optim={})
    noises = [key for key in content["g_ema"] if key.startswith("noises.")]
    del content["g_ema"]["noises.noise_0"]
    torch.save(content, tmp_path / "a.pt")
    refused(tmp_path / "a.pt", "a.pt: damaged: 1 of its 5 layers have no fixed noise")
    for key in noises:
        content["g_ema"].pop(key, None)
    torch.save(content, tmp_path / "b.pt")
    _, read, report = load_stylegan(tmp_path / "b.pt")
    same(read["params"], variables["params"])
    same(read["stats"]["w_avg"], variables["stats"]["w_avg"])
    same(load_stylegan(tmp_path / "b.pt")[1], read)
    drawn = jax.tree.leaves(read["stats"]["synthesis"])
    assert len({leaf.tobytes() for leaf in drawn}) == len(noises) == 5
    assert abs(np.concatenate([leaf.ravel() for leaf in drawn]).std() - 1) < 0.1
    assert "no fixed noise: drawn from a fixed key" in report.summary()
    del content["latent_avg"]
    torch.save(content, tmp_path / "c.pt")
    _, read, report = load_stylegan(tmp_path / "c.pt", Options(mean_latent=64))
    assert not report.left
    assert len(report.notes) == 2
    assert read["stats"]["w_avg"].any()


def test_what_is_not_stylegan2(tmp_path):
    save_checkpoint(tmp_path / "a.npz", {"conv1.weight": np.zeros((1, 1, 1, 1), np.float32)})
    refused(tmp_path / "a.npz", "torchvision does not tell its network.*--config")
    _, judge = small.discriminator()
    save_checkpoint(tmp_path / "d.npz", export_weights(judge, "stylegan2_discriminator"))
    refused(tmp_path / "d.npz", "give the .pkl")


@pytest.fixture
def weights(weights_command):
    """Runs the command; returns its status and all that it printed."""

    def run(*arguments):
        status, *printed = weights_command(*arguments)
        return status, "".join(printed)

    return run


def test_the_command_from_pickle_and_out_again(weights, golden, tmp_path):
    file, ours = golden / "sg2ada_uncond64.pkl", tmp_path / "g.npz"
    status, printed = weights("import", file, f"--out={ours}")
    assert (status, "106 tensors read" in printed) == (0, True)
    theirs = f"--out={tmp_path / 'g.pt'}"
    status, printed = weights("export", ours, "--layout=rosinality", theirs)
    assert (status, "channel_base is 1024 and channel_max 64" in printed) == (2, True)
    assert weights("export", ours, "--layout=stylegan2", theirs)[0] == 0
    same(load_stylegan(tmp_path / "g.pt", Options(conv_clamp=0))[1], load_stylegan(file)[1])
    status, printed = weights("inspect", file, "--network=D")
    assert "46 tensors" in printed
    assert "layout stylegan2_discriminator" in printed


def test_the_command_refuses_what_the_other_code_would_not_do(weights, tmp_path):
    network, variables = small.generator(conv_clamp=256.0)
    tensors = export_weights(variables, "stylegan2")
    report = import_weights(tensors, "stylegan2", variable_shapes(network))[1]
    save_variables(tmp_path / "a.npz", variables, report, settings_of(network))
    out = tmp_path / "b.pt"
    status, printed = weights("export", tmp_path / "a.npz", "--layout=rosinality", f"--out={out}")
    assert (status, "layers are clamped (conv_clamp 256" in printed) == (2, True)
    assert not out.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"z_dim": 64}, "z_dim is 64 and w_dim 512"),
        ({"conv_clamp": 256.0}, "conv_clamp 256"),
        ({"channel_max": 256}, "channel_base is 32768 and channel_max 256"),
        ({"channel_base": 24576}, "channel_base is 24576"),
        ({"channel_base": 65536}, "channel_base is 65536"),
        ({"channel_base": 8192, "resolution": 32}, "channel_base is 8192"),
        ({"channel_base": 2**16, "resolution": 32}, ""),
        ({"channel_base": 16384}, ""),
        ({"z_dim": 64, "w_dim": 64, "mbstd_group": 4}, ""),
        ({}, ""),
    ],
)
def test_rosinality_s_code_has_few_settings(settings, message):
    settings = {"resolution": 256, "z_dim": 512} | settings
    check_export(settings, "stylegan2")
    if not message:
        check_export(settings, "rosinality")
        return
    with pytest.raises(UserError, match=f"{message}.*Export it in layout stylegan2"):
        check_export(settings, "rosinality")


LAYOUTS = ("stylegan2", "rosinality", "stylegan2_discriminator")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_other_code_makes_images_that_are_not_square(layout):
    check_export({"base": [4, 4]}, layout)
    check_export({}, "torchvision")  # not a StyleGAN2
    with pytest.raises(UserError, match=rf"base is \(6, 4\).*{layout}"):
        check_export({"base": [6, 4]}, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_is_exported(weights, tmp_path, layout):
    """The average of the generator, or the discriminator, of the newest checkpoint."""
    (_, ours), (_, judge) = small.generator(mapping_layers=8), small.discriminator()
    other = jax.tree.map(np.zeros_like, ours["params"])
    state = {"generator": other, "average": ours["params"], "stats": ours["stats"]}
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, state | {"discriminator": judge["params"]}, {})
    checkpoints.close()
    config = {"experiment": "stylegan2", "network": {"conv_clamp": 0.0, "base": [4, 4]}}
    write_json(tmp_path / "config.json", config)
    status, _ = weights("export", tmp_path, f"--layout={layout}", f"--out={tmp_path / 'a.npz'}")
    assert status == 0
    written = read_checkpoint(tmp_path / "a.npz")
    expected = export_weights(judge if "discriminator" in layout else ours, layout)
    assert written.keys() == expected.keys()
    for key, tensor in expected.items():
        np.testing.assert_array_equal(written[key], tensor, strict=True)
