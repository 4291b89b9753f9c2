"""An entry in an editor: what it is given, and what becomes of what it leaves."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from khive_supervisor.cli.curation.edit import edited
from khive_supervisor.errors import InvalidInput, KhiveError


def editor(folder: Path, script: str) -> dict[str, str]:
    program = folder / "editor"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"EDITOR": f"{program} --wait"}


def test_what_is_saved_comes_back_and_the_file_is_gone(tmp_path: Path) -> None:
    environment = editor(tmp_path, f'echo "$2" > {tmp_path}/name; echo more >> "$2"')
    assert edited("text\n", environment) == "text\nmore\n"
    assert not Path((tmp_path / "name").read_text().strip()).exists()


def test_the_file_is_the_users_alone(tmp_path: Path) -> None:
    environment = editor(tmp_path, f'cp -p "$2" {tmp_path}/copy')
    edited("secret", environment)
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600


def test_visual_comes_first(tmp_path: Path) -> None:
    environment = editor(tmp_path, 'echo visual > "$2"')
    assert edited("", {"VISUAL": environment["EDITOR"], "EDITOR": "false"}) == "visual\n"


def test_an_editor_that_fails_changes_nothing(tmp_path: Path) -> None:
    with pytest.raises(KhiveError, match="ended with 3; nothing was changed"):
        edited("text", editor(tmp_path, "exit 3"))
    with pytest.raises(KhiveError, match="could not be started"):
        edited("text", {"EDITOR": str(tmp_path / "no-such-editor")})


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        edited("text", editor(tmp_path, "printf '\\377' > \"$2\""))
