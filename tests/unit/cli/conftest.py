"""Commands that run in this process, on a store of the test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from khive_supervisor.cli.main import cli


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without a supervisor, and the directory that the commands are given in."""
    for name, value in (("HOME", str(tmp_path)), ("KHIVE_NO_DAEMON", "1")):
        monkeypatch.setenv(name, value)
    (tmp_path / "khive.toml").write_text('[embedder]\nkind = "none"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def khive(home: Path) -> Callable[..., Result]:
    """Runs a command of one word; whatever it raises fails the test, unless a code is expected."""

    def run(*words: str, code: int = 0, given: str | bytes | None = None) -> Result:
        config = ("--config", str(home / "khive.toml"))
        done = CliRunner().invoke(cli, [*words[:1], *config, *words[1:]], input=given)
        if code == 0:
            assert done.exception is None, done.output
        return done

    return run
