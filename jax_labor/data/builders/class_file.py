"""The classes file beside a user's own data: `classes.json` or `classes.txt`."""

import colorsys
import json
from pathlib import Path

from jax_labor.classes import IGNORE, OWN, ClassTable, get_table, is_own, own_or_named
from jax_labor.errors import UserError, about, unknown

FORMAT = """classes.json: {"classes": ["road", "car"], "colors": [[128, 64, 128], [0, 0, 142]]}
    (colors and "ignore", the ids to ignore, 255 by default, may be left out)
  or classes.txt: one name per line; line N is label id N, counted from 0"""
_ENTRIES = ("classes", "colors", "ignore")


def choose_table(root: Path, classes: str, labelled: bool) -> ClassTable:
    """The table called `classes`, or that of the classes file in `root` where `is_own`.

    Raises:
      UserError: there is no such table or file, or the file cannot be understood, or lists other
        classes than the named table although the data is `labelled`.
    """
    own = read_class_file(root)
    if own is not None and (labelled or is_own(classes)):
        remedy = f"set classes to '{OWN}' or mend the file"
        return own_or_named(classes, own, own.source, remedy)
    if is_own(classes):
        raise UserError(f"there is no classes.json or classes.txt in {root}. Expected\n  {FORMAT}")
    return get_table(classes)


def read_class_file(root: Path) -> ClassTable | None:
    """Table of the classes file in `root`; None when there is none.

    Label ids on disk are the positions in the list.

    Raises:
      UserError: the file cannot be understood; the message says what is wrong with which file.
    """
    as_json, as_text = root / "classes.json", root / "classes.txt"
    if as_json.is_file():
        path, fields = as_json, _parse_json(as_json)
    elif as_text.is_file():
        path, fields = as_text, _parse_text(as_text)
    else:
        return None
    try:
        return _table(root.resolve().name, fields, path)
    except UserError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: cannot be understood ({error!r}). Expected\n  {FORMAT}") from None


def _parse_json(path: Path) -> dict:
    try:
        fields = json.loads(_read(path))
    except ValueError as error:
        raise UserError(f"{path}: is not valid JSON ({error})") from None
    if not isinstance(fields, dict):
        raise UserError(f"{path}: a JSON object is needed. Expected\n  {FORMAT}")
    return fields


def _parse_text(path: Path) -> dict:
    names = [line.strip() for line in _read(path).rstrip().splitlines()]
    if "" in names:
        raise UserError(
            f"{path}: an empty line stands where label id {names.index('')} has its name; write one"
            " there, or remove the line and the ids below it are one less"
        )
    return {"classes": names}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors begin with a mark
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: is not UTF-8 ({error}); save it as UTF-8") from None


def _table(name: str, fields: dict, path: Path) -> ClassTable:
    names = fields["classes"]
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        raise UserError(f'{path}: "classes" must be a list of names. Expected\n  {FORMAT}')
    if strange := sorted(fields.keys() - set(_ENTRIES)):
        with about(path):
            raise unknown("entry", strange[0], _ENTRIES)
    names = tuple(names)
    colors = fields.get("colors") or [_color(index) for index in range(len(names))]
    if wrong := [part for color in colors for part in color if type(part) is not int]:
        raise UserError(f'{path}: "colors" are whole numbers from 0 to 255; {wrong[0]!r} is none')
    ignored = fields.get("ignore", IGNORE)
    ignored = ignored if isinstance(ignored, list) else [ignored]
    if wrong := [each for each in ignored if type(each) is not int or not 0 <= each < 2**16]:
        raise UserError(f'{path}: "ignore" is ids from 0 to 65535; {wrong[0]!r} is none')
    return ClassTable(
        name=name,
        names=names,
        colors=tuple((r, g, b) for r, g, b in colors),
        ids=tuple(range(len(names))),
        ignored_ids=tuple(sorted({*ignored, IGNORE})),
        source=str(path),
    )


def _color(index: int) -> tuple[int, int, int]:
    """The golden ratio spreads hues so that neighbours in the list differ most."""
    hue = (index * 0.618034) % 1.0
    value = (1.0, 0.75, 0.5)[index % 3]
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.7, value))
