"""Picture files to pixels, with every defect an error that says what is wrong, and back."""

import io
import zlib

import numpy as np
from PIL import Image, UnidentifiedImageError

_PNG = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH_BYTE = 24  # place of the bit depth in a PNG file: after signature, length, IHDR, size


class BadFileError(Exception):
    """A file that cannot be used; the message says why, without naming the file."""


def open_picture(data: bytes, rawmode: str | None = None) -> Image.Image:
    """Open and decode completely, so that a truncated file is found here and not in training."""
    if data.startswith(_PNG):
        _check_chunks(data)
    try:
        image = Image.open(io.BytesIO(data))
        if rawmode:
            image.tile = [tile._replace(args=rawmode) for tile in image.tile]
        image.load()
    except UnidentifiedImageError:
        heic = data[4:8] == b"ftyp"  # of phones' HEIC, AVIF and of films
        reason = "it may be HEIC: save it as PNG" if heic else "no format that Pillow knows"
        raise BadFileError(f"cannot be read as an image ({reason})") from None
    except Image.DecompressionBombError as error:
        raise BadFileError(f"is too large to be read; cut it into tiles ({error})") from None
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise BadFileError(
            f"cannot be read as an image ({error or type(error).__name__})"
        ) from None
    return image


def _check_chunks(data: bytes) -> None:
    """`BadFileError` unless every chunk of a PNG file matches its checksum.

    Pillow looks at neither the checksums of pixels nor zlib's: a flipped bit there gives other
    class ids, unnoticed.
    """
    view, start, name = memoryview(data), len(_PNG), b""
    while name != b"IEND" and start < len(data):
        length = int.from_bytes(view[start : start + 4], "big")
        name, end = data[start + 4 : start + 8], start + 8 + length
        if zlib.crc32(view[start + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            what = "is cut off" if end + 4 > len(data) else "does not match its checksum"
            shown = name.decode("ascii", "backslashreplace")
            raise BadFileError(f"cannot be read as an image (its PNG chunk {shown} {what})")
        start = end + 4


def encode_png(pixels: np.ndarray, level: int = 4) -> bytes:
    """uint8[H, W] or uint8[H, W, 3] as a PNG file, packed at zlib's `level`."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=level)
    return buffer.getvalue()


def read_label(data: bytes) -> np.ndarray:
    """Class ids [H, W] of a one-channel PNG, 1, 8 or 16 bits; palettes are *not* applied."""
    image = open_picture(data)
    if image.format in ("JPEG", "MPO"):
        raise BadFileError("is a JPEG, whose pixels are nearly the class ids; a PNG is needed")
    if image.mode == "1":
        return np.asarray(image).astype(np.uint8)
    if image.mode not in ("L", "P", "I;16", "I"):
        raise BadFileError(f"has pixels of type {image.mode}; one channel of class ids is needed")
    # Pillow spreads 2 and 4 bits of grey over 0 .. 255, where ids are others.
    if image.mode == "L" and image.format == "PNG" and data[PNG_DEPTH_BYTE] < 8:
        raise BadFileError(f"has {data[PNG_DEPTH_BYTE]} bits of grey; 1, 8 or 16 bits are needed")
    return np.asarray(image)


def count_values(pixels: np.ndarray) -> np.ndarray:
    """How often each value occurs in uint8[H, W], int64[256]; NumPy's bincount takes longer."""
    return np.array(Image.fromarray(pixels).histogram(), np.int64)
