"""The slow half of attach: start a supervisor, one of many sessions for all, and wait for it.

What is started becomes the supervisor, or finds out who is. It tells on a pipe where that listens,
or that it cannot be had; if nobody reads there any more, it ends.
"""

import select
import sys
from posix import (
    O_RDWR,
    WNOHANG,
    _exit,
    close,
    dup2,
    environ,
    execve,
    fork,
    fstat,
    kill,
    open,  # noqa: A004 - the descriptor-level open: this module has no file objects
    pipe,
    read,
    set_inheritable,
    setsid,
    stat,
    unlink,
    waitpid,
    write,
)
from time import monotonic, sleep

from khive_supervisor.attach.channel import (
    FORWARDED,
    INBOX,
    JOURNAL,
    PAUSE,
    SAY_AFTER,
    StartTerms,
    offer,
    resumed,
    say,
    stopped,
)
from khive_supervisor.attach.reserve import listens, lock, serve_alone
from khive_supervisor.exitcodes import (
    BOOT_FAILURE,
    CONFIG,
    OK,
    PERMANENT,
    STORE_REFUSED,
    UNRESPONSIVE,
    USAGE,
)
from khive_supervisor.host import holder, paths

#: What no further start can mend: the user has to; its message has been said.
LASTING = (CONFIG, STORE_REFUSED, USAGE, PERMANENT)
#: What another start just now would meet again: the session serves itself meanwhile.
HOPELESS = (BOOT_FAILURE, UNRESPONSIVE)
#: Seconds that must be left to who starts one: what takes longer would be waited for by nobody.
WORTH_IT = 1.0
#: Seconds between two looks whether the start that is waited for goes on.
LOOK_EVERY = 0.5
_SIGKILL = 9


def start(terms: StartTerms, until: float, whoever: bool) -> bool:
    """Start a supervisor, unless one of many clients that came at once has done so, and attach.

    Returns if the caller should look again: whether the start failed by itself. Until its own time
    is over, this waits no longer. With `whoever` one is started although somebody listens.
    """
    path = paths.socket_path(terms.config)
    try:
        paths.make_private_directory(path.rpartition("/")[0])
    except OSError as error:
        say(f"the socket's directory cannot be made: {error}. Set KHIVE_SOCKET to another path.")
        serve_alone(terms)
    turn = take_turn(path + ".starting", until, whoever, terms)
    if turn is None:
        return False  # somebody listens by now, or the time is over
    try:
        socket, code = run_start(terms, until)
    finally:
        if turn >= 0:
            # Who waits for a lock that is gone meets the store's lock at worst: that counts.
            discard(path + ".starting")
            close(turn)
    if socket:
        offer(socket, terms)
    elif code in LASTING and not resumed():
        say("no supervisor could be started; its message is above.")
        _exit(code)
    elif code in HOPELESS:
        say("no supervisor could be started; its message is above. This session serves itself.")
        serve_alone(terms)
    return code > 0


def take_turn(path: str, until: float, whoever: bool, terms: StartTerms) -> "int | None":
    """Be the one of many that starts: a descriptor to close, or -1 if there is nothing to lock.

    None if somebody listens by now, or when the time is over.
    """
    said, say_at = False, monotonic() + SAY_AFTER
    while True:
        try:
            # Each time: the one that had it has removed it, and others have made another.
            turn = lock(path)
        except OSError as error:
            say(f"{path} cannot be used: {error}; this session does not wait for others' starts.")
            return -1
        if turn:
            wanted = whoever or not any_reachable(terms)
            if terms.until is not None and terms.until - monotonic() < WORTH_IT:
                wanted = False
            if wanted and is_at(turn, path):
                return turn
            close(turn)
            if not wanted:
                return None
            continue
        if monotonic() > until or (not whoever and any_reachable(terms)):
            return None
        if not said and monotonic() > say_at:
            say("waiting for a supervisor that another session starts")
            said = True
        sleep(PAUSE * 2)


def is_at(fd: int, path: str) -> bool:
    """Return whether a path still names the file behind a descriptor."""
    try:
        there = stat(path)
    except OSError:
        return False
    here = fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def any_reachable(terms: StartTerms) -> bool:
    """Return whether somebody listens where this session's supervisor may be."""
    return any(listens(path) for path in holder.candidates(terms.config))


