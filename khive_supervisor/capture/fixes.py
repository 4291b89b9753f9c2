"""What failed, and what was done before it worked; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from khive_supervisor.capture import prose
from khive_supervisor.capture.commands import edited_paths, general
from khive_supervisor.capture.model import FindingKind, SessionFinding
from khive_supervisor.store.journal.model import EventKind, JournalEvent

#: Files that are changed for one fix; with more nobody can tell which it was.
_MOST_PATHS = 3
#: Characters of an error's line, and of a command, that are kept.
_LINE, _COMMAND = 200, 160
#: A line that says what went wrong.
_ERROR = re.compile(
    r"^[^\w\n]*(?:[\w.]+(?:Error|Exception|Warning|Failure)\b.*|error(?:\[\w+\])?: .+|fatal: .+|"
    r"npm ERR! .+|.*\bcommand not found.*|.*\bNo such file or directory.*|.*\bcannot find .+|"
    r"panic: .+|E\s{2,}\w*(?:Error|Exception)\b.*|FAILED? .+)$",
    re.IGNORECASE | re.MULTILINE,
)
#: What changes the place that a command runs in, not the code.
_PREPARES = re.compile(
    r"^(?:\w+=\S+ )*(?:sudo )?(?:npm (?:ci|i|install)|yarn(?: install)?$|pnpm i|pip3? install|"
    r"uv (?:sync|pip|add)|poetry install|bundle install|go mod|cargo (?:fetch|update)|"
    r"make (?:install|deps|setup|build)\b|"
    r"docker|export |git submodule|apt(?:-get)? install|brew install|rustup|nvm|corepack|"
    r"python\S* -m (?:pip|venv))"
)


@dataclass(slots=True)
class _Failure:
    """A command that failed, and what was done since."""

    event: JournalEvent
    #: Nothing had been edited yet: the project had the fault, not the session.
    found_so: bool
    error: str = ""
    paths: list[str] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)


def fixes(events: Sequence[JournalEvent]) -> list[SessionFinding]:
    """Return, of commands that failed and later succeeded, what was changed in between."""
    failed: dict[str, _Failure] = {}
    found: list[SessionFinding] = []
    edited = False
    for event in events:
        if event.kind == EventKind.COMMAND:
            found += _ran(event, failed, edited=edited)
            edited = edited or bool(edited_paths(event.text))
        elif event.kind == EventKind.ERROR:
            _told(event, failed)
        elif event.kind == EventKind.EDIT:
            edited = True
            _changed([event.path], failed)
    return found


def _ran(event: JournalEvent, failed: dict[str, _Failure], *, edited: bool) -> list[SessionFinding]:
    """Note how a command ended; return what fixed it, if it had failed."""
    line = " ".join(event.text.split())
    if event.exit_code != 0:
        if event.exit_code is not None:
            failed.setdefault(line, _Failure(event, found_so=not edited))
        return []
    _changed(edited_paths(event.text), failed)
    if _PREPARES.match(line):
        for failing, one in failed.items():
            if failing != line:
                one.prepared.append(line)
    before = failed.pop(line, None)
    return _found(before, event) if before is not None else []


def _told(event: JournalEvent, failed: dict[str, _Failure]) -> None:
    """Keep the line that says what went wrong, of the failure that came last."""
    if failed:
        last = next(reversed(failed.values()))
        last.error = last.error or error_line(event.text)


def _changed(paths: Sequence[str], failed: dict[str, _Failure]) -> None:
    for one in failed.values():
        one.paths += [path for path in paths if path not in one.paths]


def error_line(output: str) -> str:
    """Return the line of an output that says what went wrong; empty if none does."""
    lines = [match[0].strip() for match in _ERROR.finditer(output)]
    return lines[-1][:_LINE] if lines else ""


def _found(failure: _Failure, event: JournalEvent) -> list[SessionFinding]:
    done = _done(failure)
    command = " ".join(event.text.split())[:_COMMAND]
    if not done or not failure.error or not general(event.text):
        return []
    text = f"`{command}` failed: {failure.error}. It worked after {done}."
    sure = failure.found_so and bool(_PREPARES.match((failure.prepared or [""])[-1]))
    sure = sure and not failure.paths and not prose.dangerous(text)
    return [
        SessionFinding(
            FindingKind.FIX, "worked-after", text, event.speaker, sure, event.id, event.at,
            (event.text,), title=f"Fix: {failure.error}"[:120], path=(failure.paths or [""])[0],
        )
    ]  # fmt: skip


def _done(failure: _Failure) -> str:
    """Return what was done between the failure and the success; empty if that is not clear."""
    if failure.paths:
        if len(failure.paths) > _MOST_PATHS:
            return ""
        return f"a change of {', '.join(failure.paths)}"
    return f"`{failure.prepared[-1][:_COMMAND]}`" if failure.prepared else ""
