"""What all tests share: short paths for what they make, and installations with real processes."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from support import Installation, installed

from khive_supervisor.audit.actions import BY_KIND
from khive_supervisor.sqlite.audit.table import AuditTable

# A machine that is busy gets its time: an example that is slow is no failure. The same code is
# tried with the same examples, so that no change is judged by luck; `--hypothesis-profile explore`
# draws new ones, and more, each time.
hypothesis.settings.register_profile("khive", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("khive")


def pytest_configure(config: pytest.Config) -> None:
    """Interrupts work; tests get a directory with a short name.

    pytest's grows with the number of its runs, and pytest-xdist's is longer: no room for a socket.
    """
    # A shell's background jobs ignore it, and so does what they start; tests interrupt that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.basetemp is None or "PYTEST_XDIST_WORKER" in os.environ:
        config.option.basetemp = Path(tempfile.mkdtemp(prefix="t-"))
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


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


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path leaves room for a socket's name."""
    with tempfile.TemporaryDirectory(prefix="k", dir="/tmp") as name:
        yield Path(name)


@pytest.fixture(scope="session", autouse=True)
def declared_actions() -> Iterator[None]:
    """Whatever a test lets be written to an audit chain has a kind that is declared."""
    append = AuditTable.append

    def checked(self: AuditTable, at: float, kind: str, *args: Any, **more: Any) -> None:
        assert kind in BY_KIND or kind.startswith("test."), f"declare {kind} in audit/actions.py"
        append(self, at, kind, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AuditTable, "append", checked)
        yield
