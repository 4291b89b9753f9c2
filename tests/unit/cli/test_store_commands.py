"""Commands on the store itself: audit, backup and restore, the index, and what tasks have left."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from khive_supervisor import exitcodes
from khive_supervisor.cli.commands import worktrees
from khive_supervisor.cli.connection.session import Invocation
from khive_supervisor.cli.curation import pruning
from khive_supervisor.cli.main import cli
from khive_supervisor.errors import InvalidInput, KhiveError
from khive_supervisor.worktrees import metadata
from khive_supervisor.worktrees.metadata import FRESH, TREE, WorktreeMetadata

Khive = Callable[..., Result]


@pytest.fixture
def home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of whom no setting of the developer's is known."""
    for name in ("KHIVE_STORE", "KHIVE_SOCKET", "XDG_STATE_HOME", "XDG_DATA_HOME", "CLAUDECODE"):
        monkeypatch.delenv(name, raising=False)
    return home


def sub(khive: Khive, group: str, command: str, *words: str, code: int = 0) -> Result:
    """Runs a command of a group; its options are the command's."""
    done = CliRunner().invoke(cli, [group, command, "--config", "khive.toml", *words])
    if code == 0:
        assert done.exception is None, done.output
    return done


# --- audit ----------------------------------------------------------------------------------------


@pytest.fixture
def done(khive: Khive) -> Khive:
    """A store in which two profiles were made."""
    khive("create-profile", "tea")
    khive("create-profile", "coffee")
    return khive


def test_a_chain_is_verified_up_to_its_head(done: Khive, home: Path) -> None:
    head = sub(done, "audit", "head").output
    assert head.split()[0] == "khive-audit-1"
    number = head.split()[1]
    said = sub(done, "audit", "verify").output
    assert said.startswith(f"intact: {number} entries, up to {number} ")
    (home / "heads").write_text(f"{head}\n{head}")
    for given in (head, str(home / "heads")):
        lines = sub(done, "audit", "verify", "--head", given).output.splitlines()
        assert "nothing was cut since" in lines[1]


def test_a_head_that_is_not_in_the_chain_is_unhealthy(done: Khive) -> None:
    sub(done, "audit", "head")
    wrong = f"khive-audit-1 1 {'0' * 64}"
    found = sub(done, "audit", "verify", "--head", wrong, code=exitcodes.UNHEALTHY)
    assert found.exit_code == exitcodes.UNHEALTHY
    first, why, before = found.output.splitlines()
    assert first == "broken at entry 1: rewritten."
    assert "written anew" in why
    assert before.startswith("The 0 entries before are as they were written")
    shown = sub(done, "audit", "verify", "--head", wrong, "--json", code=exitcodes.UNHEALTHY)
    assert json.loads(shown.output)["problem"]["fault"] == "rewritten"


@pytest.mark.parametrize("content", [b"nonsense", b"\xff\xfe", b""])
def test_a_file_of_no_heads_is_refused(done: Khive, home: Path, content: bytes) -> None:
    (home / "heads").write_bytes(content)
    found = sub(done, "audit", "verify", "--head", str(home / "heads"), code=exitcodes.USAGE)
    assert isinstance(found.exception, InvalidInput)
    assert found.exception.hint


def test_what_was_done_is_shown_newest_first_and_by_what_it_is_about(done: Khive) -> None:
    heading, newest, *_ = sub(done, "audit", "show").output.splitlines()
    assert heading.split() == ["ENTRY", "AT", "KIND", "SUBJECT", "ACTOR", "DETAIL"]
    assert "profile/coffee" in newest
    mine = sub(done, "audit", "show", "--profile", "tea").output.splitlines()[1:]
    assert mine
    assert all("profile/tea" in line for line in mine)
    assert len(sub(done, "audit", "show", "-n", "1").output.splitlines()) == 2
    for words in (("--role", "r"), ("--task", "t12"), ("--task", "12"), ("--before", "1")):
        assert sub(done, "audit", "show", *words).output == "There are no such entries.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--task", "x"), "is not a task's id"),
        (("--task", "t0"), "is not a task's id"),
        (("--task", "t1", "--role", "r"), "about one thing"),
        (("--profile", "p", "--role", "r"), "about one thing"),
    ],
)
def test_an_entry_is_about_one_thing(done: Khive, words: tuple[str, ...], said: str) -> None:
    found = sub(done, "audit", "show", *words, code=exitcodes.USAGE)
    assert isinstance(found.exception, InvalidInput)
    assert said in found.exception.message
    assert found.exception.hint


