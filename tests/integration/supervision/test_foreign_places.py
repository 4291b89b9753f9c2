"""Directories that others can write, and another user's home: refused in words, nothing made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from support import DEADLINE, Installation

from khive_supervisor import exitcodes


@pytest.mark.parametrize(
    "which", ["data", *(pytest.param(name, marks=pytest.mark.long) for name in ("state", "config"))]
)
def test_no_start_where_others_can_write(khive: Installation, which: str) -> None:
    khive.configure('[embedder]\nkind = "none"\n')
    place = {
        "data": khive.home / ".local/share/khive",
        "state": khive.home / ".local/state",
        "config": khive.home / ".config/khive/khive.toml",
    }[which]
    if which != "config":
        place.mkdir(parents=True)
    place.chmod(0o777)
    refused = khive.run("start", "--background", code=exitcodes.BOOT_FAILURE)
    assert f"chmod go-w {place}" in refused.stderr
    told = khive.run("doctor", code=exitcodes.UNHEALTHY)
    assert f"chmod go-w {place}" in told.stdout
    place.chmod(0o755 if place.is_dir() else 0o644)
    khive.start()


@pytest.mark.parametrize("words", [("recall", "x"), ("remember", "x"), ("start",), ("attach",)])
def test_root_writes_nothing_into_the_home_of_another(
    khive: Installation, tmp_path: Path, words: tuple[str, ...]
) -> None:
    if os.geteuid():
        return  # nobody else can; what decides is in test_places
    home = tmp_path / "theirs"
    home.mkdir()
    os.chown(home, 65534, 65534)
    done = subprocess.run(
        [*khive.argv, *words],
        env={**khive.env, "HOME": str(home)},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode in (exitcodes.BOOT_FAILURE, exitcodes.PERMANENT)
    assert "sudo -H" in done.stderr
    assert list(home.iterdir()) == []
