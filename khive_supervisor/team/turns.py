"""A writer's turn as the replicator goes through it: what follows from which event (pure).

The head of the log is locked at the server, the turn is granted, and the writer hands its changes
over or gives the turn back. Its end, its silence and the server's end may come at any time: each
leads to a state in which nothing is held, and to an answer if anybody can still hear one.
"""

from __future__ import annotations

import enum

#: Seconds that a writer may hold the turn: it keeps the whole team waiting.
LONGEST_TURN = 15.0


class TurnState(enum.Enum):
    """How far a turn is."""

    ASKED = "asked"
    HELD = "held"
    ACCEPTING = "accepting"
    LOOKING = "looking"
    OVER = "over"


class TurnEvent(enum.Enum):
    """What happens to it."""

    #: The server's: the head is locked; it is not to be had; what was asked of it is not known.
    LOCKED = "locked"
    UNAVAILABLE = "unavailable"
    COMMITTED = "committed"
    LOST = "lost"
    #: The log has the changes after all; it has not; nobody can say.
    FOUND = "found"
    MISSING = "missing"
    UNKNOWN = "unknown"
    #: The writer's: its changes, the turn without any, its end, its silence.
    CHANGES = "changes"
    GIVEN_BACK = "given_back"
    GONE = "gone"
    LATE = "late"


class TurnAction(enum.Enum):
    """What is to be done next; the first five are answered by an event."""

    LOCK = "lock"
    GRANT = "grant"
    COMMIT = "commit"
    LOOK = "look"
    ROLL_BACK = "roll_back"
    #: Answers to the writer; nothing follows.
    TELL_ACCEPTED = "tell_accepted"
    REFUSE_AWAY = "refuse_away"
    REFUSE_LATE = "refuse_late"
    REFUSE_LOST = "refuse_lost"
    REFUSE_UNKNOWN = "refuse_unknown"
    NOTHING = "nothing"


_S, _E, _A = TurnState, TurnEvent, TurnAction

#: What follows from each event in each state; anything else is a defect.
TRANSITIONS: dict[tuple[TurnState, TurnEvent], tuple[TurnState, TurnAction]] = {
    (_S.ASKED, _E.LOCKED): (_S.HELD, _A.GRANT),
    (_S.ASKED, _E.UNAVAILABLE): (_S.OVER, _A.REFUSE_AWAY),
    (_S.HELD, _E.CHANGES): (_S.ACCEPTING, _A.COMMIT),
    (_S.HELD, _E.GIVEN_BACK): (_S.OVER, _A.ROLL_BACK),
    (_S.HELD, _E.GONE): (_S.OVER, _A.ROLL_BACK),
    (_S.HELD, _E.LATE): (_S.OVER, _A.REFUSE_LATE),
    (_S.ACCEPTING, _E.COMMITTED): (_S.OVER, _A.TELL_ACCEPTED),
    (_S.ACCEPTING, _E.UNAVAILABLE): (_S.OVER, _A.REFUSE_LOST),
    (_S.ACCEPTING, _E.LOST): (_S.LOOKING, _A.LOOK),
    (_S.LOOKING, _E.FOUND): (_S.OVER, _A.TELL_ACCEPTED),
    (_S.LOOKING, _E.MISSING): (_S.OVER, _A.REFUSE_LOST),
    (_S.LOOKING, _E.UNKNOWN): (_S.OVER, _A.REFUSE_UNKNOWN),
}
#: The actions after which the head of the log is locked for nobody.
RELEASING = frozenset(
    {_A.ROLL_BACK, _A.REFUSE_LATE, _A.REFUSE_AWAY, _A.REFUSE_LOST, _A.REFUSE_UNKNOWN}
)
FIRST = (TurnState.ASKED, TurnAction.LOCK)


def step(state: TurnState, event: TurnEvent) -> tuple[TurnState, TurnAction]:
    """Return the state after an event, and what is to be done.

    Raises:
        AssertionError: this cannot happen in that state.
    """
    found = TRANSITIONS.get((state, event))
    assert found is not None, f"a turn that is {state.value} cannot be {event.value}"
    return found