# --- backup and restore ---------------------------------------------------------------------------


def test_a_backup_brings_back_what_there_was(khive: Khive, home: Path) -> None:
    khive("remember", "the kettle is upstairs")
    saved = khive("backup", "saved.db").output
    assert saved.startswith(f"Backed up to {home}/saved.db (")
    khive("forget", "m1")
    restored = khive("restore", "saved.db", "--yes").output
    assert restored.startswith(f"Restored {home}/saved.db. What was there: ")
    assert "m1" in khive("recall", "kettle").output
    before = Path(restored.strip().rpartition(": ")[2])
    assert before.exists()


def test_a_restore_is_asked_for(khive: Khive) -> None:
    khive("remember", "the kettle is upstairs")
    khive("backup", "saved.db")
    khive("forget", "m1")
    found = khive("restore", "saved.db", given="n\n", code=1)
    assert found.exit_code == 1
    assert khive("recall", "kettle").output.startswith("Nothing was found.")
    khive("restore", "saved.db", given="y\n")
    assert "m1" in khive("recall", "kettle").output


def test_a_backup_takes_no_file_s_place(khive: Khive, home: Path) -> None:
    khive("remember", "x")
    (home / "there").write_text("mine")
    assert isinstance(khive("backup", "there", code=1).exception, KhiveError)
    assert (home / "there").read_text() == "mine"


def test_what_is_no_backup_changes_nothing(khive: Khive, home: Path) -> None:
    khive("remember", "the kettle is upstairs")
    (home / "no.db").write_text("not a store" * 1000)
    assert isinstance(khive("restore", "no.db", "--yes", code=1).exception, KhiveError)
    assert "m1" in khive("recall", "kettle").output


