"""What all tests share: a short path for what they make."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Tests that run beside others get a directory of their own with a short name.

    pytest-xdist's is longer than what leaves room for a socket below it.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is not None:
        config.option.basetemp = Path(tempfile.mkdtemp(prefix=f"t-{worker}-"))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        shutil.rmtree(config.option.basetemp, ignore_errors=True)
