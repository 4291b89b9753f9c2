"""One rehearsal of remember and recall before the first fork, on a store that is thrown away.

It imports, compiles and touches whatever a session needs, so that sessions share it instead of
paying for it one by one: the first recall of a session takes a third of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import measured
from khive_supervisor.embed.base import Vectors
from khive_supervisor.embed.factory import for_worker
from khive_supervisor.host.scratch import scratch
from khive_supervisor.packs.memory import knowledge
from khive_supervisor.packs.memory import pack as memory
from khive_supervisor.verbs.context import Context, SessionInfo

_DIMENSIONS = 384


class _Nonsense:
    """An embedder that needs no model: the rehearsal's vectors mean nothing."""

    model_id = "rehearsal"
    dimensions = _DIMENSIONS

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return a unit vector for each text."""
        vectors = np.ones((len(texts), _DIMENSIONS), np.float32)
        return vectors / np.float32(np.sqrt(_DIMENSIONS))


def warm_up() -> None:
    """Remember, learn and recall once; leaves no thread, no connection and no file."""
    config = Config()
    for_worker(config.embedder, "/nowhere/supervisor.sock")
    with scratch() as directory:
        store = replace(config.store, path=directory + "/rehearsal.db", url="")
        context = Context(
            replace(config, store=store),
            SessionInfo(),
            socket_path=None,
            make_embedder=_Nonsense,
        )
        try:
            memory.remember(context, {"content": "Nothing ever happens twice."})
            knowledge.learn(context, {"entries": [{"content": "Twice is once too often."}]})
            memory.recall(context, {"query": "what happens twice", "explain": True})
            knowledge.suggest(context, {"task": "rehearse"})
        finally:
            context.close()
            measured.clear()
