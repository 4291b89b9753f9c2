"""Fixtures of the tests with real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import Installation, installed


@pytest.fixture
def khive(tmp_path: Path) -> Iterator[Installation]:
    """An installation of the test's own; nothing runs in it yet."""
    with installed(tmp_path / "h") as installation:
        yield installation


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A running supervisor for tests that leave it as it was."""
    with installed(tmp_path_factory.mktemp("s") / "h") as installation:
        installation.start()
        yield installation
