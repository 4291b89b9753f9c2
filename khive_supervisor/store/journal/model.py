"""What a journal is made of, as plain values; pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

#: Characters of an event's text that are kept; of an error, its end is.
MOST_TEXT, MOST_ERROR = 16_000, 4_000


class EventKind(StrEnum):
    """What happened in a session."""

    PROMPT = "prompt"
    EDIT = "edit"
    COMMAND = "command"
    ERROR = "error"
    ANSWER = "answer"
    CORRECTION = "correction"
    START = "start"
    END = "end"
    COMPACT = "compact"


class Speaker(StrEnum):
    """Whose words an event has; a tool's are whatever a command, a file or a page has said."""

    USER = "user"
    AGENT = "agent"
    TOOL = "tool"


class Origin(StrEnum):
    """Who told of an event: a hook while it happened, or the client's transcript afterwards."""

    HOOK = "hook"
    TRANSCRIPT = "transcript"


@dataclass(frozen=True, slots=True)
class JournalEvent:
    """One thing that happened in a session of a client.

    `session` is the client's own name of it, `at` unix seconds of the wall clock. `text` is what
    was said, a command's line, or an error's output; `path` the file that was edited; `exit_code`
    a command's (None: not known); `tool` the client's name of the tool. `project` is the number
    of the project, None where there is none. `id` is 0 until it is stored.
    """

    client: str
    session: str
    kind: str
    speaker: str
    text: str = ""
    path: str = ""
    exit_code: int | None = None
    tool: str = ""
    at: float = 0.0
    project: int | None = None
    namespace: str = "default"
    origin: str = Origin.HOOK
    id: int = 0


@dataclass(frozen=True, slots=True)
class JournalFilter:
    """Which events are meant; None: any. `project` 0 is what has no project."""

    client: str | None = None
    session: str | None = None
    project: int | None = None
    namespaces: tuple[str, ...] | None = None
    before: float | None = None


#: What lets every event through.
ANY_EVENT = JournalFilter()


@dataclass(frozen=True, slots=True)
class JournalledSession:
    """A session that the journal has events of; times are unix seconds."""

    client: str
    session: str
    project: int | None
    namespace: str
    begun_at: float
    last_at: float
    events: int


@dataclass(frozen=True, slots=True)
class TranscriptCursor:
    """How far a transcript was read, and by what it is known to be the same file.

    `head` is the digest of its first `head_size` bytes; `state` is JSON of its parser.
    """

    path: str
    client: str
    session: str
    device: int
    inode: int
    offset: int
    head: bytes
    head_size: int
    state: str = "{}"


class CandidateState(StrEnum):
    """What became of a candidate."""

    OPEN = "open"
    ACCEPTED = "accepted"
    EDITED = "edited"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a rule found and was not sure of; `kind` is decision, fix, command or digest.

    `entry` is what it became, if somebody accepted it.
    """

    rule: str
    kind: str
    text: str
    client: str
    session: str
    speaker: str
    project: int | None = None
    namespace: str = "default"
    state: str = CandidateState.OPEN
    entry: int | None = None
    created_at: float = 0.0
    id: int = 0
