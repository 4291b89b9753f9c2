"""Commands that work in a project: those of its tests, builds and checks; pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from khive_supervisor.capture import prose
from khive_supervisor.capture.model import FindingKind, SessionFinding
from khive_supervisor.store.journal.model import EventKind, JournalEvent

#: Tools by how many words name what they do: `make test`, `cargo clippy`, `pytest`.
_TOOLS = {
    **dict.fromkeys(
        (
            "pytest", "tox", "nox", "nosetests", "ruff", "mypy", "flake8", "pylint", "black", "tsc",
            "eslint", "jest", "vitest", "ctest", "rspec", "phpunit", "pre-commit", "ninja",
            "golangci-lint", "prettier", "shellcheck",
        ),
        1,
    ),
    **dict.fromkeys(
        (
            "make", "just", "task", "cargo", "go", "mvn", "gradle", "./gradlew", "gradlew", "yarn",
            "pnpm", "bun", "dotnet", "rake", "mix", "composer", "hatch", "bazel", "cmake", "npx",
            "deno", "swift", "zig", "sbt", "lein", "stack", "cabal",
        ),
        2,
    ),
    "npm": 2,
}  # fmt: skip
#: Words of these tools that say nothing without the next one: `npm run lint`.
_GOES_ON = frozenset(("run", "exec", "x"))
#: Words of tools that are about no project of its own.
_NOT_OURS = frozenset(("help", "version", "init", "new", "login", "publish", "info", "list", "env"))
_PYTHON = re.compile(r"^(?:\S*/)?python[\d.]*$")
_ASSIGNED = re.compile(r"^[A-Za-z_]\w*=")
#: Programs in front of others.
_IN_FRONT = {"sudo": 1, "time": 1, "env": 1, "nice": 1, "timeout": 2, "xvfb-run": 1}
_RUNNERS = {"uv": "run", "poetry": "run", "pipenv": "run", "bundle": "exec", "hatch": "run"}
#: A program of the repository's own: it lies in one of its folders.
_OWN_PROGRAM = re.compile(r"^(?:\./)?(?:[\w.-]+/)+[\w.-]+$|^\./[\w.-]+$")
_TESTS = re.compile(r"test|check|lint|build|ci\b|verify|spec|format|bench", re.IGNORECASE)
#: What is written for one look, and thrown away.
_FOR_ONCE = re.compile(
    r"^/?(?:tmp/|var/tmp/)|repro|debug|scratch|tmp|temp\b|demo|poc\b|\bfix_|verify_|check_|_fix\b|dummy",
    re.IGNORECASE,
)
_WRITES = re.compile(
    r"\bsed\s+(?:-[a-zA-Z]*i\S*|--in-place)\b.*?\s(?P<sed>[\w./-]+\.\w+)\s*$"
    r"|(?:^|[^>&\d])>{1,2}\s*(?P<to>[\w./-]+\.\w+)|\btee\s+(?:-a\s+)?(?P<tee>[\w./-]+\.\w+)",
    re.MULTILINE,
)


def commands(events: Sequence[JournalEvent]) -> list[SessionFinding]:
    """Return the commands of the project that succeeded in a session, each once."""
    found: dict[str, list[JournalEvent]] = {}
    for event in events:
        if event.kind == EventKind.COMMAND and event.exit_code == 0:
            form = general(event.text)
            if form:
                found.setdefault(form, []).append(event)
    return [_finding(form, runs) for form, runs in found.items()]


def _finding(form: str, runs: Sequence[JournalEvent]) -> SessionFinding:
    first = runs[0]
    return SessionFinding(
        FindingKind.COMMAND, "ran-well", f"`{form}` works in this project.", first.speaker, True,
        first.id, first.at, tuple(one.text for one in runs), title=f"Command: {form}",
    )  # fmt: skip


def general(command: str) -> str:
    """Return a command without what differs from run to run; empty if it is none of the project's.

    `pytest tests/test_a.py -k x` is `pytest <path>`, `npm run lint -- --fix` is `npm run lint`.
    """
    words = _words(command)
    if not words or prose.dangerous(command):
        return ""
    head, rest = _head(words)
    if not head or any(_FOR_ONCE.search(word) for word in (*head, *rest)):
        return ""
    if any(word in ("--version", "--help", "-h", "-V") for word in rest):
        return ""
    named = [word for word in rest if not word.startswith("-") and not _ASSIGNED.match(word)]
    if _is_pytest(head) and named and not any("/" in word for word in named):
        return ""
    return " ".join(head) + (" <path>" if named and _takes_paths(head) else "")


def _words(command: str) -> list[str]:
    """Return the words of a command that is one line, one program, and no pipe."""
    line = command.strip()
    if "\n" in line or any(sign in line for sign in ("|", ";", ">", "<", "`", "$(", "&&", "||")):
        return _after_cd(line)
    try:
        return _bare(shlex.split(line))
    except ValueError:
        return []


def _after_cd(line: str) -> list[str]:
    """Return the words after `cd DIRECTORY &&`: the directory is the project's."""
    moved = re.match(r"^cd\s+\S+\s*&&\s*([^|;<>&`$\n]+?)(?:\s+2>&1)?$", line)
    plain = re.match(r"^([^|;<>&`$\n]+?)\s+2>&1$", line)
    found = moved or plain
    if found is None:
        return []
    try:
        return _bare(shlex.split(found[1]))
    except ValueError:
        return []


def _bare(words: list[str]) -> list[str]:
    """Return the words without what stands in front of the program."""
    while words:
        if _ASSIGNED.match(words[0]):
            words = words[1:]
        elif words[0] in _IN_FRONT:
            words = words[_IN_FRONT[words[0]] :]
        else:
            break
    return words


def _head(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words that name a program of the project and what it does, and the others."""
    first, count = words[0], 0
    if first in _RUNNERS and words[1:2] == [_RUNNERS[first]]:
        inner, rest = _head(words[2:]) if len(words) > 2 else ([], [])
        return ([first, words[1], *inner], rest) if inner else ([], [])
    if _PYTHON.match(first):
        count = _of_python(words)
    elif first in _TOOLS:
        count = _of_tool(words)
    elif _OWN_PROGRAM.match(first) and _TESTS.search(first):
        count = 1
    return list(words[:count]), list(words[count:])


def _of_python(words: Sequence[str]) -> int:
    if words[1:2] == ["-m"] and len(words) > 2:
        return (
            3 if words[2].partition(".")[0] in ("pytest", "unittest", "tox", "nox", "mypy") else 0
        )
    own = len(words) > 1 and _OWN_PROGRAM.match(words[1]) and _TESTS.search(words[1])
    return 2 if own else 0


def _of_tool(words: Sequence[str]) -> int:
    count = _TOOLS[words[0]]
    if count > 1 and len(words) > 1 and words[1] in _GOES_ON:
        count += 1
    named = words[1:count]
    if any(word.startswith("-") or word in _NOT_OURS for word in named):
        return 0
    return count if len(words) >= count else len(words) if words[0] == "make" else 0


def _is_pytest(head: Sequence[str]) -> bool:
    return head[-1] in ("pytest", "py.test")


def _takes_paths(head: Sequence[str]) -> bool:
    return _is_pytest(head) or head[-1] in ("unittest", "ruff", "mypy") or "/" in head[-1]


def edited_paths(command: str) -> list[str]:
    """Return the files that a command line writes to, as far as its form says so."""
    found = [match["sed"] or match["to"] or match["tee"] for match in _WRITES.finditer(command)]
    return list(dict.fromkeys(one for one in found if not one.startswith("/dev/")))
