"""Imports go down a floor, never up: reads the import statements of every module."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = [
    {"jax_labor", "jax_labor.errors"},
    {"jax_labor.classes", "jax_labor.files", "jax_labor.log", "jax_labor.pixels"}
    | {"jax_labor.command_line", "jax_labor.plots", "jax_labor.tables"},
    {"jax_labor.ops", "jax_labor.data", "jax_labor.labels"},
    {"jax_labor.models"},
    {"jax_labor.steps"},
    {"jax_labor.engine"},
    {"jax_labor.experiments"},
    {"launch"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
# Rooms that know nothing of each other although one stands higher.
STRANGERS = [
    {"jax_labor.models", "jax_labor.data"},
    {"jax_labor.models", "jax_labor.labels"},
    {"jax_labor.engine", "jax_labor.models"},
    {"jax_labor.engine", "jax_labor.data"},
    {"jax_labor.engine", "jax_labor.labels"},
    {"jax_labor.engine", "jax_labor.steps"},
    {"jax_labor.steps", "jax_labor.data"},
    {"jax_labor.steps", "jax_labor.labels"},
]
MODULES = sorted(
    [*ROOT.glob("jax_labor/**/*.py"), *ROOT.glob("launch/*.py"), *ROOT.glob("configs/*.py")]
)


def room(module: str) -> str:
    """The room a dotted module name lies in."""
    parts = module.split(".")
    return parts[0] if parts[0] != "jax_labor" else ".".join(parts[:2])


def imports(path: Path) -> set[str]:
    """Every module that the file imports, functions' bodies included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found |= (
                {f"{node.module}.{a.name}" for a in node.names}
                if node.module == "jax_labor"
                else {node.module}
            )
    return found


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down(path):
    here = room(module_of(path))
    for name in imports(path):
        there = room(name)
        if name.split(".")[0] in ("tensorflow", "clu"):
            pytest.fail(f"{path} imports {name}")
        if here in ("jax_labor.data", "jax_labor.labels"):
            assert name.split(".")[0] not in ("jax", "flax", "optax"), f"{path} imports {name}"
        if here.startswith("jax_labor"):
            assert name.split(".")[0] != "configs", f"{path} knows a card"
        if here == "configs":
            assert name.split(".")[0] in ("configs", "ml_collections", "difflib"), name
        elif there in FLOOR and there != here:
            assert FLOOR[there] < FLOOR[here], f"{here} must not import {name}"
            assert {here, there} not in STRANGERS, f"{here} must not know {name}"


def test_our_log_is_not_that_of_absl():
    # A run lets only errors through from absl's.
    speak = [path.name for path in MODULES if "from absl import logging" in path.read_text()]
    assert not speak


@pytest.mark.parametrize(
    "room_name", ["data.catalogue", "labels.ledger", "labels.page.serve", "labels.exchange"]
)
def test_rooms_without_jax(room_name):
    code = f"import sys, jax_labor.{room_name}; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
