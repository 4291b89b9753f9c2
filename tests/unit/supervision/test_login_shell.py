"""What a login shell says, whatever its files do; and what becomes of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from khive_supervisor.supervision.roles import environment as login_shell


def _shell(tmp_path: Path, body: str) -> str:
    """A program that is called as a login shell is: -l -c SCRIPT."""
    program = tmp_path / "shell"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


#: What shells' files do, in the place of `-l`, and whether there is an answer.
BODIES = {
    "nothing": ('exec sh -c "$3"', True),
    "junk before": ('echo welcome; printf "\\0A=B\\0"; exec sh -c "$3"', True),
    "junk after": ('sh -c "$3"; echo bye; printf "\\0A=B\\0"', True),
    "on stderr": ('echo oops >&2; exec sh -c "$3"', True),
    "reads its input": ('read -r x; exec sh -c "$3"', True),
    "leaves a process": ('sleep 600 & exec sh -c "$3"', True),
    "fails in the end": ('sh -c "$3"; exit 3', True),
    "is silent": ("exit 0", False),
    "fails": ("exit 1", False),
    "kills itself": ("kill -9 $$", False),
    "is cut": ('sh -c "$3" | head -c 60', False),
}


@pytest.mark.parametrize("body", BODIES)
def test_what_a_shell_says_is_understood(tmp_path: Path, body: str) -> None:
    text, answers = BODIES[body]
    shell = _shell(tmp_path, f'export FOUND="a\nb" PATH=/found:/usr/bin:/bin; {text}')
    login = login_shell.ask(shell, str(tmp_path))
    assert (not login.problem) is answers
    assert (login.variables.get("FOUND") == "a\nb") is answers
    if answers:
        assert login.variables["HOME"] == str(tmp_path)
        assert "PYTEST_CURRENT_TEST" not in login.variables


def test_a_shell_that_hangs_is_ended(tmp_path: Path) -> None:
    login = login_shell.ask(_shell(tmp_path, "exec sleep 600"), str(tmp_path), deadline=0.05)
    assert "took longer than 0.05 s" in login.problem


@pytest.mark.parametrize("shell", ["/no/such/shell", "/etc/passwd", "/bin/false"])
def test_what_is_no_shell_is_said(tmp_path: Path, shell: str) -> None:
    login = login_shell.ask(shell, str(tmp_path))
    assert shell in login.problem
    assert not login.variables


def test_the_shells_word_counts_but_for_the_supervisors_own_affairs() -> None:
    own = {
        "PATH": "/client:/usr/bin:.", "LANG": "C", "HOME": "/home/me", "KHIVE_SOCKET": "/s",
        "ONLY": "client's", "PYTHONPATH": "/own",
    }  # fmt: skip
    login = {
        "PATH": "/nvm:/usr/bin::bin", "LANG": "de_AT.UTF-8", "HOME": "/elsewhere", "KEY": "k",
        "KHIVE_SOCKET": "/x", "XDG_DATA_HOME": "/x", "PYTHONPATH": "/x", "SHLVL": "1",
    }  # fmt: skip
    merged = login_shell.merged(own, login, ["~/bin", "/first"])
    assert merged == {
        **own, "LANG": "de_AT.UTF-8", "KEY": "k",
        "PATH": f"{os.path.expanduser('~')}/bin:/first:/nvm:/usr/bin:/client",
    }  # fmt: skip
    assert login_shell.usual(merged) == {"LANG": "de_AT.UTF-8", "PATH": merged["PATH"]}


def test_without_a_shell_it_is_as_the_supervisor_was_started() -> None:
    assert login_shell.merged({"PATH": "/a:/b", "X": "y"}, {}, []) == {"PATH": "/a:/b", "X": "y"}
