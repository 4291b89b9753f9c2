"""What is purged leaves an empty row, and no bytes; what it taught a profile's weights stays."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import Engine
from secret_texts import PASSWORD, SECRET

from khive_supervisor.audit.verify import verify as verify_chain
from khive_supervisor.profiles.model import DEFAULT, FEEDBACK, NewEvent
from khive_supervisor.profiles.replay import verify
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import NewEntry, Piece, SourceText
from khive_supervisor.tasks.model import NewTask

MODEL = "m"
VECTOR = b"\x11\x22" * 24
#: Words that nothing else has.
MARKS = ("zyzzyvaxq", "quokkablat")


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db")) as opened:
        yield opened


def entry(content: str, **changes: object) -> NewEntry:
    values: dict[str, object] = {
        "collection": "memory", "namespace": "n", "kind": "fact", "title": "", "content": content,
    }  # fmt: skip
    return NewEntry(**(values | changes))  # type: ignore[arg-type]  # a test's shorthand


def held(store: Store, word: str) -> bool:
    """Return True if any file beside the store has a word, once its log is empty."""
    store.checkpoint(truncate=True)
    folder = Path(store.path).parent
    return any(word.encode() in file.read_bytes() for file in folder.rglob("*") if file.is_file())


def filled(store: Store) -> int:
    """Return the entry that has the marks, among others."""
    around = [entry(f"the number of entry {n} is {n * 17}") for n in range(300)]
    store.entries.add(around[:150])
    [marked] = store.entries.add(
        [entry(f"{MARKS[0]} has the number 99120771", title=f"of {MARKS[1]}", tags=("odd",))],
        [VECTOR], MODEL,
    )  # fmt: skip
    store.entries.add(around[150:])
    return marked.id


def test_of_what_is_purged_nothing_is_left(store: Store) -> None:
    number = filled(store)
    assert all(held(store, mark) for mark in MARKS)
    done = store.purges.purge([number, number, 9999])
    assert (done.ids, done.vectors) == ((number,), 1)
    assert not any(held(store, word) for word in (*MARKS, "99120771"))
    assert VECTOR not in Path(store.path).read_bytes()
    [left] = store.entries.get([number])
    assert (left.content, left.title, left.tags, left.source) == ("", "", (), None)
    assert left.purged_at is not None
    assert not left.live
    assert not left.forgotten
    assert store.quick_check() == []


def test_what_was_edited_and_forgotten_before_is_gone_from_free_pages(store: Store) -> None:
    number = filled(store)
    for turn in range(20):
        store.entries.annotate(number, [f"turn {turn}"])
        store.entries.add([entry(f"between {turn}: " + "word " * turn)])
    store.entries.forget([number])
    store.entries.restore([number])
    store.entries.forget([number])
    store.purges.purge([number])
    if held(store, MARKS[0]):
        store.purges.compact()
    assert not any(held(store, word) for word in (*MARKS, "99120771", "turn 7"))


def test_an_id_is_never_used_again_and_cannot_come_back(store: Store) -> None:
    [first] = store.entries.add([entry("the last of all")])
    store.purges.purge([first.id])
    assert store.entries.restore([first.id]) == []
    [again] = store.entries.add([entry("the last of all")])
    assert again.created
    assert again.id > first.id
    assert store.purges.purge([first.id]).ids == ()
    assert [one.id for one in store.entries.page()] == [again.id]
    assert store.stats().deleted == 0


def test_what_profiles_learned_goes_and_a_replay_agrees(store: Store) -> None:
    ids = [one.id for one in store.entries.add([entry("one"), entry("two")])]
    for number in ids:
        for session in ("a", "b"):
            store.feedback.record(
                NewEvent(DEFAULT, FEEDBACK, "useful", number, session=session,
                         latency_us=1000, detail={"query": f"of {MARKS[0]}"})
            )  # fmt: skip
    assert store.purges.purge([ids[0]]).learned == 1
    state, _ = store.profiles.state(DEFAULT)
    assert set(state.targets) == {ids[1]}
    assert {key[0] for key in state.masses} == {ids[1]}
    assert verify(store.profiles, DEFAULT) == []
    details = [one.detail for one in store.profiles.events(DEFAULT) if one.entry_id == ids[0]]
    assert details == [{"latency_us": 1000}] * 2 + [{}]
    store.feedback.record(NewEvent(DEFAULT, FEEDBACK, "useful", ids[1], session="c"))
    assert verify(store.profiles, DEFAULT) == []


def test_documents_that_say_it_and_versions_before_it_are_named(store: Store) -> None:
    run = store.sources.begin_run()
    piece = Piece(entry("in the file", collection="knowledge"))
    said = store.sources.say(SourceText("n", "/notes.md", (piece,), run))
    [old] = store.entries.add([entry("as it was")])
    new = store.entries.supersede(old.id, entry("as it is"))
    done = store.purges.purge([said.ids[0], new.id])
    assert done.sources == ("/notes.md",)
    assert done.versions == (old.id,)
    assert store.sources.of(said.ids[0]) == []
    assert store.entries.get([old.id])[0].superseded_by == new.id


def test_the_chain_tells_of_memories_by_a_digest_that_a_purge_leaves_nobody_to_try(
    store: Store,
) -> None:
    first, second = store.entries.add([entry("same"), entry("same", namespace="o")])
    store.entries.forget([first.id])
    store.entries.restore([first.id])
    store.entries.supersede(second.id, entry("other", namespace="o"))
    store.purges.purge([first.id])
    entries = list(store.audit.entries())
    assert [one.kind for one in entries] == [
        "memory.remembered", "memory.remembered", "memory.forgotten", "memory.restored",
        "memory.remembered", "memory.superseded", "memory.purged", "store.purged",
    ]  # fmt: skip
    assert entries[0].detail != entries[1].detail
    assert entry("same").content_hash.hex() not in entries[0].detail
    assert verify_chain(entries).intact
    assert {one.subject for one in entries[:2]} == {f"entry/m{first.id}", f"entry/m{second.id}"}


def test_nothing_is_done_if_something_fails(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    number = filled(store)

    def fail(*_: object, **__: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(store.audit, "append", fail)
    with pytest.raises(OSError, match="no room"):
        store.purges.purge([number])
    monkeypatch.undo()
    assert store.entries.get([number])[0].live
    assert store.full_text.match(f'"{MARKS[0]}"', 5)
    assert store.entries.forget([number]) == [number]


# --- secrets that are in already ------------------------------------------------------------------


@pytest.fixture
def careless(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    """A store into which secrets got before there was a gate."""
    with engine(str(tmp_path / "khive.db"), secrets="off") as opened:
        yield opened


def test_secrets_are_named_by_their_places_and_masked_there(careless: Store) -> None:
    store = careless
    store.entries.add([entry(f"a\nthe token is {SECRET}", source="fine"), entry("fine")])
    store.tasks.assign(NewTask("r", payload={"env": {"PASSWORD": PASSWORD}, "n": 1}))
    store.profiles.create("careful", f"password: {PASSWORD}")
    found = list(store.purges.secrets())
    assert [(one.table, one.column, one.row) for one in found] == [
        ("entries", "content", 1), ("profiles", "description", 2), ("tasks", "payload", 1),
    ]  # fmt: skip
    assert found[0].place == "line 2, column 14 (github-token)"
    assert SECRET not in repr(found)
    assert PASSWORD not in repr(found)
    assert SECRET.encode() in store.purges.values(found)
    assert store.purges.holders(SECRET.encode()) == ["entries.content of row 1"]
    assert store.purges.mask(found) == 2
    assert [one.table for one in store.purges.secrets()] == ["entries"]
    task = store.tasks.find(1)
    assert task is not None
    assert task.payload == {"env": {"PASSWORD": "[masked assigned-secret]"}, "n": 1}
    assert not held(store, PASSWORD)


def test_pages_of_rows_are_all_looked_at(careless: Store) -> None:
    careless.entries.add([entry(f"the token {n} is {SECRET}") for n in range(1200)])
    assert len(list(careless.purges.secrets())) == 1200
