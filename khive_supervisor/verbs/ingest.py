"""Storing entries with their vectors: the one way in for remember, supersede and learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from khive_supervisor.embed.base import Vectors
from khive_supervisor.errors import EmbedderUnavailable, InvalidInput
from khive_supervisor.store.entries import all_gated, gated
from khive_supervisor.store.model import Added, LearnedText, NewEntry, SourceText
from khive_supervisor.store.vectors import MissingVector
from khive_supervisor.text.turns import is_conversation
from khive_supervisor.verbs.context import Context

#: How much of the turn before a turn's vector has (docs/adr/0037-search-levers.md).
TURN_BEFORE = 0.4
#: What is told of an entry that is not kept as it was given.
LEFT_OUT = "What is private or looks like a secret was left out of what is kept."


def check_content(context: Context, content: str, where: str = "content") -> str:
    """Return the content, if it can be stored.

    Raises:
        InvalidInput: empty, too large, or not text.
    """
    limit = context.config.store.max_content_bytes
    if not content.strip():
        raise InvalidInput(f"{where} is empty; there is nothing to store.")
    size = len(check_text(content, where).encode())
    if size > limit:
        raise InvalidInput(
            f"{where} has {size} bytes; at most {limit} can be one entry.",
            hint="Store the gist, or split it; `khive-supervisor learn` splits documents.",
        )
    return content


def check_text(text: str, where: str) -> str:
    """Return a short text, if it is Unicode; raises InvalidInput otherwise."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(
            f"{where} holds characters that are not text (lone surrogates).",
            hint="Send valid Unicode.",
        ) from None
    return text


def embed(context: Context, entries: Sequence[NewEntry]) -> list[bytes | None]:
    """Return a stored vector for each entry; None for all when no embedder answers now.

    They are embedded later then, in the background; full text finds them meanwhile.
    """
    if context.embedder is None or not entries:
        return [None] * len(entries)
    texts = [MissingVector(0, entry.title, entry.content).text for entry in entries]
    try:
        return stored_form(context.embedder.embed(texts))
    except EmbedderUnavailable:
        return [None] * len(entries)


def stored_form(vectors: Vectors) -> list[bytes | None]:
    """Vectors as the store keeps them: float16, little-endian."""
    return [row.astype("<f2").tobytes() for row in vectors]


def say(context: Context, texts: Sequence[SourceText]) -> list[LearnedText]:
    """Store what sources say, all in one transaction; what has a vector is not embedded again."""
    texts = [_gated(context, text) for text in texts]
    entries = {piece.entry.content_hash: piece.entry for text in texts for piece in text.pieces}
    embedder = context.embedder
    done = context.store.sources.embedded(entries, embedder.model_id) if embedder else set(entries)
    fresh = [entry for entry in entries.values() if entry.content_hash not in done]
    vectors = dict(zip((entry.content_hash for entry in fresh), embed(context, fresh), strict=True))
    vectors |= _with_turn_before(texts, vectors)
    model_id = embedder.model_id if embedder and any(vectors.values()) else None
    with context.store.transaction():
        return [
            context.store.sources.say(
                text,
                [vectors.get(piece.entry.content_hash) for piece in text.pieces],
                model_id,
            )
            for text in texts
        ]


def _with_turn_before(
    texts: Sequence[SourceText], vectors: Mapping[bytes, bytes | None]
) -> dict[bytes, bytes | None]:
    """Return the vectors of a conversation's turns with some of the turn before in each.

    The question is in one turn and its answer in the next. A turn whose predecessor was not
    embedded in the same call keeps its own.
    """
    mixed: dict[bytes, bytes | None] = {}
    for text in texts:
        entries = [piece.entry for piece in text.pieces]
        if not is_conversation([entry.content for entry in entries]):
            continue
        for before, turn in pairwise(entry.content_hash for entry in entries):
            own, earlier = vectors.get(turn), vectors.get(before)
            if own and earlier:
                mixed[turn] = _mixed(own, earlier)
    return mixed


def _mixed(own: bytes, before: bytes) -> bytes | None:
    one, other = (np.frombuffer(data, "<f2").astype(np.float32) for data in (own, before))
    both: Vectors = one + np.float32(TURN_BEFORE) * other
    length = np.float32(np.linalg.norm(both))
    return stored_form((both / length)[None])[0] if length else own


def _gated(context: Context, text: SourceText) -> SourceText:
    """Return what a source says as it may be kept."""
    pieces = [replace(one, entry=gated(context.gate, one.entry)) for one in text.pieces]
    return replace(text, pieces=tuple(pieces))


def left_out(given: Sequence[str | None], entry: NewEntry) -> list[str]:
    """Return the note beside an entry that does not say all that was given (content and title)."""
    return [] if [*given] == [entry.content, entry.title] else [LEFT_OUT]


def add(
    context: Context,
    entries: Sequence[NewEntry],
    instead_of: Sequence[int] = (),
    change: str | None = None,
) -> list[Added]:
    """Store entries; what is there already is not embedded again.

    The first one takes the place of the live entries `instead_of`, in the same transaction.
    With a name of a `change`, it can be undone.
    """
    entries = all_gated(context.gate, entries)
    known = context.store.entries.known(entry.content_hash for entry in entries)
    fresh = [entry for entry in entries if entry.content_hash not in known]
    embedded = dict(
        zip((entry.content_hash for entry in fresh), embed(context, fresh), strict=True)
    )
    vectors = [embedded.get(entry.content_hash) for entry in entries]
    model_id = context.embedder.model_id if any(vectors) and context.embedder else None
    vectors_of_model = vectors if model_id else None
    if not change:
        return context.store.entries.add(entries, vectors_of_model, model_id)
    with context.store.changes.recorded(change, [*instead_of, *known.values()], entries):
        added = context.store.entries.add(entries, vectors_of_model, model_id)
        if instead_of:
            context.store.entries.replace(instead_of, added[0].id)
    return added
