"""Projects and provenance: marks, families, merging, moving, and what joins by history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engines import Engine

from khive_supervisor.errors import NotFound
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.store.interface import Store
from khive_supervisor.store.model import (
    EntryFilter,
    How,
    NewEntry,
    Piece,
    Provenance,
    SaidBy,
    SourceText,
)
from khive_supervisor.text.analysis import match_expression


@pytest.fixture
def store(engine: Engine, tmp_path: Path) -> Iterator[Store]:
    with engine(str(tmp_path / "khive.db"), clock=lambda: 1000.0) as opened:
        yield opened


def repository(path: str, node: int = 1, remote: str = "h/x") -> ProjectIdentity:
    mark = f"git:{path}/.git"
    candidates = (f"remote:{remote}", f"node:9:{node}")
    return ProjectIdentity(path.strip("/"), mark, mark, candidates, "main", "c" * 40)


A, B = repository("/a", 1), repository("/b", 2)


def remember(store: Store, content: str, project: int | None, **more: Any) -> int:
    entry = NewEntry("memory", "local", "semantic", "", content, project=project)
    (added,) = store.entries.add([replace(entry, **more)])
    return added.id


def ids(store: Store, identity: ProjectIdentity) -> tuple[int, ...]:
    family = store.projects.find(identity)
    return () if family is None else family.ids


def found(store: Store, *projects: int | None) -> set[int]:
    where = EntryFilter(projects=projects)
    by_words = {i for i, _ in store.full_text.match(match_expression(["port"]), 10, where)}
    assert {entry.id for entry in store.entries.recent(where)} == by_words
    assert set(store.entries.live_ids(where, 100) or ()) == by_words
    assert store.entries.filter_ids(range(100), where) == by_words
    assert store.entries.live_count(where) == len(by_words)
    return by_words


# --- numbers ----------------------------------------------------------------------------------


def test_a_project_is_stored_once_and_found_by_its_marks(store: Store) -> None:
    assert store.projects.find(A) is None
    number = store.projects.ensure(A)
    assert store.projects.ensure(A) == number != store.projects.ensure(B)
    family = store.projects.find(A)
    assert family is not None
    assert (family.ids, family.name) == ((number,), "a")
    assert store.projects.family(99) is None
    assert store.projects.names([number, 99]) == {number: "a"}
    assert [one.name for one in store.projects.named("A")] == ["a"]
    (row, _) = store.projects.all()
    assert (row.id, row.merged_into, row.created_at, row.marks) == (number, None, 1000.0, (A.own,))


def test_another_repository_at_the_same_path_is_another_project(store: Store) -> None:
    first = store.projects.ensure(A)
    follower = replace(A, candidates=("node:9:77",))
    assert store.projects.find(follower) is None
    second = store.projects.ensure(follower)
    assert second != first
    assert store.projects.find(A) is None  # its place is taken
    store.projects.note_roots(first, {"r" * 40})
    assert (first, frozenset({"r" * 40})) in store.projects.joinable(follower)
    store.projects.join(follower, first)  # history says that it is the same after all
    family = store.projects.find(follower)
    assert family is not None
    assert family.ids == (first, second)


@pytest.mark.parametrize("inside", [".git", ".bare"])
def test_a_folder_that_becomes_a_repository_stays_the_project_that_it_was(
    store: Store, inside: str
) -> None:
    folder = ProjectIdentity("a", "folder:/a", "folder:/a")
    number, part = store.projects.ensure(folder), store.projects.ensure(folder.narrowed("web"))
    became = replace(A, own=f"git:/a/{inside}", base=f"git:/a/{inside}")
    assert ids(store, became) == (number,)  # also before anything is stored from it
    assert ids(store, became.narrowed("web")) == (part,)
    assert store.projects.ensure(became) == number
    assert became.own in next(row.marks for row in store.projects.all() if row.id == number)
    # From then on another repository at this path is another project, and a moved one joins it.
    assert ids(store, replace(became, candidates=("node:9:77",))) == ()
    store.projects.note_roots(number, ["r"])
    assert [one for one, _ in store.projects.joinable(B)] == [number]
    assert ids(store, folder) == (number,)


@pytest.mark.parametrize("mark", ["git:/a/b/.git", "git:/a/x.git", "git:/a/.git/modules/b"])
def test_another_folder_than_the_repositorys_own_is_another_project(
    store: Store, mark: str
) -> None:
    for path in ("/a", "/a/x", "/a/.git", "/a/.git/modules"):
        store.projects.ensure(ProjectIdentity("f", f"folder:{path}", f"folder:{path}"))
    assert ids(store, replace(A, own=mark, base=mark)) == ()


def test_a_repository_that_was_a_folder_joins_its_clone(store: Store) -> None:
    number = store.projects.ensure(ProjectIdentity("a", "folder:/a", "folder:/a"))
    clone = store.projects.ensure(B)
    store.projects.join(A, clone)
    assert ids(store, A) == (clone, number)
    assert ids(store, replace(A, candidates=("node:9:77",))) == ()


def test_parts_are_projects_of_their_own(store: Store) -> None:
    web, api = A.narrowed("web"), A.narrowed("api")
    numbers = {store.projects.ensure(one) for one in (web, api, A, web)}
    assert len(numbers) == 3
    names = [one.name for one in store.projects.all()]
    assert names == ["a", "web", "api"]


# --- entries ----------------------------------------------------------------------------------


def test_a_search_is_held_to_projects(store: Store) -> None:
    a, b = store.projects.ensure(A), store.projects.ensure(B)
    ids = {one: remember(store, f"port of {one}", one) for one in (a, b, None)}
    assert found(store, None) == {ids[None]}
    assert found(store, a, None) == {ids[a], ids[None]}
    assert found(store, a, b, None) == set(ids.values())
    assert found(store, a) == {ids[a]}
    assert found(store) == set()
    assert store.projects.counts(EntryFilter()) == {a: 1, b: 1, None: 1}
    assert store.projects.counts(EntryFilter(namespaces=("other",))) == {}


def test_the_same_text_is_another_entry_in_another_project(store: Store) -> None:
    a, b = store.projects.ensure(A), store.projects.ensure(B)
    first, second = remember(store, "port", a), remember(store, "port", b)
    assert first != second
    assert remember(store, "port", a) == first
    whole = remember(store, "another port", None)
    assert remember(store, "another port", a) == whole  # said for every project already
    store.entries.forget([whole])
    assert remember(store, "another port", a) != whole  # and what was forgotten stays so


def test_entries_carry_what_was_checked_out_and_who_said_it(store: Store) -> None:
    said = Provenance(SaidBy.AGENT, How.SAID, "ada", "client", "2.0", "s1", "t3", "writer")
    more = {"branch": "main", "commit": "c" * 40}
    one = remember(store, "x", None, provenance=said, **more)
    two = remember(store, "y", None, provenance=said)
    other = remember(store, "z", None, provenance=replace(said, by=SaidBy.PERSON))
    entries = store.entries.get([one, two, other])
    assert [(e.branch, e.commit) for e in entries[:2]] == [("main", "c" * 40), (None, None)]
    numbers = [entry.provenance for entry in entries]
    assert numbers[0] == numbers[1] != numbers[2]
    known = store.entries.provenances([n for n in numbers if n is not None])
    assert known[numbers[0] or 0] == said
    assert known[numbers[2] or 0].by is SaidBy.PERSON
    bare = store.entries.get([remember(store, "w", None)])[0]
    assert (bare.project, bare.branch, bare.commit, bare.provenance) == (None, None, None, None)


# --- what people put right ----------------------------------------------------------------------


def test_merged_projects_are_one_family(store: Store) -> None:
    a, b, c = (store.projects.ensure(one) for one in (A, B, repository("/c", 3)))
    ids = [remember(store, "port one", a), remember(store, "port two", b)]
    before = store.change_counts()
    store.projects.merge(a, b)
    assert "projects" in store.change_counts().changed_since(before)
    for identity in (A, B):
        family = store.projects.find(identity)
        assert family is not None
        assert (family.ids, family.name) == ((a, b), "a")
        assert found(store, *family.ids) == set(ids)
    assert store.projects.ensure(B) == a
    assert store.projects.names([b]) == {b: "a"}
    store.projects.merge(b, a)  # they are one already
    store.projects.merge(c, b)  # with all that it is one with
    for number in (a, b, c):
        family = store.projects.family(number)
        assert family is not None
        assert family.ids == (c, a, b)
    with pytest.raises(NotFound, match="no project p99"):
        store.projects.merge(a, 99)


def test_a_renamed_project_is_found_by_its_new_name(store: Store) -> None:
    a = store.projects.ensure(A)
    store.projects.rename(a, "The Shop")
    assert [one.ids for one in store.projects.named("the shop")] == [(a,)]
    assert store.projects.named("a") == []
    with pytest.raises(NotFound):
        store.projects.rename(99, "x")


def test_entries_move_and_twins_stay(store: Store) -> None:
    a, b = store.projects.ensure(A), store.projects.ensure(B)
    one, two = remember(store, "port one", a), remember(store, "port two", a)
    twin = remember(store, "port two", b)
    gone = remember(store, "port three", a)
    store.entries.forget([gone])
    fate = store.postings.last_fate()
    assert store.projects.move([one, two, gone, twin, 99], b) == [one]
    assert [f.entry_id for f in store.postings.fates(fate)] == [one]
    assert found(store, a) == {two}
    assert found(store, b) == {one, twin}
    assert remember(store, "port one", b) == one
    assert store.projects.move([one], None) == [one]
    assert found(store, None) == {one}
    with pytest.raises(NotFound):
        store.projects.move([two], 99)


# --- what joins by history ------------------------------------------------------------------------


def test_projects_are_looked_at_once_and_joined_by_roots(store: Store) -> None:
    a = store.projects.ensure(A)
    assert store.projects.without_roots(A) == a
    assert [one.id for one in store.projects.unconfirmed(9)] == [a]
    assert store.projects.joinable(B) == []  # nothing is known of its history
    store.projects.note_roots(a, {"r" * 40, "s" * 40})
    assert store.projects.unconfirmed(9) == []
    assert store.projects.without_roots(A) is None
    assert store.projects.joinable(A) == []
    assert store.projects.joinable(B) == [(a, frozenset({"r" * 40, "s" * 40}))]
    assert store.projects.joinable(repository("/c", 3, "other/x")) == []
    store.projects.join(B, a)
    family = store.projects.find(B)
    assert family is not None
    assert family.ids == (a,)
    assert store.projects.ensure(B) == a
    folder = ProjectIdentity("f", "folder:/f", "folder:/f")
    store.projects.ensure(folder)
    assert store.projects.unconfirmed(9) == []


def test_a_project_that_is_stored_already_is_merged_when_it_joins(store: Store) -> None:
    a, b = store.projects.ensure(A), store.projects.ensure(B)
    store.projects.join(B, a)
    family = store.projects.find(B)
    assert family is not None
    assert family.ids == (a, b)


def test_parts_of_the_same_name_join_with_their_wholes(store: Store) -> None:
    web, other = store.projects.ensure(A.narrowed("web")), store.projects.ensure(B.narrowed("web"))
    api = store.projects.ensure(A.narrowed("api"))
    whole = store.projects.find(A)
    assert whole is not None
    store.projects.join(B, whole.ids[0])
    family = store.projects.find(B.narrowed("web"))
    assert family is not None
    assert family.ids == (web, other)
    found_by_clone = store.projects.find(B.narrowed("api"))  # never stored there
    assert found_by_clone is not None
    assert found_by_clone.ids == (api,)


# --- sources ------------------------------------------------------------------------------------


def say(store: Store, name: str, content: str, project: int | None, **more: bool) -> set[int]:
    entry = NewEntry("knowledge", "local", "document", "", content, source=name, project=project)
    run = store.sources.begin_run()
    text = SourceText("local", name, (Piece(entry),), run, project=project, **more)
    return set(store.sources.say(text).ids)


def test_a_name_that_is_no_place_is_each_projects_own(store: Store) -> None:
    a, b = store.projects.ensure(A), store.projects.ensure(B)
    one, two = say(store, "README", "port a", a), say(store, "README", "port b", b)
    assert found(store, a) == one
    assert found(store, b) == two
    assert [known.name for known in store.sources.named("local", ["README"], a)] == ["README"]
    assert [who for who, _, _ in store.sources.of(min(one))] == ["README"]
    new = say(store, "README", "port c", a)
    assert found(store, a) == new
    assert found(store, b) == two
    store.sources.end("local", ["README"], b)
    assert found(store, b) == set()
    assert found(store, a) == new


def test_a_file_stays_in_the_project_that_it_was_read_in_first(store: Store) -> None:
    a, b = store.projects.ensure(A), store.projects.ensure(B)
    say(store, "/docs/x.md", "port a", a)
    again = say(store, "/docs/x.md", "port b", b)
    assert found(store, a) == again
    assert found(store, b) == set()
    whole = say(store, "/docs/x.md", "port c", None, everywhere=True)
    assert found(store, None) == whole
    assert found(store, a) == set()
