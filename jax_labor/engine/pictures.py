"""Pictures of a run: label colours, marks on queried pixels, contact sheets with captions."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from etils import epath
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from jax_labor import files
from jax_labor.pixels import encode_png

Colour = tuple[int, int, int]

MARK: Colour = (255, 41, 117)
_PAPER, _INK, _FRAME = (255, 255, 255), (32, 33, 36), (190, 194, 200)
_GAP = 8
_POINTS = 500  # up to so many marks are drawn as circles


@dataclasses.dataclass(frozen=True)
class Panel:
    """One picture of a sheet.

    Attributes:
      picture: uint8[H,W,3], or uint8[H,W] for grey.
      smooth: whether scaling may mix its colours: yes for a photograph, no for label colours.
      marks: bool[H,W], pixels to point out, drawn after scaling; None for none.
      colour: of the marks; uint8[H,W,3] for a colour of its own for each.
    """

    picture: np.ndarray
    smooth: bool = True
    marks: np.ndarray | None = None
    colour: Colour | np.ndarray = MARK


def colourise(label: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Return uint8[H,W,3]: the rows of `palette` uint8[256,3] at `label`, ints [H,W] in 0..255."""
    return np.asarray(palette, np.uint8)[np.asarray(label)]


def overlay_mask(image: np.ndarray, mask: np.ndarray, colour: Colour = MARK) -> np.ndarray:
    """Mark the pixels of `mask` bool[H,W] on a greyed `image` uint8[H,W,3] or [H,W].

    Few pixels are drawn as circles, more as small squares, an area as it is: a single pixel of a
    1024x2048 picture can be seen when the picture fills a screen. Returns uint8[H,W,3].
    """
    return np.asarray(_draw_marks(_rgb(image), np.asarray(mask, bool), colour))


