"""Writers of tiny data sets in every public layout, and of damaged files."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

H, W = 24, 32


def image(seed: int, size=(H, W)) -> np.ndarray:
    """Random uint8[H, W, 3]."""
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def labels(seed: int, ids, size=(H, W)) -> np.ndarray:
    """Random label ids uint8[H, W] that contain every one of `ids`."""
    rng = np.random.default_rng(1000 + seed)
    flat = rng.choice(ids, size[0] * size[1]).astype(np.uint8)
    flat[: len(ids)] = ids
    return rng.permutation(flat).reshape(size)


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    """Write an image file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def save_palette(path: Path, pixels: np.ndarray) -> Path:
    """Write ids as a palette PNG whose colours are unlike the ids."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    picture.putpalette(bytes((7 * i + c) % 256 for i in range(256) for c in (50, 90, 130)))
    assert picture.mode == "P"
    picture.save(path)
    return path


def save_png16(path: Path, pixels: np.ndarray, row_filter: int = 0) -> Path:
    """Write uint16[H, W, 3] as a 16-bit colour PNG, which Pillow cannot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = pixels.astype(">u2").view(np.uint8).reshape(pixels.shape[0], -1)
    body = b"".join(
        bytes([row_filter]) + _filtered(rows[y], rows[y - 1] if y else 0 * rows[0], row_filter)
        for y in range(len(rows))
    )
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(body)), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*chunk) for chunk in chunks))
    return path


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _filtered(row: np.ndarray, above: np.ndarray, row_filter: int) -> bytes:
    """PNG row filters of 6-byte pixels: none, sub, up, average, Paeth."""
    left = np.concatenate((np.zeros(6, np.uint8), row[:-6])).astype(int)
    corner = np.concatenate((np.zeros(6, np.uint8), above[:-6])).astype(int)
    up = above.astype(int)
    guess = left + up - corner
    distances = np.stack([abs(guess - left), abs(guess - up), abs(guess - corner)])
    paeth = np.choose(distances.argmin(0), [left, up, corner])
    predicted = (0 * left, left, up, (left + up) // 2, paeth)[row_filter]
    return ((row.astype(int) - predicted) % 256).astype(np.uint8).tobytes()


def truncate(path: Path, share: float = 0.5) -> None:
    """Cut a file short."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def camvid(root: Path, **counts) -> Path:
    """`train=3` makes three frames of that split: two of 0001TP (dusk), the others by day."""
    for split, count in (counts or {"train": 3, "val": 2, "test": 1}).items():
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for index in range(count):
            sequence = "0001TP" if index < 2 else "0006R0"
            name = f"{sequence}_{split}{index}.png"
            save(root / split / name, image(index))
            save(root / f"{split}annot" / name, labels(index, range(12)))
    return root


def gta5(root: Path, count: int = 3) -> Path:
    """Palette label PNGs with every label id from 0 to 34."""
    for index in range(1, count + 1):
        save(root / "images" / f"{index:05d}.png", image(index))
        save_palette(root / "labels" / f"{index:05d}.png", labels(index, range(35)))
    return root


def synthia(root: Path, count: int = 2) -> Path:
    """16-bit colour label PNGs: the class in channel 0, an instance number in channel 1."""
    for index in range(count):
        save(root / "RAND_CITYSCAPES/RGB" / f"{index:07d}.png", image(index))
        ids = labels(index, range(23)).astype(np.uint16)
        pixels = np.stack([ids, 300 + ids, 0 * ids], axis=-1)
        save_png16(root / "RAND_CITYSCAPES/GT/LABELS" / f"{index:07d}.png", pixels, 4)
    return root


def cityscapes(root: Path, labelled=("train", "val")) -> Path:
    """Two cities per split, with the files of gtFine that are not used."""
    for split in ("train", "val"):
        for index, city in enumerate(("aachen", "bremen")):
            stem = f"{city}_00000{index}_000019"
            save(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", image(index))
            if split in labelled:
                folder = root / "gtFine" / split / city
                save(folder / f"{stem}_gtFine_labelIds.png", labels(index, range(34)))
                save(folder / f"{stem}_gtFine_color.png", image(index))
                (folder / f"{stem}_gtFine_polygons.json").write_text("{}")
    return root


def image_folder(root: Path, suffix=".jpg") -> Path:
    """Photos in train (labelled, 3 classes), and extra (unlabelled); a classes.txt."""
    for split, count in (("train", 3), ("extra", 2)):
        for index in range(count):
            save(root / "images" / split / f"photo{index}{suffix}", image(index))
            if split == "train":
                save(root / "labels" / split / f"photo{index}.png", labels(index, (0, 1, 2, 255)))
    (root / "classes.txt").write_text("grass\nwater\nsky\n")
    return root
