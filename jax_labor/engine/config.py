"""The configuration beside the checkpoints: a resume with another one is refused with a diff."""

from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from jax_labor import files
from jax_labor.errors import UserError

_ABSENT = object()


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by dotted name; an empty mapping is a leaf."""
    leaves = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            leaves |= flatten(value, f"{name}.")
        else:
            leaves[name] = value
    return leaves


def differences(old: Mapping, new: Mapping, free: Sequence[str] = ()) -> list[str]:
    """Return one line per leaf that differs and is not `free`: `- a.b: was 1, now 2`."""
    before, after = flatten(files.plain(old)), flatten(files.plain(new))
    lines = []
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name, _ABSENT), after.get(name, _ABSENT)
        if was != now and not _is_free(name, free):
            lines.append(f"- {name}: was {_show(was)}, now {_show(now)}")
    return lines


def check_config(
    workdir: epath.PathLike, config: Mapping[str, Any], free: Sequence[str] = ()
) -> None:
    """Compare with `workdir/config.json`, where there is one.

    Args:
      workdir: the work directory.
      config: nested mappings with JSON-like leaves (`ConfigDict.to_dict()`).
      free: dotted names, or prefixes of them (`log` frees `log.every`), that may change.

    Raises:
      UserError: with a line per difference outside `free`; or there is none, but there are
        checkpoints or rounds, which were made with settings that nobody knows.
    """
    path = _path(workdir)
    if not path.exists():
        _check_fresh(epath.Path(workdir))
    else:
        what = "this workdir was started with another configuration"
        remedy = "Choose another --workdir, go back to the old settings, or pass --force"
        check_same(path, config, what, remedy, free)


def check_same(
    path: epath.Path, content: Mapping, what: str, remedy: str, free: Sequence[str] = ()
) -> None:
    """Compare `content` with that of the JSON file `path`.

    Args:
      path: the file.
      content: nested mappings with JSON-like leaves.
      what: says in the error what else than `content` there is.
      remedy: ends the error.
      free: as in `check_config`.

    Raises:
      UserError: with a line per difference outside `free`.
    """
    changed = differences(files.read_object(path), content, free)
    if changed:
        raise UserError("\n".join([f"{path}: {what}:", *changed, remedy]))


def write_config(workdir: epath.PathLike, config: Mapping[str, Any]) -> None:
    """Write `workdir/config.json`, in the place of one that is there."""
    files.write_json(_path(workdir), config)


def _check_fresh(workdir: epath.Path) -> None:
    for name in ("checkpoints", "rounds"):
        if (workdir / name).exists() and any((workdir / name).glob("[0-9]*")):
            raise UserError(
                f"{_path(workdir)} is missing, but there are {name}, made with settings that it"
                " alone tells: restore it, choose another --workdir, or pass --force to go on from"
                " them with these settings"
            )


def _path(workdir: epath.PathLike) -> epath.Path:
    return epath.Path(workdir) / "config.json"


def _is_free(name: str, free: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in free)


def _show(value: Any) -> str:
    return "absent" if value is _ABSENT else str(value)
