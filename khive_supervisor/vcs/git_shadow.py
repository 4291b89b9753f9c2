"""A repository's git directory without what can name a program: git is given this in its place.

git runs programs that a repository's configuration names: filters, hooks, monitors, helpers. To
list those that are harmful would be to wait for the next one. Here git never reads that
configuration: it gets a directory of ours, with links to the objects and references and a
configuration in which stand only values that are known to be harmless. Attributes may go on naming
filters; nothing says any more which programs these are.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from khive_supervisor.errors import GitFailed, NoPlace
from khive_supervisor.host.small_file import read_regular
from khive_supervisor.vcs.git import Git

#: How the directories are called that this makes; what a dead process left is known by it.
PREFIX = "git-"
#: Bytes of the largest configuration, or list of ignored names, that is read.
_LARGEST = 1 << 20
#: Keys that are taken over, since files would be checked out or compared differently without them.
_TAKEN = frozenset(
    {
        "core.repositoryformatversion", "core.filemode", "core.ignorecase", "core.symlinks",
        "core.precomposeunicode", "core.autocrlf", "core.eol", "core.bigfilethreshold",
        "extensions.objectformat", "extensions.compatobjectformat", "extensions.refstorage",
    }
)  # fmt: skip
_VALUE = re.compile(r"[A-Za-z0-9.-]{0,32}")
#: Extensions of the format that mean nothing for what is done here.
_LEFT_OUT = frozenset(
    {
        "extensions.noop", "extensions.noop-v1", "extensions.preciousobjects",
        "extensions.partialclone", "extensions.worktreeconfig", "extensions.relativeworktrees",
    }
)  # fmt: skip
#: What is the same in the shadow and in the repository.
_LINKED = ("objects", "refs", "packed-refs", "reftable", "worktrees", "shallow")
_OWN = "[core]\n\tbare = true\n\tlogAllRefUpdates = false\n"


@dataclass(frozen=True, slots=True)
class Shadow:
    """git on one repository, by a directory of ours."""

    git: Git
    directory: str
    common: str
    partial: bool

    def run(self, *words: str, own: str = "", tree: str = "") -> str:
        """Return what git prints of the repository, or of the checkout `tree`, where it then runs.

        `own` is the git directory of a checkout.

        Raises:
            GitFailed: it failed.
        """
        variables = {"GIT_COMMON_DIR": self.directory, "GIT_DIR": own or self.directory}
        if tree:
            variables["GIT_WORK_TREE"] = tree
        return self.git.run(*words, cwd=tree or self.directory, variables=variables)

    def ask(self, *words: str, own: str = "", tree: str = "") -> str:
        """Return the same; empty if it fails, which is an answer, too."""
        try:
            return self.run(*words, own=own, tree=tree)
        except GitFailed:
            return ""


@contextlib.contextmanager
def shadow(git: Git, common: str, home: str) -> Iterator[Shadow]:
    """A shadow of a repository, below the directory of the task that it is for.

    Raises:
        NoPlace: the repository's format is not known here.
        GitFailed, OSError: it could not be read.
    """
    directory = tempfile.mkdtemp(prefix=PREFIX, dir=home)
    try:
        settings = _settings(git, common, directory)
        _make(directory, common, settings)
        yield Shadow(git, directory, common, "extensions.partialclone" in settings)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def clear(home: str) -> None:
    """Remove the shadows that a process left which was killed."""
    with contextlib.suppress(OSError):
        for name in os.listdir(home):
            if name.startswith(PREFIX):
                shutil.rmtree(f"{home}/{name}", ignore_errors=True)


def _settings(git: Git, common: str, directory: str) -> dict[str, str]:
    """Return the repository's own settings, as git reads them, without what they include."""
    text = _content(f"{common}/config")
    listed = git.run(
        "config", "--file", "-", "--no-includes", "--null", "--list",
        cwd=directory, variables={"GIT_DIR": directory}, stdin=text,
    )  # fmt: skip
    pairs = (entry.partition("\n") for entry in listed.split("\0") if entry)
    return {key: value if equals else "true" for key, equals, value in pairs}


def _make(directory: str, common: str, settings: Mapping[str, str]) -> None:
    for name in _LINKED:
        # Also what is not there yet: it may be made meanwhile.
        os.symlink(f"{common}/{name}", f"{directory}/{name}")
    os.mkdir(f"{directory}/info")
    with open(f"{directory}/info/exclude", "wb") as file:
        file.write(_content(f"{common}/info/exclude"))
    with open(f"{directory}/HEAD", "w", encoding="ascii") as head:
        head.write("ref: refs/heads/khive/none\n")
    with open(f"{directory}/config", "w", encoding="ascii") as config:
        config.write(_harmless(settings) + _OWN)


def _harmless(settings: Mapping[str, str]) -> str:
    lines = []
    for key, value in settings.items():
        section, _, name = key.partition(".")
        if key in _TAKEN and _VALUE.fullmatch(value):
            lines.append(f"[{section}]\n\t{name} = {value}\n")
        elif section == "extensions" and key not in _LEFT_OUT:
            raise NoPlace(
                f"The repository uses an extension of git's format that is not known here: {name}.",
                hint='Set the role\'s workdir to "caller", or update khive-supervisor.',
            )
    return "".join(lines)


def _content(path: str) -> bytes:
    """Return a regular file's content; nothing if there is none."""
    try:
        data, _ = read_regular(path, _LARGEST)
    except FileNotFoundError:
        return b""
    return data
