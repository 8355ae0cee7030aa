"""The output-space discriminator against AdaptSegNet's numbers, and its smallest inputs."""

import json
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from model_variables import random_variables

from jax_labor.errors import UserError
from jax_labor.models import FCDiscriminator

pytestmark = pytest.mark.usefixtures("quick_compilation")


def recipe_params(golden, module):
    """Weights by the recipe of golden/README.md, as our tree; keys in order of the layers."""
    shapes = json.loads((golden / "fc_discriminator_keys.json").read_text())[module]
    names = ["conv1", "conv2", "conv3", "conv4", "classifier"]
    params = {name: {} for name in names}
    for i, (key, shape) in enumerate(shapes.items()):
        noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(size=shape)
        if key.endswith("weight"):
            kernel = noise * np.sqrt(2 / np.prod(shape[1:]))
            params[names[i // 2]]["kernel"] = kernel.astype(np.float32).transpose(2, 3, 1, 0)
        else:
            params[names[i // 2]]["bias"] = (0.05 * noise).astype(np.float32)
    return {"params": params}


@pytest.mark.parametrize("size", ["64x128", "47x70"])
@pytest.mark.parametrize(
    "module,output",
    [
        ("adaptsegnet_FCDiscriminator", "y"),
        ("advent_get_fc_discriminator", "advent_y_on_entropy"),
    ],
)
def test_equals_the_published_discriminators(golden, size, module, output):
    stored = np.load(golden / "fc_discriminator_prob2entropy.npz")
    x = stored[f"x_{size}"].astype(np.float32).transpose(0, 2, 3, 1)
    if output != "y":
        x = -x * np.log2(x + 1e-30) / np.log2(19)
    expected = stored[f"{output}_{size}"].transpose(0, 2, 3, 1)
    with jax.default_matmul_precision("highest"):
        y = jax.jit(FCDiscriminator().apply)(recipe_params(golden, module), x)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_three_layers_take_a_low_resolution_map():
    model, maps = FCDiscriminator(ndf=8, num_layers=3), jnp.ones((2, 15, 20, 11))
    variables = random_variables(model, maps)
    assert jax.eval_shape(model.apply, variables, maps).shape == (2, 1, 2, 1)
    assert sorted(variables["params"]) == ["classifier", "conv1", "conv2"]
    assert variables["params"]["conv2"]["kernel"].shape == (4, 4, 8, 16)


def test_too_small_a_map_says_how_many_layers_fit():
    maps = jnp.ones((1, 15, 20, 11))
    with pytest.raises(UserError, match="config.discriminator.layers to 3 or less"):
        random_variables(FCDiscriminator(), maps)
    random_variables(FCDiscriminator(num_layers=3), maps)


def test_weights_start_as_pytorch_s_default():
    model, maps = FCDiscriminator(ndf=32, num_layers=2), jnp.ones((1, 8, 8, 16))
    params = jax.jit(model.init)(jax.random.key(0), maps)["params"]
    kernel = np.asarray(params["conv1"]["kernel"])
    bound = 1 / np.sqrt(4 * 4 * 16)
    assert np.abs(kernel).max() <= bound
    assert kernel.std() == pytest.approx(bound / np.sqrt(3), rel=0.05)


def test_bfloat16_answers_float32_logits_near_float32():
    x = np.random.default_rng(1).dirichlet(np.ones(5), (2, 32, 48)).astype(np.float32)
    full, half = (FCDiscriminator(ndf=16, dtype=d) for d in (jnp.float32, jnp.bfloat16))
    variables = random_variables(full, x)
    exact, rough = (jax.jit(model.apply)(variables, x) for model in (full, half))
    assert rough.dtype == jnp.float32
    np.testing.assert_allclose(rough, exact, atol=0.03 * float(jnp.abs(exact).max()))
