"""A real jj for tests, and repositories that it makes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

#: What each of a user's own calls says; they are people's, so their configuration is read.
PLAINLY = ("--no-pager", "--color=never", "--quiet")
CONFIGURATION = '[user]\nname = "Ada Lovelace"\nemail = "ada@example.com"\n'


def real_jj() -> str:
    """The path of a real jj; a test without one is skipped."""
    named = os.environ.get("KHIVE_TEST_JJ")
    found = shutil.which("jj" if named is None else named) if named != "" else None
    if found is None:
        pytest.skip("there is no jj: put one on PATH, or name it in KHIVE_TEST_JJ")
    return found


class JjBench:
    """A jj repository of a caller, and a place for tasks."""

    def __init__(self, top: Path, jj: str, *, colocated: bool) -> None:
        (top / "bin").mkdir()
        (top / "bin" / "jj").symlink_to(jj)
        self.environ = {"PATH": f"{top}/bin:{os.environ['PATH']}", "HOME": str(top)}
        (top / ".config" / "jj").mkdir(parents=True)
        (top / ".config" / "jj" / "config.toml").write_text(CONFIGURATION)
        self.repository = top / "repository"
        self.work = str(top / "state" / "work")
        self.repository.mkdir()
        self.run("git", "init", "--colocate" if colocated else "--no-colocate")
        (self.repository / "file").write_text("one\n")
        (self.repository / "sub").mkdir()
        (self.repository / "sub" / "two").write_text("two\n")

    def run(self, *words: str, cwd: Path | str | None = None) -> str:
        """What jj prints for its user."""
        done = subprocess.run(
            ["jj", *PLAINLY, *words],
            cwd=cwd or self.repository,
            env=self.environ,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.rstrip("\n")

    def commits(self, revset: str, template: str = "commit_id") -> list[str]:
        """One line for each commit; nothing is looked up in a working copy."""
        words = ("log", "--no-graph", "--ignore-working-copy", "-r", revset)
        return self.run(*words, "-T", f'{template} ++ "\\n"').split("\n")
