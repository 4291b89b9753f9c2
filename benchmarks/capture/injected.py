"""What is put into a context at a prompt, by the hook that does so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from khive_supervisor.packs.hooks import speaking
from khive_supervisor.packs.hooks.events import HookEvent
from khive_supervisor.store.journal.sessions import ClientSession
from khive_supervisor.verbs.context import Context

_CLIENT = "claude-code"


@dataclass(frozen=True, slots=True)
class Injected:
    """A text, its tokens at most, and the entries that it shows."""

    text: str
    tokens: int
    shown: tuple[int, ...]

    def newer(self, old: Sequence[int], new: Sequence[int]) -> bool:
        """Return True if newer entries are shown, and the older ones flagged or not at all."""
        older = set(old) & set(self.shown)
        return bool(set(new) & set(self.shown)) and (not older or "may be outdated" in self.text)


def told(context: Context, prompt: str, session: str) -> Injected:
    """Return what a new session is told at a prompt."""
    event = HookEvent(_CLIENT, "UserPromptSubmit", session, prompt=prompt)
    answer = speaking.told(context, event, ClientSession(_CLIENT, session)).answer
    shown = tuple(line.entry for line in answer.lines)
    return Injected(answer.text, answer.tokens, shown)
