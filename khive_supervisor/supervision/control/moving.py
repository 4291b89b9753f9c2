"""Moving open sessions to workers of the release that runs now, each between two of its calls.

A worker that can move is told to: it ends without a word to `attach` when nothing is owed, and
`attach` attaches again, with the same journal. One of a release that could not is looked at while
it is stopped: if its journal owes no answer, nobody misses it, and it is ended; otherwise it goes
on, and is looked at again. What its client has sent meanwhile waits in the pipe and in the inbox.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time

from khive_supervisor import logs
from khive_supervisor.supervision.control.sessions import Session

log = logs.get("khive.moving")

#: The descriptor of the journal in the process that waits for a session's end (see `attach`).
JOURNAL = 8
#: Seconds between two moves, so that a hundred sessions do not begin anew at the same moment.
APART = 0.02
#: Seconds after which a worker that had a call at work is looked at again: at first, and at most.
LOOK_AGAIN, LOOK_AGAIN_MAX = 0.05, 5.0
#: Glances at its journal in one look, and seconds between them: a client that calls without a pause
#: owes nothing for some tenths of a millisecond only.
GLANCES, GLANCE = 50, 0.001
#: Looks until a process that was told to has stopped, a millisecond apart: it has to be scheduled.
STOPPED_WITHIN = 50
#: Bytes of a journal that are read; one with more has calls at work.
_JOURNAL_LIMIT = 1 << 20


class Mover:
    """Moves what registers and is of another release; used only from the supervisor's loop."""

    def __init__(self, release: str) -> None:
        self._release = release
        self._due: asyncio.Queue[tuple[Session, float]] = asyncio.Queue()

    def registered(self, session: Session) -> None:
        """A worker has registered: it may be of another release."""
        if session.kind == "session" and session.release != self._release:
            self._due.put_nowait((session, LOOK_AGAIN))

    async def run(self) -> None:
        """Move them, one after another, until cancelled."""
        while True:
            session, pause = await self._due.get()
            if session.writer.transport.is_closing():
                continue
            if session.moves:
                session.tell({"hint": "move"})
                log.info("session.moves", session=session.id, release=session.release)
            elif await moved(session.pid, session.info.get("client_pid")):
                log.info("session.moved", session=session.id, release=session.release)
            else:
                loop = asyncio.get_running_loop()
                later = session, min(LOOK_AGAIN_MAX, pause * 2)
                loop.call_later(pause, self._due.put_nowait, later)
            await asyncio.sleep(APART)


async def moved(worker: int | None, client: object) -> bool:
    """End a worker between two calls of its client; False if it is at work, or cannot be seen."""
    if worker is None or not isinstance(client, int):
        return False
    try:
        journal = os.open(f"/proc/{client}/fd/{JOURNAL}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if "khive-session" not in os.readlink(f"/proc/{client}/fd/{JOURNAL}"):
            return False
        for _ in range(GLANCES):
            if not owes(os.pread(journal, _JOURNAL_LIMIT, 0)) and _end_if_idle(worker, journal):
                return True
            await asyncio.sleep(GLANCE)
    except OSError:
        pass  # one of the two has ended, or is another user's
    finally:
        os.close(journal)
    return False


def _end_if_idle(worker: int, journal: int) -> bool:
    """Stop it first, so that nothing begins between the look and the end."""
    os.kill(worker, signal.SIGSTOP)
    done = False
    try:
        done = _stands_still(worker) and not owes(os.pread(journal, _JOURNAL_LIMIT, 0))
    finally:
        os.kill(worker, signal.SIGKILL if done else signal.SIGCONT)
    return done


def _stands_still(worker: int) -> bool:
    for _ in range(STOPPED_WITHIN):
        if stopped(worker):
            return True
        time.sleep(0.001)
    return False


def stopped(pid: int) -> bool:
    """Return whether every thread of a process stands still by now."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/stat", encoding="utf-8", errors="replace") as file:
            if file.read().rpartition(")")[2].split()[0] != "T":
                return False
    return True


def owes(journal: bytes) -> bool:
    """Return whether a journal has a call that was received and not answered (docs/protocol.md)."""
    owed: set[bytes] = set()
    for line in journal.split(b"\n"):
        if line.startswith(b"I "):
            owed.add(line[2:])
        elif line.startswith(b"D "):
            owed.discard(line[2:])
    return bool(owed) or len(journal) == _JOURNAL_LIMIT
