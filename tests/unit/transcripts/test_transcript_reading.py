"""Following files that grow, are rewritten, cut, replaced, and are no transcripts at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from khive_supervisor.config.load import from_dict
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.transcripts import claude, finding, reading
from khive_supervisor.transcripts.belonging import BelongingOf
from khive_supervisor.transcripts.reading import SessionBelonging, TakenIn, TranscriptFile, take_in


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "khive.db"), clock=lambda: 1000.0) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "s.jsonl"


def line(text: str, session: str = "s") -> str:
    message = {"role": "user", "content": text}
    return json.dumps({"type": "user", "sessionId": session, "cwd": "/w", "message": message})


def write(file: Path, *texts: str) -> None:
    file.write_text("".join(line(text) + "\n" for text in texts), "utf-8")


def grow(file: Path, text: str) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write(text)


def take(store: SqliteStore, file: Path, *, from_end: bool = False) -> TakenIn:
    made = TranscriptFile(claude.CLIENT, str(file), claude.read)
    return take_in(store, made, lambda _: SessionBelonging(), from_end=from_end)


def texts(store: SqliteStore, session: str = "s") -> list[str]:
    return [one.text for one in store.journal.of_session(claude.CLIENT, session)]


def test_each_line_is_taken_in_once_as_it_comes(store: SqliteStore, file: Path) -> None:
    write(file, "one", "two")
    assert take(store, file).events == 2
    assert take(store, file).events == 0
    grow(file, line("three") + "\n" + line("half")[:20])
    assert take(store, file).events == 1
    grow(file, line("half")[20:] + "\n")
    assert take(store, file).events == 1
    assert texts(store) == ["one", "two", "three", "half"]


def test_a_file_that_is_rewritten_longer_or_shorter_is_read_again(
    store: SqliteStore, file: Path
) -> None:
    write(file, "one", "two", "three")
    take(store, file)
    write(file, "one", "two")
    take(store, file)
    write(file, "zero", "one", "two", "three", "four")
    take(store, file)
    assert texts(store) == ["one", "two", "three", "zero", "four"]


def test_what_changes_in_the_middle_is_noticed_by_what_stands_before_the_cursor(
    store: SqliteStore, file: Path
) -> None:
    before = [f"{number} {'x' * 300}" for number in range(40)]
    write(file, *before, "last")
    take(store, file)
    write(file, *before, "LAST", "more")
    take(store, file)
    assert texts(store)[-3:] == ["last", "LAST", "more"]


def test_a_copy_in_its_place_goes_on(store: SqliteStore, file: Path) -> None:
    write(file, "one")
    take(store, file)
    copy = file.with_suffix(".new")
    write(copy, "one", "two")
    os.replace(copy, file)
    assert take(store, file).events == 1
    assert texts(store) == ["one", "two"]


def test_one_that_is_gone_or_no_file_is_an_error_of_the_system(
    store: SqliteStore, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "s.jsonl")
    write(tmp_path / "s.jsonl", "x")
    for name in ("gone", "pipe", "link", "."):
        with pytest.raises(OSError, match=r"gone|pipe|link|directory|regular"):
            take(store, tmp_path / name)


def test_binary_lines_and_lines_without_end_tell_nothing(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST_LINE", 2000)
    monkeypatch.setattr(reading, "_BLOCK", 100)
    with file.open("wb") as opened:
        opened.write(b"\x00\xff\n" + b"x" * 5000 + b"\n" + line("one").encode() + b"\n\n")
    taken = take(store, file)
    assert (taken.events, taken.state.unknown) == (1, 1)
    assert texts(store) == ["one"]


def test_much_is_taken_in_by_several_transactions(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "AT_ONCE", 1)
    write(file, "one", "two")
    assert take(store, file).more
    assert not take(store, file).more
    assert texts(store) == ["one", "two"]


def test_a_full_disk_leaves_the_cursor_where_it_was(
    store: SqliteStore, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(file, "one")

    def full(_cursor: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store.capture, "put_cursor", full)
        with pytest.raises(StoreUnavailable):
            take(store, file)
    assert texts(store) == []
    take(store, file)
    assert texts(store) == ["one"]


def test_what_was_there_before_following_began_is_taken_as_read(
    store: SqliteStore, file: Path
) -> None:
    write(file, "old", "older")
    assert take(store, file, from_end=True).events == 0
    grow(file, line("new") + "\n")
    assert take(store, file, from_end=True).events == 1
    assert texts(store) == ["new"]


def test_nothing_is_kept_where_capturing_is_off(store: SqliteStore, file: Path) -> None:
    write(file, "one")
    made = TranscriptFile(claude.CLIENT, str(file), claude.read)
    take_in(store, made, lambda _: SessionBelonging(kept=False))
    assert take(store, file).events == 0
    assert texts(store) == []


def test_transcripts_are_found_where_clients_keep_them(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for path in (
        ".claude/projects/a/1.jsonl", ".claude/projects/a/1/subagents/x.jsonl",
        ".claude/projects/a/notes.txt", ".codex/sessions/2026/01/02/rollout-x.jsonl",
        ".codex/sessions/2026/index.jsonl",
    ):  # fmt: skip
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text("")
    where = finding.roots(str(home), {})
    found = [Path(one.path).name for one in finding.transcripts(where)]
    assert found == ["1.jsonl", "rollout-x.jsonl"]
    assert list(finding.transcripts(where, newer_than=1e12)) == []
    moved = finding.roots("/h", {"CLAUDE_CONFIG_DIR": "/c", "CODEX_HOME": "/x"})
    assert moved == {"claude-code": "/c/projects", "codex": "/x/sessions"}
    assert list(finding.transcripts({"codex": str(tmp_path / "nowhere")})) == []


def test_sessions_belong_to_the_project_of_their_directory(
    store: SqliteStore, tmp_path: Path
) -> None:
    state, project = tmp_path / "state", tmp_path / "home" / "app"
    (project / "sub").mkdir(parents=True)
    config = from_dict({"confine": [{"path": str(project / "sub"), "namespace": "acme"}]})
    places = BelongingOf(store, config, str(tmp_path / "home"), str(state))
    found = places(str(project))
    assert found == places(str(project))
    assert (found.namespace, found.kept) == ("default", True)
    assert found.project is not None
    assert places("") == SessionBelonging(None, "default", True)
    assert not places(f"{state}/work-1/t1/tree").kept
    assert places(str(project / "sub")).namespace == "acme"


def test_a_switch_decides_and_who_waits_for_one_keeps_nothing_without(
    store: SqliteStore, tmp_path: Path
) -> None:
    def kept(**told: bool) -> bool:
        made = BelongingOf(store, from_dict({}), str(tmp_path), str(tmp_path / "s"), **told)
        return made("").kept

    assert kept()
    assert not kept(told_only=True)
    store.capture.switch(None, True)
    assert kept(told_only=True)
    store.capture.switch(None, False)
    assert not kept()
