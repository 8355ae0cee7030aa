"""Batch normalisation with an explicit mode: what "frozen" means is said, not guessed."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from jax_labor.errors import check_choice

BN_MODES = ("train", "affine_frozen", "frozen")
MOMENTUM = 0.9


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last (Ioffe & Szegedy, ICML 2015, Algorithm 1).

    | `mode`        | statistics at `train=True` | stored statistics | scale, bias | as in       |
    |---------------|----------------------------|-------------------|-------------|-------------|
    | train         | of the batch               | move              | trained     | MCD, IAST   |
    | affine_frozen | of the batch               | move              | no gradient | AdaptSegNet |
    | frozen        | stored                     | stay              | no gradient | RIPU        |

    At `train=False` every mode uses the stored statistics and moves nothing.

    Statistics are float32 whatever `dtype` is. Over the devices of `axis_name` they are those of
    the global batch (equal shares per device). As in PyTorch the batch is divided by its biased
    variance, and the unbiased one enters the stored average (momentum 0.9, PyTorch's 0.1).

    Collections: params scale[C], bias[C]; batch_stats mean[C], var[C]; all float32.
    """

    mode: str = "train"
    eps: float = 1e-5
    axis_name: str | None = None
    dtype: jnp.dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Normalise `x[..., C]`; returns the same shape in `dtype`."""
        check_choice("mode", self.mode, BN_MODES)
        shape = (x.shape[-1],)
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        stored_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        stored_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        if self.mode != "train":
            scale, bias = lax.stop_gradient(scale), lax.stop_gradient(bias)
        if train and self.mode != "frozen":
            # Initialisation traces one device, where the mapped axis does not exist.
            axis_name = None if self.is_initializing() else self.axis_name
            mean, var, count = _batch_statistics(x, axis_name)
            if not self.is_initializing():
                unbiased = var * (count / max(count - 1, 1))
                _move(stored_mean, mean)
                _move(stored_var, unbiased)
        else:
            mean, var = stored_mean.value, stored_var.value
        return _normalise(x, mean, var, scale, bias, self.eps).astype(self.dtype)


def batch_norm(bn: str, eps: float, axis_name: str | None, dtype: jnp.dtype):
    """A BatchNorm constructor with one network's settings bound; takes `name`."""
    return functools.partial(BatchNorm, mode=bn, eps=eps, axis_name=axis_name, dtype=dtype)


def _move(stored: nn.Variable, value: jax.Array) -> None:
    stored.value = MOMENTUM * stored.value + (1 - MOMENTUM) * lax.stop_gradient(value)


def _batch_statistics(x, axis_name):
    """Mean[C], biased variance[C] and number of values per channel over the global batch."""
    x = x.astype(jnp.float32)
    axes = tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    mean = x.mean(axes)
    if axis_name is not None:
        mean = lax.pmean(mean, axis_name)
        count *= lax.axis_size(axis_name)
    # Two passes: E[x^2] - E[x]^2 would cancel for channels whose mean is large.
    var = jnp.square(x - _expand(mean, x)).mean(axes)
    return mean, (var if axis_name is None else lax.pmean(var, axis_name)), count


def _normalise(x, mean, var, scale, bias, eps):
    factor = scale * lax.rsqrt(var + eps)
    x = x.astype(jnp.float32)
    return (x - _expand(mean, x)) * _expand(factor, x) + _expand(bias, x)


def _expand(vector, x):
    return vector.reshape((1,) * (x.ndim - 1) + vector.shape)
