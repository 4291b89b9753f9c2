"""One supervised process, of whatever kind: how far it is, whether it answers, and its end.

This is the one place that knows that a process can hang; `liveness` decides. A question is one
message on the link that the process has anyway, and its main loop answers: no thread of its own
that would hide a loop which has died.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from khive_supervisor.host import processes
from khive_supervisor.supervision.processes.liveness import (
    SUSPECT,
    HangLimits,
    Life,
    LifeSigns,
    LifeVerdict,
    after_look,
)
from khive_supervisor.supervision.processes.states import (
    ProcessEvent,
    ProcessState,
    ShownState,
    after,
)

#: What is written to a child's link, and what it answers.
PING, ALIVE = b"ping\n", b"alive\n"
#: Seconds from one question to the next: to a child, and to a worker that has one of many links.
ASK_CHILD, ASK_WORKER = 2.0, 10.0
#: A state that has a process.
_RUNNING = (ProcessState.STARTING, ProcessState.READY, ProcessState.STOPPING)


@dataclass(slots=True, eq=False, kw_only=True)
class SupervisedProcess:
    """A process, or the place of one that is started again; used only from one loop.

    Attributes:
        pid: its number, as soon as that is known and until it has ended.
        every: seconds from one question to the next.
        asks: false for one that cannot be asked; that it is stopped is seen all the same.
        hung: how many processes were ended here because they did not answer.
        signs: the state and the processor time of a process, by its number.
    """

    pid: int | None = None
    state: ProcessState = ProcessState.STOPPED
    every: float = ASK_CHILD
    asks: bool = True
    hung: int = 0
    clock: Callable[[], float] = time.monotonic
    signs: Callable[[int], tuple[str, float]] = processes.signs_of_life
    _verdict: LifeVerdict = LifeVerdict.ALIVE
    _life: Life = field(default_factory=lambda: Life(0.0))
    _asked_at: float = 0.0
    _owes: bool = False

    # --- how far it is --------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Return whether there is a process."""
        return self.state in _RUNNING

    def step(self, event: ProcessEvent) -> None:
        """Go on to the state that follows; an impossible event raises AssertionError."""
        self.state = after(self.state, event)

    def begin(self, pid: int | None = None) -> None:
        """A process was started; nothing is known of it yet."""
        self.step(ProcessEvent.STARTED)
        self.pid = pid
        self._verdict, self._owes = LifeVerdict.ALIVE, False
        self._asked_at = self.clock()
        self._life = Life(self._asked_at)

    def over(self, event: ProcessEvent) -> None:
        """Its process has ended, as the event says."""
        self.step(event)
        self.pid, self._verdict = None, LifeVerdict.ALIVE

    def kill(self) -> None:
        """End it, and what it started, now; one that has ended is fine."""
        if self.pid is not None:
            processes.end_group(self.pid)

    # --- whether it answers ---------------------------------------------------------------------

    @property
    def well(self) -> bool:
        """Return false while it is overdue with an answer; what does not run owes none."""
        return self._verdict in (LifeVerdict.ALIVE, LifeVerdict.SLOW)

    @property
    def unheard(self) -> float:
        """Return the seconds watched since it should have been heard of."""
        return round(self._life.unheard, 1)

    def ask(self) -> None:
        """Send one question; what cannot be sent counts as not answered."""

    def heard(self) -> None:
        """It has said something."""
        self._owes = False
        self._life = self._life.heard()

    def hangs(self, limits: HangLimits, *, owes: bool = False) -> bool:
        """See how it is, and ask if that is due; return true once, when it was ended for it.

        Args:
            limits: how long it may take.
            owes: it owes a word unasked, as one that starts does.
        """
        # Once is enough: where a signal cannot reach it, another does not.
        if self.pid is None or self._verdict is LifeVerdict.HUNG:
            return False
        now = self.clock()
        signs = LifeSigns(self._owes or owes, *self.signs(self.pid))
        self._life, self._verdict = after_look(self._life, signs, now, limits)
        if self._verdict is LifeVerdict.HUNG:
            self.hung += 1
            self.kill()
            return True
        # Again, too, while an answer is owed: one may have been lost when nobody read here.
        if self.asks and not owes and now - self._asked_at >= self.every:
            self._asked_at, self._owes = now, True
            self.ask()
        return False

    def shown(self, state: str) -> ShownState:
        """Return what `status` shows of a process that is in this state if it answers."""
        shown: ShownState = {"state": state if self.well else "hung"}
        if self._life.unheard >= SUSPECT:
            shown["unheard_seconds"] = self.unheard
        return shown
