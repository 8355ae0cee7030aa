"""Image and label files of data sets to what is stored, and back to arrays."""

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image, ImageOps

from jax_labor.pixels import PNG_DEPTH_BYTE, BadFileError, encode_png, open_picture, read_label

_EXIF_ORIENTATION = 0x0112
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
    keep = (
        image.mode == "RGB"
        and (image.format == "JPEG" or (image.format == "PNG" and data[PNG_DEPTH_BYTE] == 8))
        and _orientation(image) == 1
    )
    if keep:
        return data, (image.height, image.width)
    if image.mode not in _CONVERTIBLE:
        raise BadFileError(f"has pixels of type {image.mode}; 8-bit images are needed")
    upright = ImageOps.exif_transpose(image).convert("RGB")
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


def _orientation(image: Image.Image) -> int:
    """EXIF orientation; 1 (upright) where the tags are missing or damaged."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # a photo with broken tags still has good pixels
        return 1
