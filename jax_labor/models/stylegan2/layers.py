"""The layers that StyleGAN2's three networks are made of.

Parameters are stored before the equalised learning rate scales them (Karras et al., ICLR 2018,
section 4.1), as official checkpoints have them. Everything is made of ordinary differentiable
operations: path-length regularisation and R1 differentiate the gradient again.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_labor.ops.filter2d import upfirdn2d

SLOPE = 0.2
GAIN = float(np.sqrt(2))
_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


class Dense(nn.Module):
    """A fully connected layer with equalised learning rate; leaky ReLU where `activate`.

    y = act(x @ kernel * lr / sqrt(in) + bias * lr), in float32 at full precision: these layers
    are small, and what they compute (w, styles) reaches every pixel.

    Parameters: kernel float32 [in,out], drawn N(0,1)/lr; bias float32 [out], `bias_init`.
    """

    features: int
    lr: float = 1.0
    bias_init: float = 0.0
    activate: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map x[B,in] to float32 [B,features]."""
        draw = nn.initializers.normal(1 / self.lr)
        kernel = self.param("kernel", draw, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.constant(self.bias_init), (self.features,))
        scaled = kernel * (self.lr / np.sqrt(x.shape[-1]))
        y = jnp.dot(x.astype(jnp.float32), scaled, precision=lax.Precision.HIGHEST)
        y = y + (bias * self.lr)[None]
        return leaky_relu(y) if self.activate else y


class Conv(nn.Module):
    """A convolution of the discriminator, with equalised learning rate.

    The kernel is 1x1 or 3x3; a `down` one is low-pass filtered first and then strided by 2.

    Parameters: kernel float32 [size,size,in,out], drawn N(0,1); bias float32 [out], zero.
    """

    features: int
    size: int = 3
    down: bool = False
    bias: bool = True
    activate: bool = True
    clamp: float | None = None

    @nn.compact
    def __call__(self, x: jax.Array, gain: float = 1.0) -> jax.Array:
        """Map x[B,h,w,in] to [B,H,W,features] of the same type, multiplied by `gain`."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        kernel = (kernel / np.sqrt(np.prod(shape[:3]))).astype(x.dtype)
        if self.down:
            # One more than half the kernel, so that the filtered map fits it.
            pads = ((1 + self.size // 2,) * 2,) * 2
            stride = 2 if self.size == 1 else 1
            x = upfirdn2d(x, down=stride, padding=pads)
        y = strided_conv(x, kernel) if self.down and self.size > 1 else same_conv(x, kernel)
        if self.bias:
            y = y + _bias(self, self.features, y)
        return finish(y, gain, self.clamp) if self.activate else y * gain


class ModulatedConv(nn.Module):
    """The weights and the style of one modulated convolution (Karras et al., CVPR 2020, 2.2).

    Parameters: kernel float32 [size,size,in,out], drawn N(0,1); bias float32 [out], zero, which
    the caller adds after the noise; affine: Dense from w to the in scales, its bias one.
    """

    features: int
    size: int = 3
    up: bool = False
    demodulate: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Convolve x[B,h,w,in] as w[B,w_dim] says; give [B,H,W,features] and the bias."""
        shape = (self.size, self.size, x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.normal(1.0), shape)
        styles = Dense(x.shape[-1], bias_init=1.0, name="affine")(w)
        if not self.demodulate:
            styles = styles / np.sqrt(np.prod(shape[:3]))
        y = modulated_conv(x, kernel, styles, self.up, self.demodulate)
        return y, _bias(self, self.features, y)


