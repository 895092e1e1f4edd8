"""Fixtures for the tests of real programs: a daemon and a small model."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]


def _load(path: Path) -> Any:
    """Both directories have a conftest.py: the other is loaded by its path."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


_python = _load(TESTS / "python" / "conftest.py")
Daemon = _python.Daemon
wait_until = _python.wait_until
daemon = _python.daemon
_no_settings_of_the_user = _python._no_settings_of_the_user


@pytest.fixture(scope="session")
def model() -> Any:
    """A TinyModel, created once below the build directory."""
    from tiny_model import tiny_model

    return tiny_model(Path(os.environ.get("FCACHE_BUILD", TESTS.parent / "build")) / "clients")