# --- the index ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "lines"),
    [
        ({"generation": 3, "ok": True, "bytes": 8}, exitcodes.OK,
         ["generation: 3", "ok: True", "bytes: 8"]),
        ({"generation": 3, "ok": False, "problem": "It differs."}, exitcodes.UNHEALTHY,
         ["generation: 3", "ok: False", "problem: It differs."]),
    ],
)  # fmt: skip
def test_a_damaged_index_is_unhealthy(
    khive: Khive, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any], code: int,
    lines: list[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(Invocation, "ask", lambda *_given, **_args: answer)
    found = sub(khive, "index", "verify", code=code)
    assert found.exit_code == code
    assert found.output.splitlines() == lines


@pytest.mark.parametrize(("running", "said"), [(True, "Building;"), (False, "Not started.")])
def test_a_build_is_begun_or_not(
    khive: Khive, monkeypatch: pytest.MonkeyPatch, said: str, *, running: bool
) -> None:
    monkeypatch.setattr(Invocation, "ask", lambda *_given, **_args: {"running": running})
    assert sub(khive, "index", "build").output.startswith(said)


def test_the_state_of_an_index_that_is_off_is_shown(khive: Khive) -> None:
    assert sub(khive, "index", "status").output.startswith("state: off\nwhy: ")


# --- what tasks have left -------------------------------------------------------------------------


@pytest.fixture
def leave(home: Path, khive: Khive) -> Callable[..., Path]:
    """Leaves a fresh directory of a task, with files in it."""
    khive("remember", "x")
    store = json.loads(khive("call", "system.status").output)["store"]["path"]

    def make(task: int, *files: str) -> Path:
        place = Path(metadata.root(store)) / f"t{task}"
        (place / TREE).mkdir(parents=True)
        for name in files:
            (place / TREE / name).write_text("x")
        metadata.write(str(place), WorktreeMetadata(task, "critic", FRESH, ready=True))
        return place

    return make


def test_directories_are_listed_with_what_is_in_them(
    khive: Khive, leave: Callable[..., Path]
) -> None:
    leave(1)
    full = leave(2, "a", "b")
    heading, one, two = khive("worktrees").output.splitlines()
    assert heading.split() == ["TASK", "STATE", "ROLE", "BRANCH", "INSIDE", "PATH"]
    assert one.split()[:5] == ["t1", "unknown", "critic", "-", "nothing"]
    assert two.split() == ["t2", "unknown", "critic", "-", "2", "files", f"{full}/{TREE}"]


def test_without_any_it_is_said(khive: Khive, home: Path) -> None:
    done = khive("worktrees")
    assert (done.stdout, done.stderr) == ("", "No task has left a directory.\n")


def test_those_in_which_nothing_is_lost_are_removed(
    khive: Khive, leave: Callable[..., Path]
) -> None:
    empty, full = leave(1), leave(2, "a")
    rows = json.loads(khive("worktrees", "--remove-clean", "--json").output)
    assert [row.get("removed", False) for row in rows] == [True, False]
    assert not empty.exists()
    assert (full / TREE / "a").exists()
    done = khive("worktrees", "--remove-clean")
    assert "Nothing was removed" in done.stderr


def test_one_that_is_named_stays_with_what_to_do_if_something_is_lost(
    khive: Khive, leave: Callable[..., Path]
) -> None:
    full = leave(2, "a")
    found = khive("worktrees", "--remove", "t2", code=exitcodes.USAGE)
    assert isinstance(found.exception, InvalidInput)
    assert found.exception.message == "The directory of t2 stays: 1 file."
    assert f"{full}/{TREE}" in found.exception.hint
    (full / TREE / "a").unlink()
    assert khive("worktrees", "--remove", "t2").output.split()[-2:][0] == "removed"
    gone = khive("worktrees", "--remove", "t2", code=exitcodes.USAGE)
    assert isinstance(gone.exception, InvalidInput)
    assert "has left no directory" in gone.exception.message


def test_one_that_a_worker_is_in_is_not_removed(khive: Khive, leave: Callable[..., Path]) -> None:
    held = metadata.lock(str(leave(1)))
    assert held is not None
    try:
        assert khive("worktrees").output.splitlines()[1].split()[4:6] == ["a", "worker"]
        found = khive("worktrees", "--remove", "t1", code=exitcodes.USAGE)
        assert isinstance(found.exception, InvalidInput)
        assert "cancel it" in found.exception.hint
    finally:
        os.close(held)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({}, "nothing"),
        ({"commits": 1}, "1 commit"),
        ({"commits": 2, "changed": 3, "files": 1}, "2 commits, 3 changed, 1 file"),
        ({"note": "Look at it."}, "Look at it"),
        ({"removed": True, "commits": 2}, "removed"),
    ],
)
def test_what_is_inside_is_said_in_words(row: dict[str, Any], words: str) -> None:
    assert worktrees._inside({"busy": False, **row}) == words


def test_a_branch_is_merged_or_thrown_away() -> None:
    row = {"busy": False, "path": "/w/it's", "branch": "khive/t1"}
    hint = worktrees._how_to_clear(row)
    assert "git merge khive/t1" in hint
    assert "git worktree remove --force '/w/it'\"'\"'s'" in hint
    assert "git branch -D khive/t1" in hint


def test_what_was_pruned_is_said_as_it_is() -> None:
    assert pruning._pruned({"pruned": 0, "entries": [], "kept": {}}) == "Nothing has faded so far."
    said = pruning._pruned({"pruned": 1, "entries": [], "kept": {}})
    assert said == "1 memory pruned; undo brings it back."
    said = pruning._pruned({"would_prune": 2, "entries": [], "kept": {}})
    assert said == "2 memories would be pruned."