def run_start(terms: StartTerms, until: float) -> "tuple[str, int]":
    """Run a start: where its supervisor listens, or "" and the exit code (-1: it was killed)."""
    told, tell = pipe()
    set_inheritable(tell, True)
    # While this session serves itself, it still wants the supervisor that it has asked for.
    set_inheritable(told, True)
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "start", "--tell-fd", str(tell)]
    argv += ["--config", terms.config] if terms.config else []
    run_apart(argv, told, tell)
    close(tell)
    answer = Word(told).wait(until)
    if answer is None:
        return "", OK  # it goes on as long as this process, whatever that becomes
    close(told)
    kind, _, rest = answer.partition(" ")
    if kind == "socket":
        return rest, OK
    return "", int(rest) if kind == "exit" else -1


def replaced(terms: StartTerms) -> bool:
    """Take the place of a supervisor of this environment that does not speak with this release.

    False if it is another environment's, or cannot be replaced: why has been said.
    """
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "upgrade", "--in-place"]
    argv += ["--config", terms.config] if terms.config else []
    pid = fork()
    if pid == 0:
        try:
            setsid()
            null = open("/dev/null", O_RDWR)
            dup2(null, 0)
            dup2(null, 1)
            close(JOURNAL)
            close(INBOX)
            execve(argv[0], argv, environ_of_all())
        finally:
            _exit(127)
    return waitpid(pid, 0)[1] == 0


def environ_of_all() -> "dict[bytes, bytes]":
    """What this session is known by must not become everybody's: the supervisor serves all."""
    # A service manager that listens to whoever runs this does not mean the supervisor.
    kept_back = (*FORWARDED, "NOTIFY_SOCKET")
    return {n: v for n, v in environ.items() if n.decode("utf-8", "replace") not in kept_back}


class Word:
    """What a start tells: first its pid, then how it went."""

    def __init__(self, told: int) -> None:
        self._told = told
        self._data = b""
        self._pid = 0

    def wait(self, until: float) -> "str | None":
        """Wait for its last line; "" if it ended without, or was stopped: then it is ended.

        None when the time is over.
        """
        said, began = False, monotonic()
        while (line := self._line()) is None:
            left = until - monotonic()
            if left <= 0:
                return None
            if select.select([self._told], [], [], min(left, LOOK_EVERY))[0]:
                more = read(self._told, 4096)
                if not more:
                    return ""
                self._data += more
            elif self._pid and stopped(self._pid):
                kill(self._pid, _SIGKILL)  # ours; nobody else waits for it
            elif not said and monotonic() > began + SAY_AFTER:
                say("waiting for the supervisor that is being started")
                said = True
        return line

    def _line(self) -> "str | None":
        """Its last line, if that is there by now."""
        while b"\n" in self._data:
            line, _, self._data = self._data.partition(b"\n")
            text = line.decode("utf-8", "surrogateescape")
            kind, _, rest = text.partition(" ")
            if kind != "pid":
                return text
            self._pid = int(rest)
        return None


def run_apart(argv: "list[str]", told: int, tell: int) -> None:
    """Run a command away from this process group, with the client's stderr alone; nobody's child.

    Its pid is told on `tell`; it does not get the other end.
    """
    env = environ_of_all()
    pid = fork()
    if pid == 0:
        try:
            setsid()
            started = fork()
            if started:
                write(tell, b"pid %d\n" % started)  # first of all: it may be stopped at once
                _exit(0)
            null = open("/dev/null", O_RDWR)
            dup2(null, 0)
            dup2(2, 1)
            for fd in (told, JOURNAL, INBOX):
                close(fd)
            execve(argv[0], argv, env)
        finally:
            _exit(127)
    until = monotonic() + SAY_AFTER * 4
    while waitpid(pid, WNOHANG)[0] == 0:
        if stopped(pid) or monotonic() > until:
            kill(pid, _SIGKILL)  # a matter of a millisecond, as a rule
        sleep(PAUSE / 20)


def discard(path: str) -> None:
    """Remove a file; one that is gone already is fine."""
    try:
        unlink(path)
    except OSError:
        return
