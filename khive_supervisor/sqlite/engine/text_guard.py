"""The last look at what is written: no text gets into a table with a secret in it.

Tables have let their texts through the gate before, each as it should be (refused, or masked). This
is for what a statement forgets: whatever is bound to one that writes to a table with anybody's
text is masked, unless it has passed already.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

from khive_supervisor.redaction.gate import TextGate
from khive_supervisor.sqlite.schema.texts import is_guarded

#: The table that a statement writes to.
_WRITES = re.compile(
    r"\s*(?:(?:INSERT|REPLACE)(?:\s+OR\s+\w+)?\s+INTO|UPDATE(?:\s+OR\s+\w+)?)\s+(\w+)",
    re.IGNORECASE,
)

#: What can be bound to a statement.
Value = None | int | float | str | bytes


class TextGuard:
    """Masks what is bound to statements that write; one for each connection."""

    def __init__(self, gate: TextGate) -> None:
        self.gate = gate

    def __call__(self, sql: str, bindings: Sequence[Value]) -> Sequence[Value]:
        """Return what may be bound to a statement."""
        if not bindings or not _is_guarded(sql):
            return bindings
        through = self.gate.written
        return [through(one) if type(one) is str else one for one in bindings]


@functools.lru_cache(maxsize=512)
def _is_guarded(sql: str) -> bool:
    written = _WRITES.match(sql)
    return written is not None and is_guarded(written[1])
