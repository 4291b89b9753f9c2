"""Results: an entry or a document with its best pieces, how well it fits, and why; pure.

A document stands where its best piece stands. Further pieces are shown with it as far as they would
have been among the results by themselves; the others are counted.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from khive_supervisor.search import dated, fusion
from khive_supervisor.search.evidence import Judged
from khive_supervisor.search.exact_names import Written
from khive_supervisor.search.ranking import Ranked
from khive_supervisor.store.model import Entry

#: Pieces of a document that are shown beside its best one.
FURTHER = 2
#: Results that are looked at for one that is shown, where documents have several pieces among them.
LOOKED_AT = 3
#: Each line of such a file is an entry of its own, whatever it is about.
_RECORDS = re.compile(r"\.(jsonl|ndjson|json)(:\d+)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Hit:
    """One result: the entry, its fit, why it is here, and the numbers behind that.

    Attributes:
        pieces: further pieces of the same document, best first.
        asked_time: it was made at a time that the query names.
        unshown: pieces of it that fit, and are neither of these.
    """

    entry: Entry
    score: float
    why: str
    details: Mapping[str, object]
    judged: Judged
    pieces: tuple[Hit, ...] = ()
    unshown: int = 0
    asked_time: bool = False

    @property
    def every(self) -> tuple[Hit, ...]:
        """Return the hit and the further pieces that are shown with it."""
        return (self, *self.pieces)


@dataclass(frozen=True, slots=True)
class SearchResults:
    """Results, and how the search went.

    `missed`: results that were left out, since they do not fit as well as the floor asks for.
    """

    hits: list[Hit]
    notes: tuple[str, ...]
    lexical: str
    vector: str
    generation: int | None
    milliseconds: float
    missed: Sequence[Judged] = ()


@dataclass(slots=True)
class Document:
    """A result: its best piece, the further ones that are shown, and how many are not."""

    best: Judged
    further: list[Judged] = field(default_factory=list)
    unshown: int = 0


def document_of(entry: Entry) -> Hashable:
    """Return what the pieces of one document have in common; of an entry by itself, its id.

    What was learned of one source is one document, and memories that have their source and their
    title in common are: exchanges of a conversation. A source alone says only where they are from.
    """
    named = entry.title if entry.collection == "memory" else entry.source
    if not entry.source or not named or _RECORDS.search(entry.source):
        return entry.id
    title = entry.title if entry.collection == "memory" else ""
    return entry.collection, entry.namespace, entry.project, entry.source, title


def crowded(entries: Mapping[int, Entry], ranked: Sequence[Ranked]) -> bool:
    """Return True if several of the ranked entries are pieces of one document."""
    known = [document_of(entries[one.fused.id]) for one in ranked if one.fused.id in entries]
    return len(set(known)) < len(known)


def gathered(judged: Sequence[Judged], documents: Sequence[Hashable], limit: int) -> list[Document]:
    """Return the first `limit` documents, in the order of their best pieces.

    `judged` are the pieces in order, and `documents` what each is of.
    """
    found: dict[Hashable, Document] = {}
    for place, (piece, key) in enumerate(zip(judged, documents, strict=True)):
        document = found.get(key)
        if document is None:
            found[key] = Document(piece)
        elif place < limit and len(document.further) < FURTHER:
            document.further.append(piece)
        else:
            document.unshown += 1
    return [*found.values()][:limit]


def hits_of(
    judged: Sequence[Judged],
    entries: Mapping[int, Entry],
    written: Written,
    limit: int,
    by_document: bool,
) -> list[Hit]:
    """Return the first `limit` results, each with what is shown of its document besides."""

    def hit(one: Judged) -> Hit:
        return Hit(
            entries[one.id],
            one.fit,
            _why(one.ranked.fused, written),
            _details(one, written),
            one,
            asked_time=dated.is_of_its_time(written.dated.get(one.id, 1.0)),
        )

    known = [document_of(entries[one.id]) if by_document else one.id for one in judged]
    return [
        replace(
            hit(document.best),
            pieces=tuple(hit(one) for one in document.further),
            unshown=document.unshown,
        )
        for document in gathered(judged, known, limit)
    ]


def _why(fused: fusion.Fused, written: Written) -> str:
    """Return why an entry is among the results, in a few words."""
    reasons = ["as written"] if fused.id in written.holders else []
    if fused.lexical:
        reasons.append(f"words #{fused.lexical[0]}")
    if fused.vector:
        reasons.append(f"meaning #{fused.vector[0]} ({fused.vector[1]:.2f})")
    return ", ".join(reasons)


def _details(judged: Judged, written: Written) -> Mapping[str, object]:
    """Return the numbers behind a place and a fit.

    `rank_score`, which orders the results, is the sum of parts * support * both boosts * written *
    dated.
    """
    ranked, facts = judged.ranked, judged.facts
    fused = ranked.fused
    lexical, vector = fused.arms
    rank, bm25, part = fused.lexical or (None, None, lexical.unlisted)
    near_rank, cosine, near_part = fused.vector or (None, None, vector.unlisted)
    return {
        "words_rank": rank,
        "words_bm25": _rounded(bm25),
        "words_part": _rounded(part * lexical.weight),
        "meaning_rank": near_rank,
        "meaning_cosine": _rounded(facts.cosine if cosine is None else cosine),
        "meaning_part": _rounded(near_part * vector.weight),
        "support": _rounded(fused.support),
        "lift": _rounded(ranked.boost),
        "liking": _rounded(ranked.learned_boost),
        "written": _rounded(written.factors.get(fused.id, 1.0)),
        **({"dated": _rounded(written.dated[one])} if (one := judged.id) in written.dated else {}),
        "rank_score": _rounded(ranked.score),
        "coverage": _rounded(facts.coverage),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
