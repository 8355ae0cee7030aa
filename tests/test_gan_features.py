"""FID: its features against PyTorch's, its formula against eigenvalues, its weights' mistakes."""

import jax
import numpy as np
import pytest
import torch
from torch_inception import TorchInception

from jax_labor.errors import UserError
from jax_labor.experiments.gan_quality import Features
from jax_labor.models.inception import SIZE, Inception, prepare
from jax_labor.models.pretrained import detect_layout, import_weights
from jax_labor.ops.frechet import frechet_distance

pytestmark = pytest.mark.usefixtures("quick_compilation")


@pytest.fixture(scope="module")
def theirs():
    """Images [2, 3, 75, 80], their features, and the weights behind them."""
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (2, 3, 75, 80)).astype(np.float32)
    network = TorchInception()
    with torch.no_grad():
        features = network(torch.from_numpy(images)).numpy()
    tensors = {name: tensor.numpy() for name, tensor in network.state.items()}
    # What the public file has besides.
    tensors |= {"fc.weight": np.zeros((1008, 2048), np.float32)}
    tensors |= {"fc.bias": np.zeros(1008, np.float32)}
    return images, features, tensors


@pytest.fixture(scope="module")
def shapes():
    image = jax.ShapeDtypeStruct((1, SIZE, SIZE, 3), np.float32)
    return jax.eval_shape(Inception().init, jax.random.key(0), image)


def test_features_equal_those_of_torch(theirs, shapes):
    images, expected, tensors = theirs
    assert detect_layout(tensors) == "inception_fid"
    variables, report = import_weights(tensors, "inception_fid", shapes)
    assert report.left == () and report.dropped == ("fc.weight", "fc.bias")
    assert len(report.used) == 94 * 5
    found = jax.jit(Inception().apply)(variables, images.transpose(0, 2, 3, 1))
    assert found.shape == (2, 2048)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("size", [(48, 32), (320, 299)])
def test_images_are_prepared_as_in_torch(size, rng):
    images = rng.integers(0, 256, (2, *size, 3), np.uint8)
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    x = torch.nn.functional.interpolate(x, (299, 299), mode="bilinear", align_corners=False)
    expected = (2 * x - 1).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(prepare(images), expected, atol=1e-4)


@pytest.mark.parametrize(("count", "other", "width"), [(40, 60, 5), (9, 7, 20), (30, 8, 12)])
def test_the_distance_is_that_of_the_formula(count, other, width, rng):
    """With more samples than features, with fewer, and with both."""
    a = rng.normal(size=(count, width)) @ rng.normal(size=(width, width))
    b = rng.normal(1, 2, size=(other, width))
    s, t = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    # The trace of a root is the sum of its eigenvalues; those of S T are real and not negative.
    cross = np.sqrt(np.maximum(np.linalg.eigvals(s @ t).real, 0)).sum()
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s + t) - 2 * cross
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(frechet_distance(a, b))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6 * np.trace(s))
    assert frechet_distance(a, a + 2) == pytest.approx(4 * width)


def test_other_weights_are_refused_with_their_setting(tmp_path):
    name = "Conv2d_1a_3x3.conv.weight"
    np.savez(tmp_path / "weights.npz", **{name: np.zeros((32, 3, 3, 3), np.float32)})
    with pytest.raises(
        UserError, match=r"(?s)distance.features=.*missing: Conv2d_1a_3x3.bn.running_mean"
    ):
        Features(str(tmp_path / "weights.npz"))
    with pytest.raises(UserError, match="no such file"):
        Features(str(tmp_path / "absent.pth"))


def test_the_last_batch_counts_no_more_than_its_images(rng):
    """Without the network: features are here the mean colours."""
    features = object.__new__(Features)
    features._variables = {}
    features._apply = lambda _, x: np.asarray(x, np.float32).mean((1, 2))
    real, fake = (rng.integers(0, 256, (n, 4, 4, 3), np.uint8) for n in (70, 64))
    expected = frechet_distance(*(x.astype(np.float32).mean((1, 2)) for x in (real, fake)))
    assert features.distance(real, fake) == pytest.approx(expected, rel=1e-6)
