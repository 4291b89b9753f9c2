"""The reserve: of sessions that serve themselves, one loads what that takes, and forks for all.

Without a supervisor each session would load an interpreter of its own, a second of processor time;
ten at once on two processors are too slow for those who wait. Who has the lock is the reserve, in
its client's own process; the others offer themselves at its socket, as they would to a supervisor.
Imports C modules only, as attach does, and is needed only on its slow path.
"""

import fcntl
import sys
from _socket import AF_UNIX, SOCK_STREAM
from _socket import socket as Socket  # noqa: N812 - as the class is known
from posix import (
    O_CLOEXEC,
    O_CREAT,
    O_NOFOLLOW,
    O_RDONLY,
    O_RDWR,
    close,
    execv,
    fstat,
    getpid,
    getuid,
    open,  # noqa: A004 - the descriptor-level open: this module has no file objects
    pwrite,
    read,
    set_inheritable,
)
from time import monotonic, sleep

from khive_supervisor import __version__
from khive_supervisor.attach.channel import (
    INBOX,
    JOURNAL,
    OtherRelease,
    StartTerms,
    Unserved,
    offer,
    stopped,
)
from khive_supervisor.host import holder, paths

#: Seconds in which a reserve must listen, a matter of one or two if the machine is not busy: then
#: one more interpreter would take even longer.
LISTENS_WITHIN = 20.0
#: Reserves that end just then, after which a session serves itself alone.
RESERVES = 5
#: Seconds between two looks whether it does.
LOOK_EVERY = 0.05
_LOCK_EX, _LOCK_NB = 2, 4


def serve_alone(terms: StartTerms) -> None:
    """Become a process that serves this session by itself; does not return.

    With a journal it goes on where the last worker was, and comes back when a supervisor is there.
    One of many loads what that takes, and forks for the others.
    """
    argv = [sys.executable, "-P", "-m", "khive_workers.session", "--standalone"]
    argv += ["--instead-of", paths.socket_path(terms.config)]
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
    path = socket_path()
    for _ in range(RESERVES):
        turn = be_or_find(path)
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


def socket_path() -> str:
    """Where the reserve of this user and environment listens; its lock is beside it."""
    name = sys.prefix + " " + __version__
    return paths.state_home() + "/run/alone-" + paths.digest(name.encode("utf-8", "replace"))[:8]


def be_or_find(path: str) -> "int | None":
    """Be the reserve, by the descriptor of its lock, or find it: None.

    -1 if there is none to be had, so that the session has to do by itself.
    """
    if sys.platform != "linux":
        return -1  # the reserve sees its client's environment in /proc
    until = monotonic() + LISTENS_WITHIN
    while monotonic() < until:
        turn = take(path)
        if turn != 0:
            return turn
        if listens(path):
            return None
        if stopped(named(path)):
            return -1
        sleep(LOOK_EVERY)
    return -1


def take(path: str) -> int:
    """Take the reserve's lock as `lock` does, to survive an exec; -1 if none can be had."""
    try:
        paths.make_private_directory(path.rpartition("/")[0])
        turn = lock(path + ".lock")
    except OSError:
        return -1
    if turn:
        set_inheritable(turn, True)
        pwrite(turn, b"%d\n" % getpid(), 0)
    return turn


def lock(path: str) -> int:
    """Take the lock that a file is: its descriptor, or 0 if somebody has it.

    Raises:
        OSError: the file cannot be used, or is another user's.
    """
    turn = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
    try:
        if (owner := fstat(turn).st_uid) != getuid():
            raise PermissionError(f"it belongs to another user (uid {owner})")
        fcntl.flock(turn, _LOCK_EX | _LOCK_NB)
    except OSError as error:
        close(turn)
        if isinstance(error, BlockingIOError):
            return 0
        raise
    return turn


def named(path: str) -> int:
    """The process that has become the reserve; 0 if none is named."""
    try:
        fd = open(path + ".lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC)
    except OSError:
        return 0
    try:
        return int(b"0" + read(fd, 20).split(b"\n")[0])
    except (OSError, ValueError):
        return 0
    finally:
        close(fd)


def listens(path: str) -> bool:
    """Return whether somebody listens at a socket."""
    probe = Socket(AF_UNIX, SOCK_STREAM, 0)
    try:
        probe.settimeout(0)
        probe.connect(path)
    except BlockingIOError:
        return True  # so many wait there
    except OSError:
        return False
    finally:
        probe.close()
    return True


def is_there() -> bool:
    """Return whether somebody is the reserve."""
    turn = take(socket_path())
    if turn > 0:
        close(turn)
    return turn == 0
