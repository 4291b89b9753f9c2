"""One process's answers, and what its supervisor makes of them; `liveness` decides.

A ping is one message on the link that the process has anyway, and its main loop answers: no thread
of its own that would hide a loop which has died.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NotRequired, TypedDict

from khive_supervisor.host import processes
from khive_supervisor.supervision.processes.liveness import (
    SUSPECT,
    HangLimits,
    Life,
    LifeSigns,
    LifeVerdict,
    after_look,
)

#: What is written to a child's link, and what it answers.
PING, ALIVE = b"ping\n", b"alive\n"
#: Seconds from an answer to the next question.
EVERY = 2.0


class PulseStatus(TypedDict):
    """What `status` shows: a state, and for how long nothing was heard if that matters."""

    state: str
    unheard_seconds: NotRequired[float]


@dataclass(slots=True)
class Pulse:
    """The pulse of one process; a new process begins a new one."""

    #: Sends one question; what cannot be sent counts as not answered.
    ask: Callable[[], None]
    now: float
    every: float = EVERY
    signs: Callable[[int], tuple[str, float]] = processes.signs_of_life
    verdict: LifeVerdict = LifeVerdict.ALIVE
    #: False for one that cannot be asked; that it is stopped is seen all the same.
    asks: bool = True
    #: Set when it was ended for its silence, which happens once.
    ended: bool = False
    _life: Life = field(init=False)
    _asked_at: float = field(init=False)
    _owes: bool = False

    def __post_init__(self) -> None:
        self._life = Life(self.now)
        self._asked_at = self.now

    def answered(self) -> None:
        """It has said something."""
        self._owes = False

    def look(
        self, pid: int, now: float, limits: HangLimits, *, starting: bool = False
    ) -> LifeVerdict:
        """See how it is, and ask if that is due; one that starts owes its first word unasked."""
        letter, cpu = self.signs(pid)
        signs = LifeSigns(self._owes or starting, letter, cpu)
        self._life, self.verdict = after_look(self._life, signs, now, limits)
        # Again, too, while an answer is owed: one may have been lost when nobody read here.
        if self.asks and not starting and now - self._asked_at >= self.every:
            self._asked_at, self._owes = now, True
            self.ask()
        return self.verdict

    @property
    def unheard(self) -> float:
        """Seconds watched since it should have been heard of."""
        return self._life.unheard

    def describe(self, state: str) -> PulseStatus:
        """Return what `status` shows of a process in this state, or that it hangs."""
        well = self.verdict in (LifeVerdict.ALIVE, LifeVerdict.SLOW)
        shown: PulseStatus = {"state": state if well else "hung"}
        if self.unheard >= SUSPECT:
            shown["unheard_seconds"] = round(self.unheard, 1)
        return shown
