"""What of a folder is not its owner's text: git's ignore rules, and folders that tools fill."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pathspec import GitIgnoreSpec, RegexPattern

#: Bytes of a file of rules; a larger one is not one that people write.
RULES_LIMIT = 1024 * 1024
#: Stars in one part of a rule from which on matching it could take for ever.
_STARS = 4
#: Folders that a tool fills with what others wrote or it has made, by their names.
_FILLED = {
    "node_modules": "installed packages",
    "bower_components": "installed packages",
    "site-packages": "installed packages",
    "__pycache__": "a cache",
}
#: What lies in a folder that a tool has made.
_MARKED = {"pyvenv.cfg": "a virtual environment", "CACHEDIR.TAG": "a cache"}
#: A folder `target` beside one of these, or with one of those in it, is what a build has left.
_BUILT_BESIDE = ("Cargo.toml", "pom.xml", "build.sbt", "project.clj")
_BUILT_INSIDE = ("debug", "release", "doc", "classes", ".rustc_info.json")


@dataclass(frozen=True, slots=True)
class IgnoreRules:
    """The rules of one file, for what lies in `folder`: expressions, and whether they ignore."""

    folder: str
    expressions: tuple[tuple[re.Pattern[str], bool], ...]

    def decide(self, inside: str, is_folder: bool) -> bool | None:
        """Return what the last rule says that means this very path, or None.

        pathspec's expressions take what lies below a folder with it, and mark that with the slash
        after the folder (`ps_d`). Here folders are judged on the way down, each by itself.
        """
        for expression, ignores in reversed(self.expressions):
            found = expression.search(inside)
            if found and not _below(found):
                return ignores
            if is_folder:
                found = expression.search(f"{inside}/")
                if found and _below(found) == len(inside):
                    return ignores
        return None


def _below(found: re.Match[str]) -> int:
    """Return where what was matched turned out to lie below a folder; 0: it does not."""
    return found.start("ps_d") if found.groupdict().get("ps_d") else 0


def ignored(path: str, is_folder: bool, rules: Sequence[IgnoreRules]) -> bool:
    """Return True if git would ignore a path; the last of the rules that knows it decides.

    Rules of a folder are later in the sequence than those of the folders above it. What is in an
    ignored folder is ignored, whatever rules say: whoever walks does not look into it.
    """
    for one in reversed(rules):
        found = one.decide(os.path.relpath(path, one.folder), is_folder)
        if found is not None:
            return found
    return False


def rules_above(folder: str, complain: Callable[[str, str], None]) -> list[IgnoreRules]:
    """The rules that hold in a folder of a repository before its own: the user's, and from its top.

    None of those that ignore the folder itself: whoever names it wants it.
    """
    top = _top(folder)
    if top is None:
        return []
    found = [*_read(_users_file(), top, complain), *_read(_exclude_file(top), top, complain)]
    for above in _between(top, folder):
        found += rules_of(above, complain)
    return [] if folder != top and _any_ignored(top, folder, found) else found


def _any_ignored(top: str, folder: str, rules: Sequence[IgnoreRules]) -> bool:
    _, *paths = [*_between(top, folder), folder]
    return any(
        ignored(path, True, [r for r in rules if path.startswith(r.folder.rstrip("/") + "/")])
        for path in paths
    )


def rules_of(folder: str, complain: Callable[[str, str], None]) -> list[IgnoreRules]:
    """Return the rules that a folder's own .gitignore holds."""
    return list(_read(os.path.join(folder, ".gitignore"), folder, complain))


def filled_by_a_tool(folder: str) -> str:
    """Return what a folder is that a tool has filled; nothing: people may have."""
    name = os.path.basename(folder)
    if name in _FILLED:
        return _FILLED[name]
    for mark, what in _MARKED.items():
        if os.path.lexists(os.path.join(folder, mark)):
            return what
    return "the output of a build" if name == "target" and _is_built(folder) else ""


def _is_built(folder: str) -> bool:
    beside = os.path.dirname(folder)
    return any(os.path.exists(os.path.join(beside, name)) for name in _BUILT_BESIDE) or any(
        os.path.exists(os.path.join(folder, name)) for name in _BUILT_INSIDE
    )


def _top(folder: str) -> str | None:
    """Return the top of the repository that a folder is in."""
    while not os.path.lexists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    return folder


def _between(top: str, folder: str) -> list[str]:
    """Return the folders from `top` down to the one above `folder`."""
    found = []
    while folder != top:
        folder = os.path.dirname(folder)
        found.append(folder)
    return found[::-1]


def _users_file() -> str:
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(home, "git", "ignore")


def _exclude_file(top: str) -> str:
    """A repository's own list of what it does not track; a worktree shares that of its checkout."""
    place = os.path.join(top, ".git")
    with suppress(OSError, ValueError):
        if os.path.isfile(place):
            place = os.path.join(top, _first_line(place).removeprefix("gitdir:").strip())
            place = os.path.join(place, _first_line(os.path.join(place, "commondir")))
    return os.path.join(place, "info", "exclude")


def _first_line(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return file.readline(4096).strip()


def _expressions(
    text: str, path: str, complain: Callable[[str, str], None]
) -> Iterator[tuple[re.Pattern[str], bool]]:
    for line in text.splitlines():
        if any(part.count("*") > _STARS for part in line.split("/")):
            complain(path, f"a rule with so many stars is not obeyed: {line[:80]}")
            continue
        try:
            patterns = GitIgnoreSpec.from_lines([line]).patterns
        except ValueError:
            continue  # means nothing to git either
        for pattern in patterns:
            if pattern.include is not None and isinstance(pattern, RegexPattern) and pattern.regex:
                yield pattern.regex, pattern.include


def _read(path: str, folder: str, complain: Callable[[str, str], None]) -> Iterator[IgnoreRules]:
    try:
        # Never one that is no file: opening a pipe would wait for who writes into it.
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_size > RULES_LIMIT:
            return
        with open(path, encoding="utf-8-sig", errors="surrogateescape") as file:
            yield IgnoreRules(folder, tuple(_expressions(file.read(), path, complain)))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        complain(path, f"its rules cannot be read: {getattr(error, 'strerror', '') or error}")
