"""The pictures of README and documents: made without an error, from a store of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support import DEADLINE, ROOT

pytestmark = pytest.mark.browser

SCREENSHOTS = {path.name for path in (ROOT / "docs" / "pictures").glob("*.png")}


def made(program: str, target: Path, place: Path) -> None:
    """Run one of the scripts that make pictures; whatever it needs besides lies in a place."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / program), str(target)],
        env={**os.environ, "TMPDIR": str(place), "PATH": path},
        capture_output=True, text=True, timeout=2 * DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a short name, since sockets lie below it."""
    return tmp_path_factory.mktemp("p")


@pytest.mark.usefixtures("browser")
def test_pages_are_pictured_without_an_error_in_the_console(place: Path) -> None:
    made("screenshots.py", place / "pictures", place)
    assert {one.name for one in (place / "pictures").iterdir()} == SCREENSHOTS


def test_a_terminal_is_recorded(place: Path) -> None:
    made("record.py", place / "session.svg", place)
    shown, drawn = ((one / "session.svg").read_text() for one in (ROOT / "docs", place))
    assert shown.count("<g") == drawn.count("<g")
