"""Benchmarks are run by hand; what they import must not move away unseen."""

import importlib
import pkgutil

import pytest

import benchmarks


@pytest.mark.parametrize(
    "name", [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name != "__main__"]
)
def test_a_benchmark_can_be_imported(name):
    importlib.import_module(f"benchmarks.{name}")
