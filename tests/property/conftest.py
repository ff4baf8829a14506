"""The reference model and the machine, loaded by their paths: `tests` is no package."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rekindle_property_{name}", Path(__file__).parent / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reference_model() -> ModuleType:
    """`model.py`: what should happen."""
    return _load("model")


@pytest.fixture
def new_machine(
    world_module: ModuleType, reference_model: ModuleType, empty_warehouse: Path, tmp_path: Path
) -> Callable[[], type[Any]]:
    """Makes machine classes (see `machine.py`)."""
    machine = _load("machine")
    return lambda: machine.machine_class(world_module, reference_model, empty_warehouse, tmp_path)
