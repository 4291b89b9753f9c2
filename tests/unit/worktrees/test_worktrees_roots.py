"""Where tasks may be done: whatever is named is judged by what it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from khive_supervisor.errors import Denied, InvalidInput, NoPlace
from khive_supervisor.worktrees import roots


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a repository that has a linked worktree, a plain folder, and hidden ones."""
    made = tmp_path / "home"
    for name in ("plain/inner", "other", ".ssh", "project/sub", "elsewhere"):
        (made / name).mkdir(parents=True)
    monkeypatch.setenv("HOME", str(made))
    for words in (
        ("init", "-q", "project"),
        ("-C", "project", "-c", "user.name=n", "-c", "user.email=n@example.org",
         "commit", "-q", "--allow-empty", "-m", "first"),
        ("-C", "project", "worktree", "add", "-q", str(made / "linked")),
    ):  # fmt: skip
        subprocess.run(["git", *words], cwd=made, check=True, env={**os.environ, "HOME": str(made)})
    (made / "project" / "way-out").symlink_to(made / "other")
    (made / "project" / "way-in").symlink_to(made / "project" / "sub")
    return made


#: (the session's directory, what it names, whether that is allowed)
CASES = [
    ("project", "project", True),
    ("project", "project/sub", True),
    ("project/sub", "project", True),
    ("project/sub", "project/sub/..", True),
    ("project", "project/way-in", True),
    ("project", "linked", True),
    ("linked", "project/sub", True),
    ("project", "project/way-out", False),
    ("project", "project/../other", False),
    ("project", "other", False),
    ("project", ".ssh", False),
    ("project", ".", False),
    ("plain", "plain/inner", True),
    ("plain/inner", "plain", False),
    ("plain", "other", False),
    (".", "plain", True),
    (".", ".ssh", False),
    ("..", "plain", False),
    ("project", "/etc", False),
    ("project", "/usr/lib", False),
    ("project", "/", False),
    ("project", "/proc/self/cwd", False),
    ("project", "/proc/self/root", False),
    ("project", "/dev/fd", False),
    ("/etc", "/etc", False),
    ("/", "/etc", False),
    ("/", "project", False),
    ("/proc/self/cwd", "/tmp", False),
]


@pytest.mark.parametrize(("session", "asked", "allowed"), CASES)
def test_a_task_is_done_in_the_callers_project(
    home: Path, session: str, asked: str, *, allowed: bool
) -> None:
    here, there = os.path.join(home, session), os.path.join(home, asked)
    if allowed:
        assert roots.resolve(there, here, []) == os.path.realpath(there)
        return
    with pytest.raises(Denied) as caught:
        roots.resolve(there, here, [])
    assert 'roots = ["' in caught.value.hint or "your own" in caught.value.hint


def test_the_users_configuration_allows_more(home: Path) -> None:
    session = str(home / "project")
    for allowed in ("~/other", str(home / "other"), "~/project/way-out"):
        assert roots.resolve(str(home / "other"), session, [allowed]) == str(home / "other")
    with pytest.raises(Denied) as caught:
        roots.resolve(str(home / "other"), session, ["~/othe", "", "~/other/x"])
    assert 'roots = ["~/other"]' in caught.value.hint


def test_no_other_users_directory_whatever_the_configuration_says(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: somebody)
    with pytest.raises(Denied, match="belongs to uid"):
        roots.resolve(str(home / "other"), str(home / "project"), ["~/other"])


@pytest.mark.parametrize("asked", ["relative", "", "/nowhere/at/all", "/etc/passwd", "/a\0b"])
def test_what_is_no_directory_is_said(home: Path, asked: str) -> None:
    with pytest.raises(InvalidInput, match="absolute path"):
        roots.resolve(asked, str(home / "project"), [])


def test_what_has_become_a_link_meanwhile_is_not_worked_in(home: Path) -> None:
    assigned = roots.resolve(str(home / "project/sub"), str(home / "project"), [])
    roots.check_again(assigned)
    os.rename(assigned, f"{assigned}-moved")
    with pytest.raises(NoPlace, match="cannot be opened"):
        roots.check_again(assigned)
    os.symlink(home / ".ssh", assigned)
    with pytest.raises(NoPlace, match="cannot be opened"):
        roots.check_again(assigned)
    os.unlink(assigned)
    os.rename(home / "project", home / "moved")
    os.symlink(home / "moved", home / "project")
    with pytest.raises(NoPlace):
        roots.check_again(str(home / "project"))
    with pytest.raises(NoPlace, match="not what it was"):
        roots.check_again(f"{assigned}-moved")
