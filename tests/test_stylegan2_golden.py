"""Generator and discriminator against the official PyTorch networks' numbers."""

import jax
import numpy as np
import pytest

from jax_labor.models.pretrained import Options, load_stylegan

pytestmark = pytest.mark.usefixtures("quick_compilation")
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def expected(golden):
    with np.load(golden / "sg2ada_uncond64.npz") as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def generator(golden):
    network, variables, _ = load_stylegan(golden / "sg2ada_uncond64.pkl")
    return network, variables


@pytest.fixture(scope="module")
def synthesise(generator):
    network, variables = generator
    names = [f"b{r}.{part}" for r in (4, 8, 16, 32, 64) for part in ("conv1", "torgb", "img")]
    names += [f"b{r}.conv0" for r in (8, 16, 32, 64)]
    return jax.jit(lambda ws: network.apply(variables, ws, taps=names, method="synthesise"))


def close(found, expected):
    """Within TOLERANCE of the largest number."""
    found = np.asarray(found)
    found = found.transpose(0, 3, 1, 2) if found.ndim == 4 else found
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE * abs(expected).max())


@pytest.mark.parametrize(
    ("name", "psi", "cutoff"), [("psi1", 1.0, None), ("psi0.7_cutoff4", 0.7, 4)]
)
def test_styles_and_images(generator, synthesise, expected, name, psi, cutoff):
    network, variables = generator
    map_ = jax.jit(lambda z: network.apply(variables, z, None, psi, cutoff, method="map"))
    ws = map_(expected["z"])
    close(ws, expected[f"ws_{name}"])
    close(synthesise(ws)[0], expected[f"img_{name}"])


def test_truncation_of_all_layers(generator, expected):
    network, variables = generator
    ws = jax.jit(lambda z: network.apply(variables, z, psi=0.7, method="map"))(expected["z"])
    for layer in range(network.num_ws):
        close(ws[:, layer], expected["ws_psi0.7_nocutoff_layer0"])


def test_without_noise(generator, expected):
    network, variables = generator
    image = jax.jit(lambda z: network.apply(variables, z, noise="none"))(expected["z"][:1])
    close(image, expected["img_nonoise_sample0"])


def test_every_feature_map(synthesise, expected):
    maps = synthesise(expected["ws_psi1"][:1])[1]
    wanted = [name for name in expected if name.startswith("feat_")]
    assert len(wanted) == len(maps) == 19
    for name in wanted:
        close(maps[name.removeprefix("feat_").replace("_", ".")], expected[name])


def test_each_layer_takes_its_own_style(synthesise, expected):
    image, maps = synthesise(expected["ws_mixed"])
    close(image, expected["img_ws_mixed"])
    for name, value in maps.items():
        mean, std = expected[f"stat_wsmixed_{name.replace('.', '_')}"][:2]
        np.testing.assert_allclose([value.mean(), value.std()], [mean, std], rtol=2e-4, atol=1e-5)


def test_discriminator(golden, expected):
    network, variables, _ = load_stylegan(golden / "sg2ada_uncond64.pkl", Options("D"))
    judge = jax.jit(lambda image: network.apply(variables, image))
    first = expected["img_psi1"].transpose(0, 2, 3, 1)
    second = expected["img_psi0.7_cutoff4"].transpose(0, 2, 3, 1)
    close(judge(first), expected["d_logits_imgpsi1"])
    close(judge(first[:1]), expected["d_logits_first1"])
    close(judge(first[:3]), expected["d_logits_first3"])
    close(judge(np.concatenate([first, second])), expected["d_logits_concat8"])
