"""How a run ends: `results.json`."""

import datetime
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

import jax
from etils import epath

from jax_labor import files

_PACKAGES = ("jax_labor", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that numbers depend on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    """Say which version is installed; the project itself also runs from its source alone."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def write_results(workdir: epath.PathLike, results: Mapping[str, Any]) -> dict[str, Any]:
    """Write `workdir/results.json` and return its content.

    Adds to `results` (mIoU, IoU by class, pixels, seconds, seed ...) the UTC date, the versions,
    and the kind and number of devices and processes. NaN becomes null.
    """
    content = {
        **results,
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "devices": {
            "kind": jax.devices()[0].device_kind,
            "count": jax.device_count(),
            "processes": jax.process_count(),
        },
        "versions": versions(),
    }
    files.write_json(epath.Path(workdir) / "results.json", content)
    return files.plain(content)
