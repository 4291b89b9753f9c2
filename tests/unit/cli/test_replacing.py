"""Which supervisor is of this environment: only that one is replaced without being asked for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from khive_supervisor.cli.service.replacing import is_of_this_environment


@pytest.mark.parametrize(("prefix", "ours"), [(sys.prefix, True), ("/another", False)])
def test_a_supervisor_says_where_it_is_from(prefix: str, ours: bool) -> None:
    assert is_of_this_environment({"pid": 1, "prefix": prefix}) is ours


@pytest.mark.parametrize("ours", [True, False])
def test_the_first_release_is_known_by_its_interpreter(tmp_path: Path, ours: bool) -> None:
    executable = Path(sys.executable)
    if not ours:
        # Another environment: its interpreter is a link to the same program.
        executable = tmp_path / "bin" / "python"
        executable.parent.mkdir()
        executable.symlink_to(Path(sys.executable).resolve())
    argv = [str(executable), "-c", "print(1, flush=True); input()"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert is_of_this_environment({"pid": process.pid}) is ours
        process.communicate(b"\n")
