"""How far a supervised process is: one pure table for every kind of them.

A child goes around: what died is started again. A worker of a role or a session, and the index
builder, go through it once for each process.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import NotRequired, TypedDict


class ProcessState(enum.Enum):
    """What a supervised process is doing."""

    STARTING = "starting"
    READY = "ready"
    BACKOFF = "backoff"
    FATAL = "fatal"
    STOPPING = "stopping"
    STOPPED = "stopped"


class ShownState(TypedDict):
    """The state that `status` shows, its memory, and how long it owes a word if that matters."""

    state: str
    memory_bytes: NotRequired[int]
    unheard_seconds: NotRequired[float]


class ProcessEvent(enum.Enum):
    """What happens to it."""

    STARTED = "a process was started"
    READY = "it has said that it is ready"
    #: It is to be started again after a delay.
    DIED = "it has ended without being told to"
    #: Only after a long pause, or when somebody needs it.
    GAVE_UP = "it has ended, and another start would not help"
    TOLD = "it was told to end"
    ENDED = "it has ended, as it was to"


_S, _E = ProcessState, ProcessEvent

#: Every transition there is.
NEXT: Mapping[tuple[ProcessState, ProcessEvent], ProcessState] = {
    (_S.STOPPED, _E.STARTED): _S.STARTING,
    (_S.STOPPED, _E.TOLD): _S.STOPPED,
    (_S.STARTING, _E.READY): _S.READY,
    (_S.STARTING, _E.DIED): _S.BACKOFF,
    (_S.STARTING, _E.GAVE_UP): _S.FATAL,
    (_S.STARTING, _E.TOLD): _S.STOPPING,
    (_S.STARTING, _E.ENDED): _S.STOPPED,
    (_S.READY, _E.READY): _S.READY,
    (_S.READY, _E.DIED): _S.BACKOFF,
    (_S.READY, _E.GAVE_UP): _S.FATAL,
    (_S.READY, _E.TOLD): _S.STOPPING,
    (_S.READY, _E.ENDED): _S.STOPPED,
    (_S.BACKOFF, _E.STARTED): _S.STARTING,
    (_S.BACKOFF, _E.TOLD): _S.STOPPED,
    (_S.FATAL, _E.STARTED): _S.STARTING,
    (_S.FATAL, _E.TOLD): _S.STOPPED,
    (_S.STOPPING, _E.READY): _S.STOPPING,
    (_S.STOPPING, _E.TOLD): _S.STOPPING,
    (_S.STOPPING, _E.ENDED): _S.STOPPED,
}


def after(state: ProcessState, event: ProcessEvent) -> ProcessState:
    """Return the state after an event; one that cannot happen raises AssertionError."""
    following = NEXT.get((state, event))
    assert following is not None, f"impossible while {state.value}: {event.value}"
    return following
