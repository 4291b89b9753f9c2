"""Which process hangs, and which is only slow: a function of what was seen of it and when. Pure.

A process is asked and owes an answer, which its main loop gives. What is counted are seconds that
were watched: if the one who watches was late itself, it knows nothing of the time in between, and
all counts begin anew. So a machine that was suspended, or a tree that was stopped as a whole, makes
nobody hang. While an answer is owed, processor time that is used, or a wait for a processor or a
disk, is a sign that the process works: such a one is slow, and gets a limit of its own.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

#: Seconds between two looks at a process.
TICK = 1.0


def until_due(now: float, interval: float) -> float:
    """Return the seconds until what is done each `interval` is to be done again.

    What takes whole ticks is due with a tick, so that all of it costs one wake-up: the first time
    sooner than after the interval, and then in step.
    """
    if interval % TICK:
        return interval
    return (now // TICK) * TICK + interval - now


#: Seconds between two looks after which nothing is known of the time in between: one and a half
#: ticks more than planned. A look that is a little late counts no more than this.
LATE = 2.5
#: Seconds without an answer from which on a process that is at work is spoken of as slow.
SUSPECT = 2.0
#: Seconds without an answer and without any sign, where the system gives no signs to see.
BLIND = 60.0

#: States of a process in the process table: stopped by a signal; waiting for a processor or a disk,
#: or held by a debugger, whose user would not want it ended.
_STOPPED = frozenset("T")
_AT_WORK = frozenset("RDt")


class LifeVerdict(enum.Enum):
    """What is thought of a process."""

    #: It owes nothing, or it works.
    ALIVE = "alive"
    #: It owes an answer, and does nothing; not yet for so long that it is replaced.
    SILENT = "silent"
    #: To be replaced.
    HUNG = "hung"


@dataclass(frozen=True, slots=True)
class HangLimits:
    """Seconds after which a process is hung: stopped; owing an answer and still; or at work.

    `stopped` counts from the first look that found it so: one more a tick later is enough.
    `suspect`: seconds of the second after which it is said to hang, and nobody is sent to it; one
    that is stopped is not spared that for a moment.
    """

    stopped: float = 0.9
    silent: float = 10.0
    busy: float = 300.0
    suspect: float = SUSPECT


def of_store_users(busy_timeout: float) -> HangLimits:
    """The limits of processes whose loop may wait for the store's lock."""
    return HangLimits(silent=HangLimits().silent + busy_timeout)


@dataclass(frozen=True, slots=True)
class LifeSigns:
    """What a look found. `letter` is empty, and `cpu` 0, where the system does not tell.

    `owes`: it was asked and has not answered; `letter`: its state in the process table; `cpu`:
    seconds of processor time that all its threads have used so far.
    """

    owes: bool
    letter: str = ""
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a process: seconds watched in which it was as each name says.

    `halted`: the last look found it stopped.
    """

    looked_at: float
    owing: float = 0.0
    still: float = 0.0
    stopped: float = 0.0
    halted: bool = False
    cpu: float = 0.0

    @property
    def unheard(self) -> float:
        """Seconds for which it has been of no use, as far as was seen."""
        return max(self.owing, self.stopped)

    def heard(self) -> Life:
        """Return what is known after a word of it."""
        return replace(self, owing=0.0, still=0.0) if self.owing or self.still else self


def after_look(
    life: Life, signs: LifeSigns, now: float, limits: HangLimits
) -> tuple[Life, LifeVerdict]:
    """What is known after a look, and what is thought of it.

    Args:
        life: what was known before.
        signs: what the look found.
        now: monotonic seconds.
        limits: how long this process may take.
    """
    gap = now - life.looked_at
    if gap > LATE or gap < 0:
        return Life(looked_at=now, cpu=signs.cpu), LifeVerdict.ALIVE
    halted = signs.letter in _STOPPED
    works = not halted and (signs.letter in _AT_WORK or signs.cpu > life.cpu)
    life = Life(  # `replace` takes three times as long, each second for each process
        looked_at=now,
        owing=life.owing + gap if signs.owes else 0.0,
        still=life.still + gap if signs.owes and not works else 0.0,
        stopped=life.stopped + gap if halted and life.halted else 0.0,
        halted=halted,
        cpu=signs.cpu,
    )
    return life, _judge(life, limits, blind=not signs.letter)


def _judge(life: Life, limits: HangLimits, *, blind: bool) -> LifeVerdict:
    silent = max(limits.silent, BLIND) if blind else limits.silent
    if life.stopped >= limits.stopped or life.still >= silent or life.owing >= limits.busy:
        return LifeVerdict.HUNG
    if life.halted or life.still >= limits.suspect:
        return LifeVerdict.SILENT
    return LifeVerdict.ALIVE
