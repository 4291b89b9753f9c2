"""What a command says of settings that it does not take, since a project may have made them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from khive_supervisor.cli.connection import trust
from khive_supervisor.cli.main import cli
from khive_supervisor.host import repository


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (repository.URL, "`store.url` in your own configuration"),
        ("KHIVE_CONFIG", "khive.toml leads into the project of this directory"),
    ],
)
def test_it_says_why_a_setting_was_not_taken(
    name: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = tmp_path / "project"
    (project / ".git").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    values = {repository.URL: "postgresql://user:hidden@db/khive"}
    monkeypatch.setenv(name, values.get(name, str(project / "khive.toml")))
    monkeypatch.chdir(project)
    command = click.Context(cli, obj=trust.distrust())
    with command:
        assert [said for said, _ in trust.ignored(None)] == [name]
        trust.ignored(None)
    told = capsys.readouterr().err
    assert told.count(f"{name} was not taken: ") == 1, "told once"
    assert said in told
    assert "hidden" not in told
