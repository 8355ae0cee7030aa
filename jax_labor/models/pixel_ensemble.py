"""DatasetGAN's pixel classifiers: small networks on a generator's features, M at once."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jax_labor.models.norm import BatchNorm

BN_EPS = 1e-5
FEW_CLASSES = 32


def hidden_sizes(num_classes: int) -> tuple[int, int]:
    """Returns the published widths: (128, 32) below 32 classes, else (256, 128)."""
    return (128, 32) if num_classes < FEW_CLASSES else (256, 128)


class PixelClassifier(nn.Module):
    """A multi-layer perceptron per pixel (Zhang et al., CVPR 2021, section 3.1), as published.

    Each hidden layer is Linear, ReLU, batch norm (in this order) and dropout. The first layer comes
    first of all, so that `fold` and `ops.projection` can move it before the upsampling. Names:
    linear{i}, bn{i}.

    Attributes:
      num_classes: K.
      hidden: widths; those of `hidden_sizes` unless given.
      dropout: rate behind each hidden layer; none unless given.
    """

    num_classes: int
    hidden: tuple[int, ...] = ()
    dropout: tuple[float, ...] = ()

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Maps features float32[P, C] to logits float32[P, K]; dropout draws from rng "dropout"."""
        widths = self.hidden or hidden_sizes(self.num_classes)
        rates = self.dropout or (0.0,) * len(widths)
        for i, (width, rate) in enumerate(zip(widths, rates, strict=True)):
            x = nn.relu(self._linear(width, i)(x))
            x = BatchNorm(eps=BN_EPS, name=f"bn{i}")(x, train)
            x = nn.Dropout(rate, deterministic=not train)(x)
        return self._linear(self.num_classes, len(widths))(x)

    def _linear(self, width, i):
        init = nn.initializers.normal(0.02)
        full = jax.lax.Precision.HIGHEST
        return nn.Dense(width, kernel_init=init, precision=full, name=f"linear{i}")


class Folded(NamedTuple):
    """An ensemble for inference: ReLU between linear layers, batch norm folded into the next.

    Attributes:
      kernel: float32[M, C, H1], first layer.
      bias: float32[M, H1], its bias.
      layers: (kernel float32[M, a, b], bias float32[M, b]) of each later layer.
      head: (kernel float32[M, K, a], bias float32[M, K]) of the last, in the order of axes that
        gives logits with classes first at a third of the time.
    """

    kernel: jax.Array
    bias: jax.Array
    layers: tuple[tuple[jax.Array, jax.Array], ...]
    head: tuple[jax.Array, jax.Array]


def fold(variables) -> Folded:
    """Folds an ensemble's variables (leading axis M) at their stored statistics."""
    params, stats = variables["params"], variables["batch_stats"]
    first = params["linear0"]
    layers = []
    for i in range(len(stats)):
        following = params[f"linear{i + 1}"]
        layers.append(jax.vmap(_fold)(params[f"bn{i}"], stats[f"bn{i}"], following))
    kernel, bias = layers.pop()
    return Folded(first["kernel"], first["bias"], tuple(layers), (kernel.swapaxes(1, 2), bias))


def _fold(norm, stats, following):
    """Returns the (kernel, bias) that apply a batch norm and the linear layer after it."""
    scale = norm["scale"] * jax.lax.rsqrt(stats["var"] + BN_EPS)
    shift = norm["bias"] - stats["mean"] * scale
    bias = jnp.dot(shift, following["kernel"], precision=jax.lax.Precision.HIGHEST)
    return scale[:, None] * following["kernel"], bias + following["bias"]


def later_layers(hidden: jax.Array, bias: jax.Array, layers, head) -> jax.Array:
    """Finishes one folded member.

    Args:
      hidden: float32[P, H1], products of the first layer without its bias.
      bias: float32[H1].
      layers: as in `Folded`, of one member.
      head: as in `Folded`, of one member.

    Returns:
      logits float32[K, P]: classes first, as `ops.divergence` takes them.
    """
    full = jax.lax.Precision.HIGHEST
    x = nn.relu(hidden + bias[None])
    for kernel, shift in layers:
        x = nn.relu(jnp.dot(x, kernel, precision=full) + shift[None])
    kernel, shift = head
    return jnp.einsum("ka,pa->kp", kernel, x, precision=full) + shift[:, None]
