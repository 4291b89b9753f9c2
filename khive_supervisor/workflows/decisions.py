"""What a role's answer to the question for an approval says; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_YES = frozenset({"approve", "approved", "yes"})
_NO = frozenset({"reject", "rejected", "refuse", "refused", "no"})
#: Characters of what is kept of a reason.
NOTE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class Decision:
    """A yes or a no, and the reason that was given."""

    approved: bool
    note: str = ""


def decision_of(result: Any) -> Decision | None:
    """Return what a review's result says; None: nothing that is clearly a yes or a no.

    `{"approved": true, "note": "..."}` is plain. An agent's text counts by its last line, which is
    one word: approve or reject. Whatever is not clear approves nothing.
    """
    if isinstance(result, Mapping):
        if isinstance(result.get("approved"), bool):
            note = result.get("note", "")
            return Decision(result["approved"], note[:NOTE_LIMIT] if isinstance(note, str) else "")
        result = result.get("text")
    if isinstance(result, bool):
        return Decision(result)
    return _of_text(result) if isinstance(result, str) else None


def _of_text(text: str) -> Decision | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return None
    word = lines[-1].strip("*_`.!\"' ").lower()
    if word not in _YES | _NO:
        return None
    return Decision(word in _YES, " ".join(lines[:-1])[:NOTE_LIMIT])
