"""Benchmarks are run by hand: here only that what they import and define is there."""

import runpy
import sys
from pathlib import Path

import pytest

BENCHMARKS = sorted((Path(__file__).parent / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_a_benchmark_can_be_loaded(path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert runpy.run_path(str(path), run_name="benchmark")["__doc__"]
