"""The files of a round: how each is written, and what is to be done about a damaged one."""

import io
import json

import numpy as np
from etils import epath
from PIL import Image

from jax_labor.classes import IGNORE
from jax_labor.errors import UserError
from jax_labor.files import write_bytes
from jax_labor.pixels import BadFileError, encode_png
from jax_labor.pixels import read_label as read_ids


def write_png(path, array: np.ndarray) -> None:
    """Writes uint8[H, W] as a grey PNG."""
    write_bytes(path, encode_png(np.asarray(array, np.uint8)))


def encode_jpeg(image: np.ndarray) -> bytes:
    """uint8[H, W, 3] as a JPEG in which thin things keep their colours."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def read_label(path) -> np.ndarray:
    """uint8[H, W] of a PNG: grey values and places in a palette are ids, colours are none.

    Raises:
        UserError: it is missing or something else; says what to do.
    """
    try:
        ids = read_ids(epath.Path(path).read_bytes())
        if not 0 <= ids.min() <= ids.max() <= IGNORE:
            raise BadFileError(f"has ids from {ids.min()} to {ids.max()}; 0 to 255 are possible")
    except (OSError, BadFileError) as error:
        raise UserError(
            f"{path} is missing or no label map ({error}). A label map is a PNG of 8 bits, grey or"
            f" with a palette, whose values are class ids: {_remedy(path)}"
        ) from error
    return ids.astype(np.uint8)


def read_json(path) -> dict:
    """The object in a JSON file; a UserError says what to do where it cannot be read."""
    try:
        content = json.loads(epath.Path(path).read_text())
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}, no object")
        return content
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is missing or not readable JSON ({error}): {_remedy(path)}"
        ) from error


def _remedy(path) -> str:
    """What brings a file back without loss of what people have answered."""
    path = epath.Path(path)
    folder = path.parent if path.name == "round.json" else path.parent.parent
    if (folder / "closed.json").exists():
        return "training has taken this round: restore the file from a copy."
    if path.parent.name == "answers":
        return f"mend it, or remove {path.parent / path.stem}.json, and the image is open again."
    return (
        f"restore it from a copy, or remove {folder / 'round.json'} and start the training again,"
        " which writes the same questions anew and leaves the answers."
    )
