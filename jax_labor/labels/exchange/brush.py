"""Label Studio's brush masks: the run-length bit stream of the editor (@thi.ng/rle-pack).

The stream holds the four channels of an RGBA picture, pixel by pixel; the alpha channel is the
mask. Bits, most significant first: 32 for the number of values, 5 for the bits of a value less 1,
four times 4 for the bits of a count less 1; then tokens: 1 bit (1: a run of one value, 0: values
one by one), 2 bits choosing the size of the count, the count less 1, then the value or values.
Label Studio's own Python package has such functions too, but brings pandas, OpenCV and NLTK along.
"""

import numpy as np

_COUNT_BITS = np.array((3, 4, 8, 16))
_LONGEST = 1 << 16
_CHANNELS = 4


def encode_brush(mask: np.ndarray) -> list[int]:
    """The stream of bool[H, W], as the bytes 0..255 that the JSON file lists."""
    flat = np.repeat(np.asarray(mask, bool).ravel(), _CHANNELS)
    edges = np.flatnonzero(np.diff(flat)) + 1
    lengths = np.diff(np.concatenate(([0], edges, [flat.size])))
    values = flat[np.concatenate(([0], edges))] * 255
    # A run longer than a count can say becomes several tokens.
    tokens = -(-lengths // _LONGEST)
    counts = np.full(tokens.sum(), _LONGEST)
    counts[np.cumsum(tokens) - 1] = (lengths - 1) % _LONGEST + 1
    size = np.searchsorted(1 << _COUNT_BITS, counts)
    bits = _COUNT_BITS[size]
    words = (((0b100 | size) << bits | counts - 1) << 8) | np.repeat(values, tokens)
    header = [(flat.size, 32), (8 - 1, 5), *((int(bits) - 1, 4) for bits in _COUNT_BITS)]
    head_words, head_bits = np.array(header).T
    packed = _pack(np.concatenate((head_words, words)), np.concatenate((head_bits, bits + 11)))
    return packed.tolist()


def decode_brush(stream: list[int], shape: tuple[int, int]) -> np.ndarray:
    """The mask bool[H, W] of a stream: the pixels that are at least half covered.

    The edge of a brush stroke is smooth; half of the mask's highest alpha is where it ends.

    Raises:
        ValueError: the stream is cut short or holds a picture of another size.
    """
    data = bytes(stream)
    total = shape[0] * shape[1] * _CHANNELS
    bits = _Bits(data)
    stated, word = bits.take(32), bits.take(5) + 1
    sizes = [bits.take(4) + 1 for _ in range(4)]
    if stated != total or word != 8:
        raise ValueError(
            f"the brush mask holds {stated} values of {word} bits; a picture of {shape[1]} x"
            f" {shape[0]} has {total} of 8"
        )
    values = np.empty(total, np.uint8)
    start = 0
    while start < total:
        token = bits.take(3)
        stop = start + bits.take(sizes[token & 0b11]) + 1
        if stop > total:
            raise ValueError("the brush mask runs over its end")
        values[start:stop] = bits.take(8) if token & 0b100 else bits.take_bytes(stop - start)
        start = stop
    alpha = values[_CHANNELS - 1 :: _CHANNELS].reshape(shape)
    return alpha > alpha.max(initial=0) // 2


def _pack(words: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Writes each word, of so many bits, one after the other: uint8[n], filled up with zeros."""
    ends = np.cumsum(bits)
    places = np.repeat(ends, bits) - np.arange(ends[-1]) - 1
    return np.packbits(np.repeat(words, bits) >> places & 1)


class _Bits:
    """Reads a string of bytes bit by bit."""

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def take(self, bits: int) -> int:
        """The next `bits` (up to 32) bits as a number."""
        start, stop = self._advance(bits)
        window = self._data[start >> 3 : (stop + 7) >> 3]
        return int.from_bytes(window) >> (-stop & 7) & ((1 << bits) - 1)

    def take_bytes(self, count: int) -> np.ndarray:
        """The next `count` bytes, which need not start on a whole byte: uint8[count]."""
        start, stop = self._advance(8 * count)
        window = np.frombuffer(self._data[start >> 3 : (stop + 7) >> 3], np.uint8)
        return np.packbits(np.unpackbits(window)[start & 7 :][: 8 * count])

    def _advance(self, bits: int) -> tuple[int, int]:
        start, self._at = self._at, self._at + bits
        if self._at > 8 * len(self._data):
            raise ValueError("the brush mask is cut short")
        return start, self._at
