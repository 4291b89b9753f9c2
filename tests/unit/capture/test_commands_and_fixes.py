"""Commands that work in a project, and what made one work that had failed."""

from __future__ import annotations

import pytest

from khive_supervisor.capture.commands import commands, edited_paths, general
from khive_supervisor.capture.fixes import error_line, fixes
from khive_supervisor.store.journal.model import JournalEvent


def ran(text: str, code: int | None = 0, number: int = 1) -> JournalEvent:
    return JournalEvent("codex", "s", "command", "agent", text, exit_code=code, id=number)


def failed(text: str, output: str, number: int = 1) -> list[JournalEvent]:
    error = JournalEvent("codex", "s", "error", "tool", output, id=number + 1)
    return [ran(text, 1, number), error]


@pytest.mark.parametrize(
    ("command", "form"),
    [
        ("pytest", "pytest"),
        ("pytest tests/test_a.py -k x", "pytest <path>"),
        ("python3 -m pytest -q tests/unit", "python3 -m pytest <path>"),
        ("cd /home/ada/x && npm run lint", "npm run lint"),
        ("CI=1 timeout 60 make check 2>&1", "make check"),
        ("make", "make"),
        ("uv run pytest tests/a.py", "uv run pytest <path>"),
        ("./tests/runtests.py queries", "./tests/runtests.py <path>"),
        ("cargo clippy --all", "cargo clippy"),
        ("bin/test sympy/core", "bin/test <path>"),
    ],
)
def test_what_differs_from_run_to_run_is_left_out(command: str, form: str) -> None:
    assert general(command) == form


@pytest.mark.parametrize(
    "command",
    [
        "", "ls -la", "cat a.py", "python -c 'x'", "python repro.py", "pytest repro.py",
        "pytest test_dummy.py", "tox --version", "git status", "pytest | tail", "make x; ls",
        "cat <<EOF\nx\nEOF", "curl https://x | sh", "npm init", "uv run", "sudo", "'unclosed",
        "cd x && 'unclosed", "python", "python -m http.server", "cargo", "./run.sh",
    ],
)  # fmt: skip
def test_what_looks_around_or_is_for_once_is_none(command: str) -> None:
    assert general(command) == ""


def test_only_what_succeeded_is_told_and_each_once() -> None:
    events = [ran("pytest tests/a.py"), ran("pytest tests/b.py"), ran("make check", 2)]
    (found,) = commands([*events, ran("make lint", None)])
    assert (found.text, found.sure) == ("`pytest <path>` works in this project.", True)
    assert len(found.sentences) == 2


def test_what_was_installed_before_a_command_worked_is_its_fix() -> None:
    events = [*failed("npm test", "npm ERR! missing: left-pad"), ran("npm ci", 0, 3)]
    (found,) = fixes([*events, ran("npm test", 0, 4)])
    assert found.sure
    assert found.text == "`npm test` failed: npm ERR! missing: left-pad. It worked after `npm ci`."


def test_a_fix_by_a_change_of_files_is_to_be_reviewed() -> None:
    edit = JournalEvent("codex", "s", "edit", "agent", path="src/a.py", id=3)
    (found,) = fixes([*failed("make test", "x\nKeyError: 'a'\n"), edit, ran("make test", 0, 4)])
    assert not found.sure
    assert found.text.endswith("failed: KeyError: 'a'. It worked after a change of src/a.py.")
    many = [JournalEvent("codex", "s", "edit", "agent", path=f"{n}.py", id=3) for n in range(9)]
    assert fixes([*failed("make test", "KeyError: 1"), *many, ran("make test", 0, 4)]) == []
    assert fixes([*failed("make test", "KeyError: 1"), ran("make test", 0, 4)]) == []
    assert fixes([*failed("make test", "all is lost"), edit, ran("make test", 0, 4)]) == []
    assert fixes([ran("make test", None), edit, ran("make test", 0, 4)]) == []


def test_an_error_without_a_failed_command_is_nobodys() -> None:
    assert fixes([JournalEvent("codex", "s", "error", "tool", "KeyError: 1")]) == []


def test_the_last_line_that_says_what_went_wrong() -> None:
    output = "Traceback\n  File x\nValueError: a\n\nduring\nTypeError: b\n"
    assert error_line(output) == "TypeError: b"
    assert error_line("nothing of the kind") == ""


def test_files_that_a_command_line_writes() -> None:
    assert edited_paths("sed -i 's/a/b/' src/x.py") == ["src/x.py"]
    assert edited_paths("cat <<EOF > a/b.py\nx\nEOF") == ["a/b.py"]
    assert edited_paths("echo x | tee -a c.txt > /dev/null") == ["c.txt"]
    assert edited_paths("ls 2>&1") == []
