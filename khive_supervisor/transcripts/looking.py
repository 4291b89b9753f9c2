"""What is known of a transcript by its beginning, before it is read."""

from __future__ import annotations

from dataclasses import dataclass

from khive_supervisor.text.plain_json import JsonObject
from khive_supervisor.transcripts.form import TranscriptState, line_of, moment
from khive_supervisor.transcripts.reading import TranscriptFile

#: Bytes, and lines, by which a session is known.
_BYTES, _LINES = 256 << 10, 40


@dataclass(frozen=True, slots=True)
class Beginning:
    """Whose session a transcript is, where it worked, and when it began (unix seconds)."""

    session: str = ""
    cwd: str = ""
    at: float = 0.0


def beginning_of(file: TranscriptFile) -> Beginning:
    """Return what the first lines of a transcript say; nothing of one that cannot be read."""
    try:
        with open(file.path, "rb") as opened:
            lines = opened.read(_BYTES).split(b"\n")[:_LINES]
    except OSError:
        return Beginning()
    state, at = TranscriptState(), 0.0
    for line in filter(None, map(line_of, lines)):
        state, _ = file.read(state, line)
        at = at or _time(line)
        if state.session and state.cwd and at:
            break
    return Beginning(state.session, state.cwd, at)


def _time(line: JsonObject) -> float:
    return moment(line.get("timestamp"))