def sheet(
    rows: Sequence[Sequence[Panel | np.ndarray | None]],
    columns: Sequence[str],
    row_names: Sequence[str] | None = None,
    legend: Mapping[str, Colour] | None = None,
    title: str | None = None,
    height: int = 240,
) -> np.ndarray:
    """Lay out pictures in captioned rows and columns.

    Args:
      rows: the pictures by row, as many as `columns`; a bare array stands for a `Panel` of it, None
        leaves its place empty.
      columns: the captions above.
      row_names: the captions to the left.
      legend: class names and their colours, at the bottom.
      title: a line at the top.
      height: of every picture on the sheet, in pixels.

    Returns:
      uint8[H,W,3].
    """
    if any(len(row) != len(columns) for row in rows):
        raise ValueError(f"every row needs {len(columns)} pictures, as there are captions")
    font = _font(max(13, height // 17))
    drawn = [[_draw_panel(item, height) for item in row] for row in rows]
    names = [_text(name, font) for name in row_names or [""] * len(rows)]
    captions = [_text(name, font) for name in columns]
    left = max(name.width for name in names)
    widths = [max(item.width for item in column) for column in zip(captions, *drawn, strict=True)]
    grid = [_beside([_text("", font), *captions], [left, *widths])]
    for name, row in zip(names, drawn, strict=True):
        grid.append(_beside([name, *row], [left, *widths]))
    if title:
        grid.insert(0, _text(title, _font(max(15, height // 14))))
    if legend:
        grid.append(_legend(legend, font, grid[-1].width))
    return np.asarray(_below(grid))


def save_sheet(path: epath.PathLike, *args, **kwargs) -> np.ndarray:
    """Write `sheet(*args, **kwargs)` to `path` as PNG, whole or not at all; returns the picture."""
    picture = sheet(*args, **kwargs)
    save_png(path, picture)
    return picture


def save_png(path: epath.PathLike, picture: np.ndarray) -> None:
    """Write uint8[H,W,3] or uint8[H,W] to `path`, whole or not at all."""
    files.write_bytes(path, encode_png(picture))


def _rgb(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(picture, np.uint8)).convert("RGB")


def _draw_panel(item: Panel | np.ndarray | None, height: int) -> Image.Image:
    if item is None:
        return Image.new("RGB", (1, height), _PAPER)
    panel = item if isinstance(item, Panel) else Panel(item)
    picture = _rgb(panel.picture)
    size = (max(1, round(picture.width * height / picture.height)), height)
    filters = Image.Resampling
    picture = picture.resize(size, filters.LANCZOS if panel.smooth else filters.NEAREST)
    if panel.marks is not None:
        picture = _draw_marks(picture, np.asarray(panel.marks, bool), panel.colour)
    ImageDraw.Draw(picture).rectangle((0, 0, size[0] - 1, size[1] - 1), outline=_FRAME)
    return picture


def _draw_marks(
    picture: Image.Image, marks: np.ndarray, colour: Colour | np.ndarray
) -> Image.Image:
    """Mark pixels, given at any resolution, on `picture`, made grey so that they stand out."""
    grey = picture.convert("L").convert("RGB")
    picture = Image.blend(grey, Image.new("RGB", picture.size, (128, 128, 128)), 0.25)
    ys, xs = np.nonzero(marks)
    colours = np.broadcast_to(np.asarray(colour, np.uint8), (*marks.shape, 3))[ys, xs]
    # Centres of the marked pixels, in pixels of the picture.
    y = ((ys + 0.5) * picture.height / marks.shape[0]).astype(int)
    x = ((xs + 0.5) * picture.width / marks.shape[1]).astype(int)
    if len(ys) <= _POINTS:
        return _draw_points(picture, y, x, colours)
    if marks.shape[0] < picture.height:
        # Enlarged: each pixel is a square, not a dot in the middle of one.
        y, x, shape, width = ys, xs, marks.shape, 1
    else:
        shape = picture.height, picture.width
        few = len(np.unique(y * shape[1] + x)) < 0.02 * shape[0] * shape[1]
        width = 1 + 2 * max(1, shape[0] // 400) if few else 1
    kinds, kind = np.unique(colours, axis=0, return_inverse=True)
    for number, fill in enumerate(kinds.tolist()):
        stamp, own = np.zeros(shape, np.uint8), kind.ravel() == number
        stamp[y[own], x[own]] = 255
        mask = Image.fromarray(stamp).filter(ImageFilter.MaxFilter(width))
        picture.paste(tuple(fill), (0, 0), mask.resize(picture.size, Image.Resampling.NEAREST))
    return picture


def _draw_points(picture: Image.Image, ys, xs, colours: np.ndarray) -> Image.Image:
    radius = max(2, round(picture.height / 80))
    pen = ImageDraw.Draw(picture)
    # A white rim keeps a circle apart from what it lies on; all rims first, to hide no circle.
    rims = np.broadcast_to(_PAPER, colours.shape)
    for reach, fills in ((radius + 1, rims), (radius, colours)):
        for y, x, fill in zip(ys.tolist(), xs.tolist(), fills.tolist(), strict=True):
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), tuple(fill))
    return picture


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The font of the plots; Pillow's own draws boxes for all letters but English ones."""
    import matplotlib  # every start imports this module, and few wait for a sheet

    return ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def _text(words: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw one line; its height depends on the font only, so that lines stand level."""
    words = "".join(letter if letter.isprintable() else "\ufffd" for letter in words)
    size = (round(font.getlength(words)) + 1 if words else 1, sum(font.getmetrics()))
    picture = Image.new("RGB", size, _PAPER)
    ImageDraw.Draw(picture).text((0, 0), words, fill=_INK, font=font)
    return picture


def _beside(pictures: Sequence[Image.Image], widths: Sequence[int]) -> Image.Image:
    """Set pictures in columns of `widths`, in the middle of each and of the row's height."""
    height = max(picture.height for picture in pictures)
    row = Image.new("RGB", (sum(widths) + _GAP * (len(widths) - 1), height), _PAPER)
    x = 0
    for picture, width in zip(pictures, widths, strict=True):
        row.paste(picture, (x + (width - picture.width) // 2, (height - picture.height) // 2))
        x += width + _GAP
    return row


def _below(pictures: Sequence[Image.Image]) -> Image.Image:
    width = max(picture.width for picture in pictures) + 2 * _GAP
    height = sum(picture.height + _GAP for picture in pictures) + _GAP
    page, y = Image.new("RGB", (width, height), _PAPER), _GAP
    for picture in pictures:
        page.paste(picture, (_GAP, y))
        y += picture.height + _GAP
    return page


def _legend(legend: Mapping[str, Colour], font: ImageFont.FreeTypeFont, width: int):
    """Draw a patch and a name per class, in lines of at most `width` pixels."""
    lines, room = [[]], 0
    for name, colour in legend.items():
        words = _text(name, font)
        patch = Image.new("RGB", (words.height, words.height - 4), colour)
        ImageDraw.Draw(patch).rectangle((0, 0, patch.width - 1, patch.height - 1), outline=_FRAME)
        entry = _beside([patch, words], [patch.width, words.width])
        if lines[-1] and room + entry.width > width:
            lines.append([])
            room = 0
        lines[-1].append(entry)
        room += entry.width + 2 * _GAP
    return _below([_beside(line, [entry.width + _GAP for entry in line]) for line in lines])
