"""The sizes that generator and discriminator share: blocks, channels and precision."""

import dataclasses

import jax.numpy as jnp

from jax_labor.errors import UserError

DTYPES = {"float32": jnp.float32, "float16": jnp.float16, "bfloat16": jnp.bfloat16}


@dataclasses.dataclass(frozen=True)
class Pyramid:
    """The blocks b4, b8, ... b{resolution} of a network, named as for square images.

    Attributes:
      resolution: the last block's number, a power of two from 8.
      base: pixels (height, width) of block b4; (4, 6) with resolution 64 means images of 64x96.
      channel_base, channel_max: block r has min(channel_base // r, channel_max) channels.
      low_precision_blocks: how many of the largest blocks compute in `dtype`; b4 never does.
      dtype: float16 or bfloat16 for those blocks; the others compute in float32.
    """

    resolution: int
    base: tuple[int, int] = (4, 4)
    channel_base: int = 32768
    channel_max: int = 512
    low_precision_blocks: int = 0
    dtype: str = "float16"

    def __post_init__(self):
        power = self.resolution.bit_length() - 1
        if self.resolution < 8 or self.resolution != 2**power:
            raise UserError(f"resolution {self.resolution}: must be a power of two, 8 or more")
        if len(self.base) != 2 or not all(isinstance(n, int) and n >= 1 for n in self.base):
            raise UserError(f"base {self.base}: must be the height and width of the smallest map")
        if self.dtype not in DTYPES:
            raise UserError(f"dtype {self.dtype!r}: choose one of {', '.join(DTYPES)}")
        if min(self.channel_base // self.resolution, self.channel_max) < 1:
            raise UserError(
                f"channel_base {self.channel_base} leaves no channel at {self.resolution}"
            )

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks' numbers: 4, 8, ..., resolution."""
        return tuple(2**i for i in range(2, self.resolution.bit_length()))

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.size(self.resolution)

    def size(self, block: int) -> tuple[int, int]:
        """(height, width) of the maps of `block`."""
        return self.base[0] * block // 4, self.base[1] * block // 4

    def channels(self, block: int) -> int:
        """How many channels the maps of `block` have."""
        return min(self.channel_base // block, self.channel_max)

    def precision(self, block: int) -> jnp.dtype:
        """The type that `block` computes in."""
        low = self.resolution >> self.low_precision_blocks < block and block > 4
        return DTYPES[self.dtype] if low else jnp.float32
