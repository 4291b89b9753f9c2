"""A session without a supervisor: it serves itself, or one of many serves the others, too.

Imports C modules only, as attach does, and is needed only on its slow path.
"""

import sys
from posix import execv, fstat

from khive_supervisor.attach import reserve
from khive_supervisor.attach.channel import (
    INBOX,
    JOURNAL,
    OtherRelease,
    StartTerms,
    Unserved,
    offer,
)
from khive_supervisor.host import holder

#: Sessions that serve others and end just then, after which one serves itself alone.
RESERVES = 5


def serve_alone(terms: StartTerms) -> None:
    """Become a process that serves this session by itself; does not return.

    With a journal it goes on where the last worker was, and comes back when a supervisor is there.
    One of many loads what that takes, and forks for the others.
    """
    argv = [sys.executable, "-P", "-m", "khive_workers.session", "--standalone"]
    if has_memory():
        argv += ["--journal", str(JOURNAL), "--inbox", str(INBOX)]
        if (turn := reserved(terms)) > 0:
            argv += ["--reserve", str(turn)]
    execv(sys.executable, argv + terms.words())


def reserved(terms: StartTerms) -> int:
    """Let the reserve serve this session; returns the lock's descriptor if it is to be that.

    -1 if neither is possible.
    """
    if terms.alone:
        return -1
    # A fork of the reserve's is always sooner to be had than an interpreter of its own.
    terms.alone, terms.until = True, None
    path = reserve.socket_path()
    for _ in range(RESERVES):
        turn = reserve.be_or_find(path)
        if turn is not None:
            return turn
        if holder.unsafe(path) is not None:
            break
        try:
            offer(path, terms)
        except (OtherRelease, Unserved):
            break
        # It ended just now: whoever is the next is as good.
    return -1


def has_memory() -> bool:
    """Return whether this session's memory has been made."""
    try:
        return fstat(JOURNAL).st_nlink == 0 and fstat(INBOX).st_nlink == 0
    except OSError:
        return False
