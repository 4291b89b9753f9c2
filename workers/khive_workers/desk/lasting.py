"""Answers that may be a moment old: what a large store would be asked for again and again. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from khive_workers.desk.views.wishes import Failed, Reply, Wish

#: How many times as long as an answer took it is good for, whatever is stored meanwhile.
SHOWN_AGAIN = 10
#: Answers that are kept.
MOST_KEPT = 32


@dataclass(frozen=True, slots=True)
class KeptReply:
    """An answer, the state of the store that it is of, and until when another state will do."""

    reply: Reply
    token: object
    until: float


class LastingReplies:
    """Gives answers again, so that at most a tenth of the time goes into what may be a bit old."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: dict[str, KeptReply] = {}

    def given(self, wish: Wish, token: object, ask: Callable[[], Reply]) -> Reply:
        """Return what came of a wish now or before; `token` changes with the store."""
        name = json.dumps([wish.verb, wish.args, wish.project], sort_keys=True)
        kept, began = self._kept.get(name), self._clock()
        if kept is not None and (kept.token == token or began < kept.until):
            return kept.reply
        reply, ended = ask(), self._clock()
        if isinstance(reply, Failed):  # the next one may well be answered
            return reply
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[name] = KeptReply(reply, token, ended + SHOWN_AGAIN * (ended - began))
        return reply
