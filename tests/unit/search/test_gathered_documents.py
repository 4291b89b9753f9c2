"""Several pieces of one document are one result, with its best pieces."""

from __future__ import annotations

from dataclasses import replace

from khive_supervisor.search.evidence import Judged
from khive_supervisor.search.fit import EntryFacts, QueryFacts
from khive_supervisor.search.fusion import Fused, Weighted
from khive_supervisor.search.ranking import Ranked
from khive_supervisor.search.results import FURTHER, document_of, gathered
from khive_supervisor.store.model import Entry

ARMS = (Weighted(0.5, 0.0), Weighted(0.5, 0.0))
ENTRY = Entry(
    7, "knowledge", "default", "document", "Guide > Install", "text", (), 0.5, 0.0,
    "/docs/guide.md", b"", 0.0, 0.0, None, None,
)  # fmt: skip


def judged(number: int) -> Judged:
    ranked = Ranked(Fused(number, 1.0, None, None, ARMS), 1.0, 1.0, 1.0)
    facts = EntryFacts(cosine=0.5, coverage=0.5, complete=False, rare=False, names=0.0)
    return Judged(ranked, 0.9, facts, QueryFacts(words=1, entries=1))


def shown(documents: str, limit: int) -> list[tuple[int, list[int], int]]:
    """Return of pieces of documents (a letter each, in order) what is shown, by place."""
    pieces = [judged(place) for place in range(len(documents))]
    return [
        (one.best.id, [further.id for further in one.further], one.unshown)
        for one in gathered(pieces, documents, limit)
    ]


def test_entries_by_themselves_are_results_in_their_order() -> None:
    assert shown("abc", 2) == [(0, [], 0), (1, [], 0)]


def test_a_document_stands_where_its_best_piece_stands() -> None:
    assert shown("aba", 3) == [(0, [2], 0), (1, [], 0)]


def test_what_would_not_have_been_shown_by_itself_is_counted() -> None:
    assert shown("abca", 3) == [(0, [], 1), (1, [], 0), (2, [], 0)]


def test_only_so_many_pieces_are_shown() -> None:
    assert shown("aaaaa", 5) == [(0, [1, 2], 5 - 1 - FURTHER)]


def test_a_learned_source_is_a_document() -> None:
    other = replace(ENTRY, id=8, title="Guide > Use")
    assert document_of(ENTRY) == document_of(other)
    assert document_of(ENTRY) != document_of(replace(other, source="/docs/other.md"))
    assert document_of(ENTRY) != document_of(replace(other, namespace="elsewhere"))


def test_records_are_no_pieces() -> None:
    for source in ("/data/all.jsonl", "/data/all.ndjson:3", "/data/ALL.JSONL:12", None):
        records = [replace(ENTRY, id=number, source=source) for number in (1, 2)]
        assert len({document_of(one) for one in records}) == 2


def test_memories_of_one_source_are_pieces_if_they_have_a_title_in_common() -> None:
    memory = replace(ENTRY, collection="memory", source="chat:5", title="Why did it fail?")
    assert document_of(memory) == document_of(replace(memory, id=8))
    for other in ("", "Another headline"):
        one = replace(memory, title=other)
        assert document_of(one) != document_of(replace(one, id=8, title=other and "A third"))
