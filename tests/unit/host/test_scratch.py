"""Directories for a moment, and what killed processes have left of theirs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from support import ROOT, wait_until

from khive_supervisor.host.scratch import scratch, tidy

#: Makes one, writes into it, says so, and waits to be killed.
LEAVES = """import sys, signal
from khive_supervisor.host.scratch import scratch
with scratch() as directory:
    open(directory + "/file", "w").close()
    print(directory, flush=True)
    signal.pause()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_there_for_a_moment_and_for_its_user_alone(place: Path) -> None:
    with scratch() as directory:
        assert Path(directory).parent == place
        assert Path(directory).stat().st_mode & 0o777 == 0o700
        tidy()
        assert Path(directory).is_dir()
    assert list(place.iterdir()) == []


def test_what_a_killed_process_has_left_goes_with_the_next(place: Path) -> None:
    foreign = [place / name for name in ("khive-scratch-x-1", "khive-scratch", "other")]
    for one in foreign:
        one.mkdir()
    left = subprocess.Popen(
        [sys.executable, "-c", LEAVES],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(place)},
    )
    assert left.stdout is not None
    directory = Path(left.stdout.readline().strip())
    tidy()
    assert (directory / "file").exists()
    left.send_signal(signal.SIGKILL)
    left.wait()
    left.stdout.close()
    with scratch():
        wait_until(lambda: not directory.exists(), "what was left is gone")
    assert sorted(place.iterdir()) == sorted(foreign)


def test_a_link_is_not_followed(place: Path) -> None:
    kept = place / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (place / "khive-scratch-999999999-a").symlink_to(kept)
    tidy()
    assert (kept / "file").exists()
