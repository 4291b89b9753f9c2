"""The words' file: the same scores as FTS5, the same filter as the store, and never trusted."""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from khive_supervisor.errors import IndexFileError
from khive_supervisor.index.inverted import postings_file
from khive_supervisor.index.inverted.collect import collect
from khive_supervisor.index.inverted.postings_file import COLUMN_WEIGHTS, PostingsFile, write
from khive_supervisor.index.inverted.scope import PostingsView, Scope
from khive_supervisor.index.vectors.build import build
from khive_supervisor.index.vectors.generation import Generations
from khive_supervisor.index.vectors.mapped import MappedGeneration
from khive_supervisor.index.vectors.reader import VectorIndex
from khive_supervisor.projects.identity import ProjectIdentity
from khive_supervisor.search import full_text
from khive_supervisor.search.full_text import LexicalSearch
from khive_supervisor.search.lexical import inverse_frequency
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import EntryFilter, NewEntry
from khive_supervisor.store.vectors import Generation
from khive_supervisor.text.analysis import match_expression, read_query

DIMENSIONS = 8
QUERIES = ["worda wordb wordj", "wordc", "worda_wordb wordb.worda unique5", "nobody"]
WORDS = [f"word{chr(97 + i)}" for i in range(20)]


def entry(number: int) -> NewEntry:
    """Texts of a few words, some of which nearly every entry has."""
    draw = random.Random(number)
    words = [WORDS[min(int(draw.expovariate(0.2)), 19)] for _ in range(draw.randrange(1, 40))]
    return NewEntry(
        draw.choice(("memory", "knowledge")),
        draw.choice(("one", "two", "three")),
        draw.choice(("note", "fact")),
        " ".join(words[:3]),
        f"{' '.join(words)} unique{number}",
        tags=tuple(draw.sample(("red", "green", "blue"), draw.randrange(3))),
        created_at=1000.0 + number,
        project=draw.choice((None, 1, 2)),
    )


def projects(store: SqliteStore) -> None:
    """Make the projects that entries are about."""
    for number in (1, 2):
        mark = f"folder:/{number}"
        assert store.projects.ensure(ProjectIdentity(str(number), mark, mark)) == number


def filled(path: Path, count: int = 400) -> Generation:
    with SqliteStore(str(path)) as store:
        projects(store)
        vectors = np.random.default_rng(3).normal(size=(count, DIMENSIONS)).astype("<f2")
        store.entries.add([entry(i) for i in range(count)], [one.tobytes() for one in vectors], "m")
        store.entries.forget([7, 8, 300])
        row = build(store, Generations(str(path)), "m", DIMENSIONS, trees=2)
    assert row is not None
    return row


