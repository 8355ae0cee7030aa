import jax
import jax.numpy as jnp
import numpy as np
import oracles
import pytest

from jax_labor.ops.resize import resize_bilinear

SHAPES = [
    ((3, 5), (7, 4)),
    ((4, 4), (9, 17)),
    ((6, 5), (3, 2)),
    ((1, 4), (5, 1)),
    ((5, 3), (5, 8)),
    ((2, 7), (1, 7)),
    ((3, 5), (6, 10)),
    ((1, 4), (2, 8)),
    ((5, 1), (7, 2)),
]


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(("source", "size"), SHAPES)
def test_resize_equals_the_definition(source, size, align_corners):
    x = np.random.default_rng(0).standard_normal((*source, 3)).astype(np.float32)
    expected = oracles.resize(x, size, align_corners)
    np.testing.assert_allclose(resize_bilinear(x, size, align_corners), expected, atol=2e-6)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("source", "size"),
    [
        ("9x17", "65x129"),
        ("9x17", "64x128"),
        ("9x17", "9x17"),
        ("64x96", "32x48"),
        ("64x96", "33x50"),
    ],
)
def test_resize_equals_torch(golden, source, size, align_corners):
    vectors = np.load(golden / "interpolate_bilinear.npz")
    x = vectors[f"x_{source}"].transpose(0, 2, 3, 1)
    y = vectors[f"y_{source}_to_{size}_ac{int(align_corners)}"].transpose(0, 2, 3, 1)
    result = resize_bilinear(jnp.asarray(x), y.shape[1:3], align_corners)
    np.testing.assert_allclose(result, y, atol=1e-5)


@pytest.mark.parametrize("align_corners", [True, False])
def test_large_maps_equal_torch_to_its_rounding(align_corners):
    torch = pytest.importorskip("torch", reason="the development extra torch is not installed")
    x = np.random.default_rng(0).standard_normal((1, 33, 161, 1)).astype(np.float32)
    size, rule = (64, 1280), {"mode": "bilinear", "align_corners": align_corners}
    image = torch.from_numpy(x.transpose(0, 3, 1, 2))
    expected = torch.nn.functional.interpolate(image, size=size, **rule)
    result = resize_bilinear(jnp.asarray(x), size, align_corners)[..., 0]
    np.testing.assert_allclose(result, expected[:, 0], atol=1e-6)


def test_half_scale_equals_torch(golden):
    vectors = np.load(golden / "interpolate_bilinear.npz")
    x = vectors["x_64x96"].transpose(0, 2, 3, 1)
    y = vectors["y_64x96_scale0.5_ac0"].transpose(0, 2, 3, 1)
    np.testing.assert_allclose(resize_bilinear(jnp.asarray(x), (32, 48), False), y, atol=1e-5)


@pytest.mark.parametrize("size", [(9, 7), (8, 10)])
@pytest.mark.parametrize("align_corners", [True, False])
def test_gradient_is_the_adjoint(align_corners, size):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 4, 5, 3)).astype(np.float32)
    g = rng.standard_normal((2, *size, 3)).astype(np.float32)
    y, vjp = jax.vjp(lambda x: resize_bilinear(x, size, align_corners), x)
    np.testing.assert_allclose(jnp.vdot(y, g), jnp.vdot(x, vjp(g)[0]), rtol=1e-5)


def test_type_and_leading_axes_are_kept():
    x = jnp.ones((2, 1, 3, 4, 5), jnp.bfloat16)
    y = resize_bilinear(x, (7, 9), True)
    assert (y.shape, y.dtype) == ((2, 1, 7, 9, 5), jnp.bfloat16)
    np.testing.assert_array_equal(y.astype(jnp.float32), 1)


def test_same_size_is_exact():
    x = np.random.default_rng(2).standard_normal((1, 6, 4, 2)).astype(np.float32)
    for align_corners in (True, False):
        np.testing.assert_array_equal(resize_bilinear(x, (6, 4), align_corners), x)
