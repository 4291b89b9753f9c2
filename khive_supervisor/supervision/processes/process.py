"""One supervised process, of whatever kind: its link, how far it is, whether it answers, its end.

This is the one place that knows that a process can hang; `liveness` decides. A question is one
message on the link that the process has anyway, and its main loop answers: no thread of its own
that would hide a loop which has died.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from khive_supervisor.control.protocol import MAX_FDS
from khive_supervisor.host import descriptors, processes
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
#: Seconds for which a process's memory is shown before it is looked at again.
_MEMORY_FOR = 10.0
#: Bytes that are taken from a link at once.
_READ = 65536
#: A state that has a process.
_RUNNING = (ProcessState.STARTING, ProcessState.READY, ProcessState.STOPPING)


class ProcessLink:
    """Our end of a socket pair to a process; used only from the loop in which it was made.

    Attributes:
        theirs: the end for the process, open until whoever passes it on closes it.
        closed: whether nothing comes any more.
    """

    def __init__(
        self,
        take: Callable[[bytes], None],
        *,
        kind: socket.SocketKind = socket.SOCK_STREAM,
        take_descriptor: Callable[[int], None] = os.close,
    ) -> None:
        """Open a pair; raises OSError if there is none to be had.

        `take` is given what comes, and `b""` once the other end is closed, as ours is by then.
        """
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, kind)
        self._ours.setblocking(False)
        self._take, self._take_descriptor = take, take_descriptor
        self.closed = False
        asyncio.get_running_loop().add_reader(self._ours, self.read)

    def read(self) -> bool:
        """Hand on what has come; return False if nothing has."""
        if self.closed:
            return False
        try:
            data, fds = descriptors.receive(self._ours, _READ, MAX_FDS)
        except BlockingIOError:
            return False
        except OSError:
            data, fds = b"", []
        for fd in fds:
            self._take_descriptor(fd)
        if not data:
            self.close()
        self._take(data)
        return True

    def send(self, data: bytes, fds: Sequence[int] = ()) -> bool:
        """Send at once; return False if it reads nothing, or is gone."""
        try:
            if fds:
                socket.send_fds(self._ours, [data], fds)
            else:
                self._ours.send(data)
        except OSError:  # a closed socket's as well
            return False
        return True

    def end(self) -> None:
        """Say that nothing more is sent; what it says is still taken."""
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Let go of our end; idempotent."""
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().remove_reader(self._ours)
            self._ours.close()


@dataclass(slots=True, eq=False, kw_only=True)
class SupervisedProcess:
    """A process, or the place of one that is started again; used only from one loop.

    Attributes:
        pid: its number, as soon as that is known and until it has ended.
        every: seconds from one question to the next, at most.
        asks: false for one that cannot be asked; that it is stopped is seen all the same.
        hung: how many processes were ended here because they did not answer.
        signs: the state and the processor time of a process, by its number.
        memory: the bytes of memory of a process, by its number; None: not known.
    """

    pid: int | None = None
    state: ProcessState = ProcessState.STOPPED
    every: float = ASK_CHILD
    asks: bool = True
    hung: int = 0
    clock: Callable[[], float] = time.monotonic
    signs: Callable[[int], tuple[str, float]] = processes.signs_of_life
    memory: Callable[[int], int | None] = processes.memory_of
    _verdict: LifeVerdict = LifeVerdict.ALIVE
    _life: Life = field(default_factory=lambda: Life(0.0))
    _asked_at: float = 0.0
    _owes: bool = False
    _memory: int | None = None
    _memory_until: float = 0.0

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
        self._asked_at = self._memory_until = self.clock()
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
        return self._verdict is LifeVerdict.ALIVE

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
        # All at the same moments, so that their answers wake us together.
        if self.asks and not owes and now // self.every > self._asked_at // self.every:
            self._asked_at, self._owes = now, True
            self.ask()
        return False

    def shown(self, state: str) -> ShownState:
        """Return what `status` shows of a process that is in this state if it answers."""
        shown: ShownState = {"state": state if self.well else "hung"}
        if (memory := self._memory_now()) is not None:
            shown["memory_bytes"] = memory
        if self._life.unheard >= SUSPECT:
            shown["unheard_seconds"] = self.unheard
        return shown

    def _memory_now(self) -> int | None:
        """Return its memory as it was within the last seconds; None: it is not known."""
        if self.pid is None:
            return None
        now = self.clock()
        if now >= self._memory_until:
            self._memory, self._memory_until = self.memory(self.pid), now + _MEMORY_FOR
        return self._memory
