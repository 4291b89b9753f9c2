"""Sources: one living text each, against a plain model."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import Engine
from hypothesis import given, settings
from hypothesis import strategies as st

from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import EntryFilter, LearnedText, NewEntry, Piece, SourceText

MODEL = "model"


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db")) as opened:
        yield opened


def piece(content: str, title: str = "", tags: tuple[str, ...] = (), **more: str) -> Piece:
    entry = NewEntry("knowledge", "local", "document", title, content, tags, source="/f.md")
    return Piece(entry, **more)


def text(store: Store, name: str, *contents: str, **more: Any) -> SourceText:
    pieces = tuple(
        replace(p, entry=replace(p.entry, source=name or None)) for p in map(piece, contents)
    )
    run = store.sources.begin_run()
    return replace(SourceText("local", name, pieces, run), **more)


def say(store: Store, name: str, *contents: str, **more: object) -> LearnedText:
    return store.sources.say(text(store, name, *contents, **more))


def living(store: Store) -> dict[str, str | None]:
    """What is live, and the source that is shown; each is found by words, and nothing else is."""
    entries = store.entries.page(where=EntryFilter())
    for entry in store.entries.page():
        found = [one for one, _ in store.full_text.match(f'"{entry.content}"', 9)]
        assert found == ([entry.id] if entry.live else found)
        assert entry.live or entry.id not in found
    assert len({entry.content for entry in entries}) == len(entries)
    assert store.quick_check() == []
    return {entry.content: entry.source for entry in entries}


def test_what_a_source_no_longer_says_is_retired(store: Store) -> None:
    say(store, "/f.md", "monday", "same")
    said = say(store, "/f.md", "thursday", "same")
    assert (said.stored, said.known, len(said.retired)) == (1, 1, 1)
    assert living(store) == {"thursday": "/f.md", "same": "/f.md"}


def test_what_comes_back_has_its_old_id(store: Store) -> None:
    (first,) = say(store, "/f.md", "monday").ids
    say(store, "/f.md", "thursday")
    said = say(store, "/f.md", "monday")
    assert (said.ids, said.restored) == ((first,), 1)
    assert living(store) == {"monday": "/f.md"}


def test_what_was_retired_can_be_restored_and_stays(store: Store) -> None:
    (old,) = say(store, "/f.md", "monday").ids
    say(store, "/f.md", "thursday")
    assert store.entries.restore([old]) == [old]
    say(store, "/f.md", "friday")
    assert set(living(store)) == {"monday", "friday"}


def test_what_two_sources_say_lives_as_long_as_one_does(store: Store) -> None:
    say(store, "/o.md", "shared", "own")
    say(store, "/p.md", "shared")
    assert say(store, "/o.md", "own").retired == ()
    assert living(store) == {"shared": "/p.md", "own": "/o.md"}
    assert len(say(store, "/p.md").retired) == 1
    assert living(store) == {"own": "/o.md"}


def test_what_was_said_without_a_source_outlives_sources(store: Store) -> None:
    store.entries.add([piece("said by itself").entry])
    say(store, "/f.md", "said by itself", "other")
    say(store, "/f.md")
    assert set(living(store)) == {"said by itself"}


def test_a_source_takes_the_place_of_another(store: Store) -> None:
    before = say(store, "/old.md", "a", "b", digest=b"d" * 16).ids
    (known,) = store.sources.with_digests("local", [b"d" * 16])
    assert (known.name, known.entries, known.live) == ("/old.md", 2, 2)
    said = say(store, "/new.md", "a", "b", digest=b"d" * 16, instead_of=("/old.md",))
    assert said.ids == before
    assert living(store) == {"a": "/new.md", "b": "/new.md"}
    assert [one.name for one in store.sources.with_digests("local", [b"d" * 16])] == ["/new.md"]


def test_a_deleted_source_ends(store: Store) -> None:
    say(store, "/d/a.md", "a", "both")
    say(store, "/d/b.md", "both")
    assert len(store.sources.end("local", ["/d/a.md", "/nothing.md"])) == 1
    assert living(store) == {"both": "/d/b.md"}
    assert [one.name for one in store.sources.below("local", "/d")] == ["/d/b.md"]


def test_below_a_folder_is_not_beside_it(store: Store) -> None:
    for name in ("/d/a", "/d/e/b", "/d.md", "/d0", "/dd/c", "/d-x/f"):
        say(store, name, name)
    assert [one.name for one in store.sources.below("local", "/d")] == ["/d/a", "/d/e/b"]
    assert [one.name for one in store.sources.below("local", "/d", "/d/a")] == ["/d/e/b"]
    assert len(store.sources.below("local", "/")) == 6


def test_by_title_only_what_has_it_is_replaced(store: Store) -> None:
    run = store.sources.begin_run()
    first = (piece("a 1", "a"), piece("b 1", "b"), piece("none"))
    store.sources.say(SourceText("local", "s", first, run))
    run = store.sources.begin_run()
    store.sources.say(SourceText("local", "s", (piece("a 2", "a"),), run, replaces="title"))
    assert set(living(store)) == {"a 2", "b 1", "none"}
    run = store.sources.begin_run()
    store.sources.say(SourceText("local", "s", (piece("a 3", "a"),), run, replaces="nothing"))
    assert set(living(store)) == {"a 2", "a 3", "b 1", "none"}


def test_tags_are_added_and_a_kind_is_taken(store: Store) -> None:
    run = store.sources.begin_run()
    store.sources.say(SourceText("local", "/f.md", (piece("text", tags=("a",)),), run))
    run = store.sources.begin_run()
    store.sources.say(
        SourceText("local", "/f.md", (piece("text", tags=("b", "a"), kind="guide"),), run)
    )
    (entry,) = store.entries.page()
    assert (entry.tags, entry.kind) == (("a", "b"), "guide")
    for where in (EntryFilter(tags=("a", "b")), EntryFilter(kinds=("guide",))):
        assert [one for one, _ in store.full_text.match('"text"', 9, where)] == [entry.id]
    assert store.full_text.match('"text"', 9, EntryFilter(kinds=("document",))) == []
    # Whoever keeps copies of the words asks again for what has changed.
    assert [fate.entry_id for fate in store.postings.fates(0)] == [entry.id]


def test_a_replacement_in_parts_is_seen_whole_or_not_at_all(store: Store) -> None:
    say(store, "/f.md", "old 1", "old 2", "same")
    run = store.sources.begin_run()

    def part(*contents: str, more: bool) -> LearnedText:
        return store.sources.say(
            SourceText("local", "/f.md", tuple(map(piece, contents)), run, more=more)
        )

    part("new 1", "same", more=True)
    part("new 2", more=True)
    assert set(living(store)) == {"old 1", "old 2", "same"}
    part("new 3", more=False)
    assert set(living(store)) == {"new 1", "new 2", "new 3", "same"}


def test_an_interrupted_replacement_changes_nothing(store: Store) -> None:
    say(store, "/f.md", "old", "same")
    store.sources.say(text(store, "/f.md", "new", "same", more=True, digest=b"d" * 16))
    assert set(living(store)) == {"old", "same"}
    (known,) = store.sources.named("local", ["/f.md"])
    assert known.digest is None
    say(store, "/f.md", "newest")
    assert set(living(store)) == {"newest"}


def test_a_first_text_in_parts_is_found_as_it_comes(store: Store) -> None:
    store.sources.say(text(store, "/f.md", "first", more=True))
    assert set(living(store)) == {"first"}


def test_an_earlier_reading_takes_nothing_of_a_later_one(store: Store) -> None:
    early, late = store.sources.begin_run(), store.sources.begin_run()
    store.sources.say(replace(text(store, "/f.md", "late"), run=late))
    said = store.sources.say(replace(text(store, "/f.md", "early"), run=early, latest=True))
    assert said.ids == ()
    assert set(living(store)) == {"late"}
    assert store.sources.say(replace(text(store, "/f.md", "early"), run=early)).ids
    assert set(living(store)) == {"late", "early"}


def test_a_twin_that_came_while_a_part_waited_is_not_doubled(store: Store) -> None:
    say(store, "/f.md", "old")
    waiting = text(store, "/f.md", "new", more=True)
    store.sources.say(waiting)
    say(store, "/g.md", "new")
    store.sources.say(replace(waiting, pieces=(), more=False))
    assert set(living(store)) == {"new"}
    assert say(store, "/g.md").retired == ()
    assert set(living(store)) == {"new"}


def test_what_needs_no_vector(store: Store) -> None:
    with_vector = text(store, "/f.md", "a")
    store.sources.say(with_vector, [b"\0\0"], MODEL)
    say(store, "/f.md", "b")
    hashes = {c: piece(c).entry.content_hash for c in "abc"}
    assert store.sources.embedded(hashes.values(), MODEL) == {hashes["a"], hashes["b"]}
    assert store.sources.embedded([hashes["a"]], "other") == set()


# --- any history ---------------------------------------------------------------------------------

NAMES = st.sampled_from(["/d/a", "/d/b", "c"])
CONTENTS = st.lists(st.sampled_from(["one", "two", "three", "four"]), max_size=3, unique=True)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), NAMES, CONTENTS, st.integers(0, 2)),
        st.tuples(st.just("stop"), NAMES, CONTENTS, st.just(0)),
        st.tuples(st.just("end"), NAMES, st.just([]), st.just(0)),
    ),
    max_size=8,
)


@settings(max_examples=20)
@given(STEPS)
def test_what_lives_is_what_some_source_says(
    engine: Engine, steps: list[tuple[str, str, list[str], int]]
) -> None:
    """`stop`: a reading that is interrupted before its last part."""
    said: dict[str, set[str]] = {}
    loose: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory() as folder, engine(f"{folder}/khive.db") as store:
        for what, name, contents, cut in steps:
            if what == "end":
                store.sources.end("local", [name])
                said[name] = loose[name] = set()
                continue
            run = store.sources.begin_run()
            parts = [contents[:cut], contents[cut:]] if cut and what == "say" else [contents]
            for number, part in enumerate(parts):
                more = what == "stop" or number < len(parts) - 1
                store.sources.say(replace(text(store, name, *part, more=more), run=run))
            if what == "say":
                said[name], loose[name] = set(contents), set()
            else:  # what was said before the end of it may keep an entry alive
                loose[name] = loose.get(name, set()) | set(contents)
        lives = set(living(store))
        must = set().union(*said.values()) if said else set()
        may = must.union(*loose.values()) if loose else must
        assert must <= lives <= may
