"""Image and label files of data sets to what is stored, and back to arrays."""

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from jax_labor.pixels import PNG_DEPTH_BYTE, BadFileError, encode_png, open_picture, read_label

_EXIF_ORIENTATION = 0x0112
_TURNS = {  # what makes a photo of this orientation upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_JPEG = ("JPEG", "MPO")  # MPO: a JPEG with further pictures behind it, as phones write
_CONVERTIBLE = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


def kept_encoded(features: tfds.features.FeaturesDict) -> dict:
    """TFDS's decoders for records whose images stay encoded, so that who needs one decodes it."""
    images = (name for name, each in features.items() if isinstance(each, tfds.features.Image))
    return {name: tfds.decode.SkipDecoding() for name in images}


def check_image(data: bytes) -> tuple[bytes, tuple[int, int]]:
    """Decode an encoded image fully; return the bytes to store and its (height, width).

    Upright 8-bit RGB PNG and JPEG files are stored as they are. Palette, grey, transparent and
    other images, and photos that carry an EXIF rotation, become upright 8-bit RGB PNG.
    """
    image = open_picture(data)
    turn = _turn(image)
    plain = image.format in _JPEG or (image.format == "PNG" and data[PNG_DEPTH_BYTE] == 8)
    if plain and image.mode == "RGB" and turn is None:
        return data, (image.height, image.width)
    if image.mode not in _CONVERTIBLE:
        raise BadFileError(f"has pixels of type {image.mode}; 8-bit images are needed")
    # Not by Pillow's exif_transpose: it writes the tags anew, which fails for damaged ones.
    upright = (image if turn is None else image.transpose(turn)).convert("RGB")
    return encode_png(np.asarray(upright)), (upright.height, upright.width)


def read_label_first_channel(data: bytes) -> np.ndarray:
    """Class ids [H, W] in the first channel of a colour PNG, 8 or 16 bits (SYNTHIA).

    Pillow keeps only the high byte of 16-bit colours, where small ids are all 0. Decoding a second
    time as little-endian keeps the other byte.
    """
    image = open_picture(data)
    if image.mode not in ("RGB", "RGBA"):
        return read_label(data)
    first = np.asarray(image)[..., 0]
    if image.format != "PNG" or data[PNG_DEPTH_BYTE] != 16:
        return first
    low = open_picture(data, rawmode=f"{image.mode};16L")
    return first.astype(np.uint16) << 8 | np.asarray(low)[..., 0]


def decode_image(data: bytes) -> np.ndarray:
    """Stored image to uint8[H, W, 3]."""
    return np.array(open_picture(data))


def decode_label(data: bytes) -> np.ndarray:
    """Stored label to uint8[H, W, 1] train ids."""
    return np.array(open_picture(data))[..., None]


def _turn(image: Image.Image) -> Image.Transpose | None:
    """What makes the photo upright; None where it is, or where its tags are missing or damaged."""
    try:
        return _TURNS.get(image.getexif().get(_EXIF_ORIENTATION))
    except Exception:  # a photo with broken tags still has good pixels
        return None
