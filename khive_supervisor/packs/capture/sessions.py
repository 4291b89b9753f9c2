"""Learning from a session's journal by a call: with vectors, at once."""

from __future__ import annotations

from collections.abc import Sequence

from khive_supervisor.capture.learning import Learned, learn
from khive_supervisor.store.model import NewEntry
from khive_supervisor.verbs import ingest
from khive_supervisor.verbs.context import Context


def learn_session(context: Context, client: str, session: str, *, ended: bool) -> Learned:
    """Apply the rules to what is new in a session's journal; with `ended`, write its digest."""

    def embed(entries: Sequence[NewEntry]) -> tuple[Sequence[bytes | None], str | None]:
        vectors = ingest.embed(context, entries)
        model = context.embedder.model_id if any(vectors) and context.embedder else None
        return vectors, model

    return learn(context.store, client, session, ended=ended, embed=embed)
