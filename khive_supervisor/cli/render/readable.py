"""An answer as people read it: moments in their own zone, and a line for what is one line.

`output.emit` hands every answer through here before it is rendered, so that no command has to
think of what may be stored in a title, a tag, the name of a client or of a file.
"""

from __future__ import annotations

from typing import Any

from khive_supervisor.cli.render.command_names import in_commands
from khive_supervisor.cli.render.terminal import one_line
from khive_supervisor.cli.render.times import shown

#: Fields that are texts of several lines, wherever they stand.
_TEXTS = frozenset(
    {
        "content", "description", "differences", "error", "errors", "last_error", "log_tail",
        "message", "problem", "reason", "text", "why",
    }
)  # fmt: skip
#: Fields in which we speak to the reader, and name what to run.
_SAID = frozenset({"cut", "hint", "next", "note", "notes"})
#: Fields that are somebody's own data: shown as they are.
_DATA = frozenset({"detail", "payload", "result"})
#: Fields that are moments.
_MOMENTS = frozenset(
    {
        "at", "built_at", "created_at", "deadline", "ended_at", "forgotten_at", "last_at", "since",
        "started_at", "until", "updated_at",
    }
)  # fmt: skip


def readable(data: Any, name: str = "") -> Any:
    """The same answer, to be rendered. `name` is the field that it is of."""
    if isinstance(data, str):
        if name in _SAID:
            return in_commands(data)
        if name in _TEXTS:
            return data
        return shown(data) if name in _MOMENTS else one_line(data)
    if isinstance(data, list | tuple):
        return [readable(one, name) for one in data]
    if isinstance(data, dict):
        return {
            one_line(key): value if key in _DATA else readable(value, str(key))
            for key, value in data.items()
        }
    return data
