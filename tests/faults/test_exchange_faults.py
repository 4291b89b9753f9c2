"""Imports, purges and sweeps that are cut, hostile, without room, or made by two at once."""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Installation, installed, limited

from khive_supervisor import exitcodes
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry

MIB = 1 << 20
ALONE = {"KHIVE_NO_DAEMON": "1"}
HEADER: dict[str, Any] = {
    "type": "khive-export", "version": 1, "release": "0.3.0", "exported_at": "2026-11-30T00:00:00Z",
    "store": "ab" * 16, "complete": True,
}  # fmt: skip
ENTRY: dict[str, Any] = {
    "type": "entry", "id": 1, "collection": "memory", "namespace": "default", "kind": "semantic",
    "content": "a fact", "created_at": 1.0,
}  # fmt: skip


@pytest.fixture
def khive(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path / "h") as made:
        made.configure('[embedder]\nkind = "none"\n')
        yield made


def fill(khive: Installation, count: int, words: int = 60) -> None:
    """Make a store with entries, some of which take the place of others."""
    khive.store.parent.mkdir(parents=True, exist_ok=True)
    text = "words of some length " * words
    entries = [NewEntry("memory", "default", "k", f"t{n}", f"e{n}e {text}") for n in range(count)]
    with SqliteStore(str(khive.store)) as store:
        store.entries.add(entries)
        store.entries.forget(range(1, 10))


def state(khive: Installation) -> tuple[int, list[str]]:
    """Return how many entries there are, and what is wrong with the store."""
    with SqliteStore(str(khive.store)) as store:
        return store.entries.live_count(), store.quick_check()


def exported(khive: Installation, name: str) -> Path:
    file = khive.home / name
    khive.run("export", str(file), **ALONE)
    return file


def written(path: Path, *records: dict[str, Any], end: int | None = None) -> Path:
    count = len(records) - 1 if end is None else end
    lines = [*records, {"type": "end", "records": count}]
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def test_an_import_without_room_stores_whole_batches_and_goes_on_later(
    khive: Installation, tmp_path: Path
) -> None:
    fill(khive, 4000)
    file = exported(khive, "all.jsonl")
    with installed(tmp_path / "other") as other:
        other.configure('[embedder]\nkind = "none"\n')
        able = other.argv
        other.argv = limited(able, "RLIMIT_FSIZE", 6 * MIB)
        failed = other.run("import", str(file), code=None, **ALONE)
        assert failed.returncode not in (exitcodes.OK, -25, -9)
        assert "no room" in failed.stderr
        assert "records were imported before that" in failed.stderr
        assert "Repeat the import to go on" in failed.stderr
        other.argv = able
        some, wrong = state(other)
        assert (some % 10, wrong) == (1, [])  # 1,000 at once; nine of the first are forgotten
        assert 0 < some < 3991
        other.run("import", str(file), **ALONE)
        assert state(other) == (3991, [])
        assert '"stored": 0' in other.run("import", str(file), "--json", **ALONE).stdout


