"""Pixels, projections and labels without upsampled features, against torch and the direct way."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from model_variables import random_variables

from jax_labor.models.pixel_ensemble import PixelClassifier
from jax_labor.ops.corners import gather_pixels
from jax_labor.ops.projection import Sizes, map_ensemble
from jax_labor.ops.windows import windows
from jax_labor.steps.pixel_labels import make_labelling

pytestmark = pytest.mark.usefixtures("quick_compilation")
RNG = np.random.default_rng(0)


def random_maps(shapes, images, dtype=np.float32):
    return tuple(RNG.standard_normal((images, *shape)).astype(dtype) for shape in shapes)


def upsampled(maps, size):
    """Maps [N, h, w, C] resized by torch and concatenated, float32 [N, H, W, sum C]."""
    parts = []
    for x in maps:
        x = torch.from_numpy(x.astype(np.float32)).permute(0, 3, 1, 2)
        y = torch.nn.functional.interpolate(x, size, mode="bilinear", align_corners=False)
        parts.append(y.permute(0, 2, 3, 1).numpy())
    return np.concatenate(parts, -1)


CASES = {
    "one of each size": ([(4, 4, 3), (8, 8, 2), (16, 16, 4), (32, 32, 1)], (32, 32)),
    "two of each, not square": ([(2, 3, 3), (2, 3, 1), (16, 24, 2), (16, 24, 5)], (16, 24)),
    "one map above the image": ([(4, 4, 3), (16, 16, 2), (32, 32, 3)], (16, 16)),
    "sizes that do not divide": ([(3, 5, 2), (7, 4, 3), (13, 17, 1)], (13, 17)),
    "wide but low": ([(3, 30, 2), (20, 5, 3)], (10, 10)),
    "small maps only": ([(4, 4, 3), (8, 8, 2)], (20, 12)),
    "large maps only": ([(16, 24, 3), (32, 48, 2)], (16, 24)),
    "a single pixel": ([(1, 1, 3), (6, 1, 2)], (6, 9)),
}


@pytest.mark.parametrize("case", CASES)
def test_gathered_pixels_are_those_of_torch(case):
    shapes, size = CASES[case]
    maps = random_maps(shapes, 2, np.float16 if "two" in case else np.float32)
    image, row, column = np.indices((2, *size)).reshape(3, -1)
    found = jax.jit(gather_pixels, static_argnums=1)(maps, size, image, row, column)
    assert found.dtype == jnp.float32
    expected = upsampled(maps, size).reshape(found.shape)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_pixels_come_in_the_order_and_shape_they_are_asked_in():
    maps, size = random_maps([(4, 4, 3), (8, 8, 2)], 3), (8, 8)
    place = RNG.integers(0, (3, 8, 8), (5, 6, 3))
    found = gather_pixels(maps, size, *np.moveaxis(place, -1, 0))
    expected = upsampled(maps, size)[tuple(np.moveaxis(place, -1, 0))]
    np.testing.assert_allclose(found, expected, atol=2e-6)


@pytest.mark.parametrize(
    "n, size, outputs, span", [(4, 32, 5, None), (9, 4, 3, (1, 4)), (7, 7, 2, (2, 5))]
)
def test_windows_hold_every_tap(n, size, outputs, span):
    cut = windows(n, size, outputs, span)
    x = RNG.standard_normal(n).astype(np.float32)
    direct = upsampled([x[None, :, None, None]], (size, 1))[0, slice(*(span or (0, size))), 0, 0]
    read = np.stack([x[start : start + cut.length] for start in cut.start])
    raised = np.einsum("gol,gl->go", cut.matrix(), read).ravel()
    np.testing.assert_allclose(raised[: len(direct)], direct, atol=1e-6)
    np.testing.assert_allclose(raised[len(direct) :], direct[-1], atol=1e-6)


def run(maps, image, kernel, bias, size, rows, sizes):
    """Sum over members of relu(first layer + bias), per unit, as [K, rows, W]."""

    def member(hidden, own):
        return jax.nn.relu(hidden + own[None]).T

    def finish(total):
        return dict(enumerate(total))

    out = map_ensemble(member, finish, maps, image, kernel, bias, size, rows, sizes)
    return jnp.stack(list(out.values()))


# The default; one row per tile and strip; several tiles to a strip, none of which divide evenly.
CUTS = {"whole": None, "rows": Sizes(5, 1, 1), "uneven": Sizes(7, 2**9, 2**11)}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("case", CASES)
def test_first_layer_equals_the_direct_way(case, cut):
    (shapes, size), sizes = CASES[case], CUTS[cut]
    rows = (2, size[0] - 1) if sizes else None
    maps, image = random_maps(shapes, 2), 1
    kernel = RNG.standard_normal((3, sum(s[-1] for s in shapes), 4)).astype(np.float32)
    bias = RNG.standard_normal((3, 4)).astype(np.float32)
    found = jax.jit(run, static_argnums=(4, 5, 6))(maps, image, kernel, bias, size, rows, sizes)
    features = upsampled(maps, size)[image, slice(*(rows or (0, size[0])))]
    hidden = np.einsum("hwc,mck->mkhw", features, kernel) + bias[:, :, None, None]
    np.testing.assert_allclose(found, np.maximum(hidden, 0).sum(0), atol=1e-5)


def test_maps_that_do_not_fit_the_kernel():
    with pytest.raises(ValueError, match=r"maps of \[2, 3\] channels for a kernel of 6"):
        run(
            random_maps([(2, 2, 2), (4, 4, 3)], 1),
            0,
            np.ones((1, 6, 2)),
            np.ones((1, 2)),
            (4, 4),
            None,
            None,
        )


@pytest.mark.parametrize("voting, dtype", [("hard", np.float32), ("soft", np.float16)])
def test_labels_equal_those_of_the_classifiers_on_torch_features(voting, dtype):
    shapes, size, rows, members = (
        [(4, 6, 8), (8, 12, 6), (8, 12, 5), (32, 48, 3)],
        (32, 48),
        (4, 28),
        5,
    )
    maps = random_maps(shapes, 2, dtype)
    model = PixelClassifier(4, hidden=(16, 8))
    x = upsampled(maps, size)[:, slice(*rows)].reshape(-1, 22)
    each = [random_variables(model, x[:1], False, seed=i) for i in range(members)]
    variables = jax.tree.map(lambda *leaves: np.stack(leaves), *each)
    out = jax.jit(make_labelling(size, rows, voting))(variables, maps)
    logits = np.stack([model.apply(own, x, False) for own in each])
    p = np.asarray(jax.nn.softmax(logits), np.float64)
    mean = p.mean(0)
    js = (p * np.log(p)).sum(-1).mean(0) - (mean * np.log(mean)).sum(-1)
    votes = torch.from_numpy(logits.argmax(-1)).mode(0).values.numpy()
    label = votes if voting == "hard" else mean.argmax(-1)
    assert out.label.dtype == jnp.int32
    assert js.max() > 0.1
    np.testing.assert_allclose(np.ravel(out.divergence), js, atol=1e-5)
    np.testing.assert_array_equal(np.ravel(out.label), label)
    tops = np.sort(js.reshape(2, -1), 1)[:, -(24 * 48 // 10) :].mean(1)
    np.testing.assert_allclose(out.score, tops, rtol=1e-4)
    assert len(np.unique(label)) == 4