@pytest.fixture(scope="module", autouse=True)
def fts5s_constants() -> Iterator[None]:
    """With the constants of FTS5, and no least number of entries, both say the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings_file, "K1", 1.2)
        patch.setattr(postings_file, "B", 0.75)
        patch.setattr(full_text, "MOST_IMPACT", 2.2)
        patch.setattr(full_text, "FEWEST_ENTRIES", 0)
        yield


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Generation]:
    path = tmp_path_factory.mktemp("words") / "k.db"
    return path, filled(path)


@pytest.fixture
def store(built: tuple[Path, Generation]) -> Iterator[SqliteStore]:
    with SqliteStore(str(built[0])) as opened:
        yield opened


@pytest.fixture
def file(built: tuple[Path, Generation]) -> Iterator[PostingsFile]:
    opened = PostingsFile(Generations(str(built[0])).postings(built[1]), built[1])
    yield opened
    opened.close()


@pytest.mark.parametrize("word", [*WORDS, "unique5", "unique399"])
def test_a_word_is_worth_what_fts5_says(store: SqliteStore, file: PostingsFile, word: str) -> None:
    (token,) = store.full_text.tokens([word])[word]
    expected = dict(store.full_text.match(match_expression([word]), 1000, weights=COLUMN_WEIGHTS))
    ids, impacts = file.postings([token])[token]
    idf = inverse_frequency(len(ids), file.description.items)
    assert dict(zip(ids.tolist(), (impacts * np.float32(idf)).tolist(), strict=True)) == {
        one: pytest.approx(score, rel=2e-3) for one, score in expected.items()
    }
    assert ids.tolist() == sorted(ids.tolist())


def test_unknown_words_and_dead_entries_are_not_in_it(
    store: SqliteStore, file: PostingsFile
) -> None:
    assert file.postings(["nobody", "unique6", "unique299", ""]) == {}
    assert file.postings([]) == {}
    assert (file.description.items, file.description.highest) == (397, 400)
    assert np.flatnonzero(file.lengths == 0).tolist() == [0, 7, 8, 300]
    assert file.description.fate == store.postings.last_fate() == 3


FILTERS = [
    EntryFilter(),
    EntryFilter(collection="memory"),
    EntryFilter(namespaces=("one",)),
    EntryFilter(namespaces=("one", "three")),
    EntryFilter(namespaces=()),
    EntryFilter(namespaces=("nobody",)),
    EntryFilter(kinds=("fact",), tags=("red",)),
    EntryFilter(tags=("red", "blue")),
    EntryFilter(since=1100.0, until=1200.0),
    EntryFilter(collection="knowledge", namespaces=("two",), kinds=("note", "fact"), since=1250.0),
    EntryFilter(projects=(None,)),
    EntryFilter(projects=(None, 1)),
    EntryFilter("memory", ("one",), projects=(2,)),
    EntryFilter(projects=()),
]


@pytest.mark.parametrize("where", FILTERS, ids=str)
def test_who_passes_is_what_the_store_says(tmp_path: Path, where: EntryFilter) -> None:
    path = tmp_path / "k.db"
    row = filled(path)
    with SqliteStore(str(path)) as store:
        store.entries.forget([20, 21])
        store.entries.restore([7, 20])
        store.entries.add([entry(400), entry(401)])
        store.entries.supersede(50, entry(402))
        file = PostingsFile(Generations(str(path)).postings(row), row)
        view = PostingsView.of(file, store.postings.fates(file.description.fate))
        ids = np.arange(-2, 410)
        passed = Scope(store, where, view=view).passing(ids)
        passing = store.entries.filter_ids(ids.tolist(), where)
        assert set(ids[passed].tolist()) == passing
        known = np.flatnonzero(view.mask(where))
        assert set(known.tolist()) == {i for i in passing if view.knows(np.array([i]))[0]}
        with contextlib.closing(VectorIndex(store, "m", DIMENSIONS)) as index:
            few = index.scope(where).few
            assert few is None if where.empty else few is not None
            assert few is None or few.tolist() == sorted(passing)
        assert view.revived
        assert view.changed.tolist() == [7, 20, 21, 50]
        # What it does not know is all that is asked of the store.
        assert ids[~view.knows(ids)].tolist() == [
            *[-2, -1, 0, 7, 8, 20, 21, 50, 300],
            *range(401, 410),
        ]
        file.close()


def test_what_moves_to_another_project_is_asked_of_the_store(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    row = filled(path)
    with SqliteStore(str(path)) as store:
        where = EntryFilter(projects=(1,))
        before = store.entries.filter_ids(range(500), where)
        moved = store.projects.move([min(before)], 2)
        file = PostingsFile(Generations(str(path)).postings(row), row)
        view = PostingsView.of(file, store.postings.fates(file.description.fate))
        assert view.changed.tolist() == moved
        passed = Scope(store, where, view=view).passing(np.arange(500))
        assert set(np.flatnonzero(passed).tolist()) == before - set(moved)
        file.close()


def test_words_count_by_what_is_searched(tmp_path: Path) -> None:
    """The best of a project are those that it would find if it were alone."""
    path, alone = tmp_path / "k.db", tmp_path / "alone.db"
    filled(path)
    with SqliteStore(str(path)) as store, SqliteStore(str(alone)) as other:
        projects(other)
        own = store.entries.page(0, 500, EntryFilter(projects=(1,)))
        other.entries.add([entry(one.id - 1) for one in own])
        build(other, Generations(str(alone)), "m", DIMENSIONS, trees=2)
        for query in QUERIES[:2]:
            found = []
            for searched, where in ((store, EntryFilter(projects=(1,))), (other, EntryFilter())):
                with contextlib.closing(VectorIndex(searched, "m", DIMENSIONS)) as index:
                    hits = LexicalSearch(searched).search(read_query(query), index.scope(where), 9)
                entries = searched.entries.get([hit for hit, _ in hits.found])
                found.append([(one.content, hits.selection) for one in entries])
            assert [one[1].required for one in found[0]] == [one[1].required for one in found[1]]


def test_a_file_that_knows_no_projects_asks_the_store(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    row = filled(path)
    with SqliteStore(str(path)) as store:
        file = PostingsFile(Generations(str(path)).postings(row), row)
        file.projects = None  # as an earlier release has written it
        view = PostingsView.of(file, store.postings.fates(file.description.fate))
        where = EntryFilter(projects=(1,))
        assert not view.judges(where)
        assert view.judges(EntryFilter())
        passed = Scope(store, where, view=view).passing(np.arange(500))
        assert set(np.flatnonzero(passed).tolist()) == store.entries.filter_ids(range(500), where)
        file.close()


def test_it_is_written_while_entries_come_and_go(tmp_path: Path) -> None:
    """Each step of the collection sees another state of the store."""
    path = tmp_path / "k.db"
    with SqliteStore(str(path)) as store, SqliteStore(str(path)) as writer:
        projects(store)
        store.entries.add([entry(i) for i in range(50)])
        real = store.postings.occurrences

        def occurrences(after: str, last: str) -> list[tuple[str, int, str]]:
            writer.entries.forget([1, 2])
            writer.entries.restore([1])
            writer.entries.add([entry(60)])
            return real(after, last)

        store.postings.occurrences = occurrences  # type: ignore[method-assign]  # a slow builder's
        about, arrays = collect(store)
        row = Generation(1, "m", "", "00" * 32, "", 0, 0, "", 0, 0, 0, 50, False, 0.0)
        write(str(tmp_path / "1.words"), row, about, arrays)
        file = PostingsFile(str(tmp_path / "1.words"), row)
        view = PostingsView.of(file, store.postings.fates(about.fate))
        everybody = np.arange(60)
        passed = everybody[Scope(store, EntryFilter(), view=view).passing(everybody)]
        assert passed.tolist() == [1, *range(3, 52)]
        assert file.description.highest == 50
        file.close()


def test_a_store_without_a_word_has_a_file(tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "k.db")) as store:
        about, arrays = collect(store)
    row = Generation(1, "m", "", "00" * 32, "", 0, 0, "", 0, 0, 0, 0, False, 0.0)
    write(str(tmp_path / "1.words"), row, about, arrays)
    file = PostingsFile(str(tmp_path / "1.words"), row)
    assert file.postings(["word"]) == {}
    assert file.intact()
    assert file.sound()
    file.close()
    file.close()
    assert not file.intact()


def test_it_is_verified_with_its_generation(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    row = filled(path, 60)
    generations = Generations(str(path))
    generations.verify(row)
    place = Path(generations.postings(row))
    original = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(original[:-9] + bytes([original[-9] ^ 1]) + original[-8:])
    with pytest.raises(IndexFileError, match="damaged"):
        generations.verify(row)
    place.unlink()
    generations.verify(row)


@pytest.mark.parametrize("cut", [0, 5, 80, 200, -1, -4000])
def test_a_truncated_or_foreign_file_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "k.db"
    row = filled(path, 60)
    place = Path(Generations(str(path)).postings(row))
    content = place.read_bytes()
    place.chmod(0o600)
    place.write_bytes(content[:cut])
    with pytest.raises(IndexFileError, match="words' file"):
        PostingsFile(str(place), row)
    # Without it the generation serves, and the words are FTS5's.
    with SqliteStore(str(path)) as store:
        index = VectorIndex(store, "m", DIMENSIONS)
        scope = index.scope()
        assert scope.view is None
        assert scope.passing(np.array([1, 7, 60])).tolist() == [True, False, True]
        assert len(index.search(np.ones(DIMENSIONS, np.float32), 100)) == 58
        index.close()


def test_one_of_another_generation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    first = filled(path, 60)
    with SqliteStore(str(path)) as store:
        store.entries.add([entry(70)], [np.ones(DIMENSIONS, "<f2").tobytes()], "m")
        second = build(store, Generations(str(path)), "m", DIMENSIONS, trees=2)
    assert second is not None
    generations = Generations(str(path))
    Path(generations.postings(first)).rename(generations.postings(second))
    mapped = MappedGeneration(generations, second)
    assert mapped.postings is None
    mapped.close()


def test_no_damage_leads_anywhere_else(tmp_path: Path) -> None:
    """Every byte may be another one: wrong answers or a refusal, nothing worse."""
    path = tmp_path / "k.db"
    row = filled(path, 60)
    place = Path(Generations(str(path)).postings(row))
    content = place.read_bytes()
    place.chmod(0o600)
    draw = random.Random(11)
    answered = 0
    with SqliteStore(str(path)) as store:
        for _ in range(300):
            damaged = bytearray(content)
            for _ in range(draw.randrange(1, 40)):
                damaged[draw.randrange(len(damaged))] = draw.randrange(256)
            place.write_bytes(damaged)
            try:
                file = PostingsFile(str(place), row)
            except IndexFileError:
                continue
            answered += 1
            view = PostingsView.of(file, [])
            scope = Scope(store, EntryFilter(namespaces=("one",), since=5.0), view=view)
            words = LexicalSearch(store)
            for query in QUERIES:
                for found in (scope, Scope(store, EntryFilter(), view=view)):
                    hits = words.search(read_query(query), found, 20).found
                    assert all(math.isfinite(score) for _, score in hits)
                    ages = view.ages([entry for entry, _ in hits])
                    assert all(math.isfinite(one) for age in ages.values() for one in age)
            file.close()
    assert answered > 30


def test_a_wrong_number_in_its_description_is_refused(tmp_path: Path) -> None:
    """It would hide who has died."""
    path = tmp_path / "k.db"
    row = filled(path, 60)
    place = Path(Generations(str(path)).postings(row))
    content = place.read_bytes()
    assert b'"fate": 2' in content
    place.chmod(0o600)
    place.write_bytes(content.replace(b'"fate": 2', b'"fate": 9', 1))
    with pytest.raises(IndexFileError, match="words' file"):
        PostingsFile(str(place), row)


def test_shorter_than_it_was_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "k.db"
    row = filled(path, 60)
    with SqliteStore(str(path)) as store:
        index = VectorIndex(store, "m", DIMENSIONS)
        assert index.scope().view is not None
        place = Path(Generations(str(path)).postings(row))
        place.chmod(0o600)
        with place.open("r+b") as file:
            file.truncate(100)
        assert index.scope().view is None
        assert len(index.search(np.ones(DIMENSIONS, np.float32), 100)) == 58
        index.close()