def test_a_purge_without_room_removes_nothing(khive: Installation) -> None:
    fill(khive, 2000, 100)
    able = khive.argv
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    assert most
    khive.argv = limited(able, "RLIMIT_FSIZE", khive.store.stat().st_size // 2)
    failed = khive.run("purge", "m20", "--yes", code=None, **ALONE)
    assert failed.returncode not in (exitcodes.OK, -25, -9)
    assert "Traceback" not in failed.stderr
    khive.argv = able
    with SqliteStore(str(khive.store)) as store:
        (entry,) = store.entries.get([20])
        whole = entry.purged_at is None and entry.content.startswith("e19e ")
        gone = entry.purged_at is not None and entry.content == ""
        assert whole or gone
        assert store.quick_check() == []
    khive.run("purge", "m20", "--yes", code=None, **ALONE)
    khive.run("purge", "m21", "--yes", **ALONE)
    assert b"e19e words" not in khive.store.read_bytes()
    assert state(khive)[1] == []


def at_once(khive: Installation, *commands: tuple[str, ...]) -> list[tuple[int, str]]:
    """Run commands at the same time; their exit codes, and what they say."""
    started = [
        subprocess.Popen(
            [*khive.argv, *words], env={**khive.env, **ALONE}, cwd=khive.home,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for words in commands
    ]  # fmt: skip
    said = [one.communicate(timeout=120)[0] for one in started]
    return [(one.returncode, text) for one, text in zip(started, said, strict=True)]


def test_two_purges_at_once(khive: Installation) -> None:
    fill(khive, 500)
    for code, said in at_once(khive, ("purge", "m30", "--yes"), ("purge", "m31", "--yes")):
        assert code == exitcodes.OK, said
    with SqliteStore(str(khive.store)) as store:
        assert [one.content for one in store.entries.get([30, 31])] == ["", ""]
        assert store.quick_check() == []
    whole = khive.store.read_bytes()
    assert b"e29e words" not in whole
    assert b"e30e words" not in whole


def test_two_sweeps_at_once_do_each_thing_once(khive: Installation) -> None:
    khive.store.parent.mkdir(parents=True, exist_ok=True)
    with SqliteStore(str(khive.store)) as store:
        over = [
            NewEntry("memory", "default", "k", "", f"fact {n}", valid_until=5.0) for n in range(60)
        ]
        store.entries.add(over)
        store.entries.add([NewEntry("memory", "default", "k", "", "it holds")])
    done = at_once(khive, ("tidy", "--apply", "--json"), ("tidy", "--apply", "--json"))
    assert [code for code, _ in done] == [exitcodes.OK] * 2, done
    with SqliteStore(str(khive.store)) as store:
        gone = [one for one in store.entries.page() if one.forgotten]
        assert store.entries.live_count() == 61 - len(gone)
        assert sum(json.loads(said)["applied"] for _, said in done) == len(gone)
        assert store.quick_check() == []


HOSTILE = {
    "of a later version": ([{**HEADER, "version": 99}, ENTRY], None),
    "cut": ([HEADER, ENTRY], 7),
    "of an unknown type": ([HEADER, {"type": "spell", "text": "x"}], None),
    "with a number that is none": ([HEADER, {**ENTRY, "id": "1; DROP TABLE entries"}], None),
    "with a salience beyond all": ([HEADER, {**ENTRY, "salience": 1e308}], None),
    "with half a character": ([HEADER, {**ENTRY, "content": "\ud800"}], None),
    "with a field of its own": ([HEADER, {**ENTRY, "trusted": True}], None),
    "with a vector of no model": ([HEADER, {**ENTRY, "vector": "AAAA"}], None),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_file_that_is_wrong_stores_nothing(khive: Installation, what: str) -> None:
    fill(khive, 20)
    records, end = HOSTILE[what]
    file = written(khive.home / "file.jsonl", *records, end=end)
    failed = khive.run("import", str(file), code=None, **ALONE)
    assert failed.returncode == exitcodes.USAGE, failed.stderr
    assert "Traceback" not in failed.stderr
    assert str(file) in failed.stderr
    assert state(khive) == (11, [])


def test_what_names_itself_or_nothing_harms_nothing(khive: Installation) -> None:
    fill(khive, 20)
    file = written(
        khive.home / "file.jsonl", HEADER,
        {**ENTRY, "id": 2**62, "superseded_by": 2**62, "content": "superseded by itself"},
        {**ENTRY, "id": 5, "content": "its number is taken"},
        {"type": "supersession", "entry": 77, "by": 78},
        {"type": "link", "from": 5, "to": 99, "kind": "same_as", "created_at": 1.0, "by": ""},
    )  # fmt: skip
    done = json.loads(khive.run("import", str(file), "--json", **ALONE).stdout)
    assert (done["stored"], sum(done["left_out"].values())) == (2, 2)
    assert state(khive) == (12, [])
    again = json.loads(khive.run("import", str(file), "--json", **ALONE).stdout)
    assert again["stored"] == 0
    with SqliteStore(str(khive.store)) as store:
        assert store.entries.highest_id() < 100
