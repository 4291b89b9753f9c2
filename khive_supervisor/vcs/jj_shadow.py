"""A jj repository without what can name a program: jj is given this in its place.

jj reads the configuration that lies in a repository and in a workspace. Here it gets a workspace of
ours, whose repository is links to the parts of the real one, among which there is no configuration.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from khive_supervisor.errors import JjFailed
from khive_supervisor.vcs import jj_repository
from khive_supervisor.vcs.jj import SETTINGS, Jj

#: How the directories are called that this makes; what a dead process left is known by it.
PREFIX = "jj-"
#: Where a workspace's own `.jj` is while a shadow stands in its place.
ASIDE = "dot-jj"
#: What is the same in the shadow and in the repository.
_LINKED = ("store", "op_store", "op_heads", "index", "submodule_store", "workspace_store")
#: The file with the settings of each call.
_SETTINGS = "settings.toml"
#: The name of the shadow's own workspace, which no repository knows.
_NOBODY = "khive/none"


@dataclass(frozen=True, slots=True)
class JjShadow:
    """jj on one repository, by a directory of ours."""

    jj: Jj
    directory: str
    common: str

    def run(self, *words: str) -> str:
        """Return what jj prints; no workspace is looked into or written to.

        Raises:
            JjFailed: it failed.
        """
        return self._run(self.directory, *words, "--ignore-working-copy")

    def ask(self, *words: str) -> str:
        """Return the same; empty if it fails, which is an answer, too."""
        try:
            return self.run(*words)
        except JjFailed:
            return ""

    def inside(self, tree: str, *words: str) -> str:
        """Return what jj prints in a workspace that was `entered`; its files are looked at."""
        return self._run(tree, *words)

    def _run(self, where: str, *words: str) -> str:
        settings = f"--config-file={self.directory}/{_SETTINGS}"
        return self.jj.run(*words, settings, cwd=where, variables=self.jj.author)

    @contextlib.contextmanager
    def entered(self, home: str, tree: str) -> Iterator[None]:
        """Have jj see the shadow from a workspace; what the workspace has itself is put aside."""
        come_back(home, tree)
        aside = f"{home}/{ASIDE}"
        os.rename(f"{tree}/.jj", aside)
        try:
            os.mkdir(f"{tree}/.jj", 0o700)
            _write(f"{tree}/.jj/repo", f"{self.directory}/.jj/repo")
            os.symlink(f"{aside}/working_copy", f"{tree}/.jj/working_copy")
            yield
        finally:
            come_back(home, tree)

    def hand_over(self, tree: str) -> None:
        """Have a workspace that was made by the shadow belong to the repository itself."""
        _write(f"{tree}/.jj/repo", self.common)


@contextlib.contextmanager
def jj_shadow(jj: Jj, common: str, home: str) -> Iterator[JjShadow]:
    """A shadow of a repository, below the directory of the task that it is for.

    Raises:
        NoPlace: the repository is not one that can be worked with.
        OSError: it could not be read.
    """
    jj_repository.check_written_parts(common)
    directory = tempfile.mkdtemp(prefix=PREFIX, dir=home)
    try:
        _make(directory, common)
        yield JjShadow(jj, directory, common)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _make(directory: str, common: str) -> None:
    os.makedirs(f"{directory}/.jj/repo")
    os.mkdir(f"{directory}/.jj/working_copy")
    for name in _LINKED:
        if os.path.isdir(f"{common}/{name}"):
            os.symlink(f"{common}/{name}", f"{directory}/.jj/repo/{name}")
    _write(f"{directory}/{_SETTINGS}", SETTINGS)
    _write(f"{directory}/.jj/working_copy/type", "local")
    with open(f"{directory}/.jj/working_copy/checkout", "wb") as file:
        file.write(jj_repository.noted(_NOBODY))


def come_back(home: str, tree: str) -> None:
    """Give a workspace back what was put aside, also after a process that was killed meanwhile."""
    aside, dot = f"{home}/{ASIDE}", f"{tree}/.jj"
    if not os.path.lexists(aside):
        return
    if os.path.islink(dot):
        os.unlink(dot)
    else:
        shutil.rmtree(dot, ignore_errors=True)
    if os.path.isdir(tree):
        os.rename(aside, dot)
    else:
        shutil.rmtree(aside, ignore_errors=True)


def clear(home: str) -> None:
    """Remove the shadows that a process left which was killed."""
    with contextlib.suppress(OSError):
        for name in os.listdir(home):
            if name.startswith(PREFIX) or name == ASIDE:
                shutil.rmtree(f"{home}/{name}", ignore_errors=True)


def _write(path: str, text: str) -> None:
    """Replace a file at once, whatever stands there."""
    with open(f"{path}.part", "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    os.replace(f"{path}.part", path)