def modulated_conv(
    x: jax.Array, kernel: jax.Array, styles: jax.Array, up: bool = False, demodulate: bool = True
) -> jax.Array:
    """Convolves each sample with its own kernel w'(b) = kernel * styles(b), normalised.

    Equations 1 to 3 of Karras et al. (CVPR 2020), read the other way: since the samples share the
    kernel, scaling the map's channels before it and the outputs' after it gives the same
    numbers as one kernel a sample, without a grouped convolution (3 to 11 times as fast on CPU).
    In low precision, the kernel and each sample's styles are first normalised to a largest value
    that cannot overflow; demodulation cancels both.

    Args:
      x: [B,h,w,I] in the type to compute in.
      kernel: float32 [k,k,I,O].
      styles: float32 [B,I].
      up: whether to double the size, low-pass filtered.
      demodulate: whether each output channel's kernel is scaled to norm one.

    Returns:
      [B,H,W,O] of the type of `x`.
    """
    if demodulate and x.dtype != jnp.float32:
        largest = jnp.abs(kernel).max((0, 1, 2), keepdims=True)
        kernel = kernel / (largest * np.sqrt(np.prod(kernel.shape[:3])))
        styles = styles / jnp.abs(styles).max(1, keepdims=True)
    y = x * styles[:, None, None, :].astype(x.dtype)
    y = (up_conv if up else same_conv)(y, kernel.astype(x.dtype))
    if demodulate:
        energy = jnp.square(kernel).sum((0, 1))
        norm = jnp.dot(jnp.square(styles), energy, precision=lax.Precision.HIGHEST)
        y = y * lax.rsqrt(norm + 1e-8)[:, None, None, :].astype(x.dtype)
    return y


def same_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Correlates x[B,h,w,I] with kernel[k,k,I,O], k odd, keeping the size."""
    return lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=_DIMENSIONS)


def strided_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Correlates x[B,h,w,I] with kernel[3,3,I,O] at every second place, without padding.

    As one matrix product over the gathered neighbours: XLA's second derivative of a strided
    convolution is some ten times as slow on CPU.
    """
    batch, rows, columns, channels = x.shape
    height, width = (rows - 3) // 2 + 1, (columns - 3) // 2 + 1
    neighbours = [
        lax.slice(
            x, (0, i, j, 0), (batch, i + 2 * height - 1, j + 2 * width - 1, channels), (1, 2, 2, 1)
        )
        for i in range(3)
        for j in range(3)
    ]
    return jnp.concatenate(neighbours, -1) @ kernel.reshape(-1, kernel.shape[-1])


def up_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Transposed convolution of x[B,h,w,I] with kernel[3,3,I,O], stride 2, then the low-pass.

    Every pixel spreads kernel over the 3x3 places around twice its own: one matrix product, whose
    nine results are added where they overlap. XLA's own transposed convolution is about as fast
    forward on CPU, but its weight gradient is some 50 times slower.

    Returns:
      [B,2h,2w,O].
    """
    batch, rows, columns, _ = x.shape
    spread = jnp.einsum("bhwi,uvio->uvbhwo", x, kernel)

    def places(u, v):
        """Give the results for kernel rows u and columns v, summed, as [B,h+1,w+1,O]."""
        shifted = (
            jnp.pad(spread[i, j], ((0, 0), (i // 2, 1 - i // 2), (j // 2, 1 - j // 2), (0, 0)))
            for i in u
            for j in v
        )
        return sum(shifted)

    even, odd = (0, 2), (1,)
    y = jnp.stack([jnp.stack([places(u, v) for v in (even, odd)], 3) for u in (even, odd)], 2)
    y = y.reshape(batch, 2 * rows + 2, 2 * columns + 2, -1)[:, :-1, :-1]
    return upfirdn2d(y, padding=((1, 1), (1, 1)), gain=4.0)


def leaky_relu(x: jax.Array) -> jax.Array:
    """Leaky ReLU of slope 0.2, times sqrt(2) to keep the variance."""
    return nn.leaky_relu(x, SLOPE) * GAIN


def finish(x: jax.Array, gain: float = 1.0, clamp: float | None = None) -> jax.Array:
    """`leaky_relu` times `gain`, clamped to +-clamp*gain."""
    return clamped(leaky_relu(x) * gain, None if clamp is None else clamp * gain)


def clamped(x: jax.Array, limit: float | None) -> jax.Array:
    """Clamps `x` to +-limit; None leaves it."""
    return x if limit is None else jnp.clip(x, -limit, limit)


def unit_moment(x: jax.Array) -> jax.Array:
    """Scales each row of x[B,n] to a mean square of one."""
    return x * lax.rsqrt(jnp.mean(jnp.square(x), 1, keepdims=True) + 1e-8)


def _bias(module, features, like):
    bias = module.param("bias", nn.initializers.zeros, (features,))
    return bias.astype(like.dtype)[None, None, None, :]
