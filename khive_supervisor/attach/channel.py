"""A session offered to a supervisor: the hello, the records of its channel, and the waiting.

After the hello the connection is the session channel: its end tells each side that the other is
gone. What must survive a worker is in the journal, which this process only keeps open. Imports C
modules only, as attach does.
"""

import sys
from _json import encode_basestring_ascii as quoted
from _socket import AF_UNIX, SCM_RIGHTS, SHUT_RDWR, SOCK_STREAM, SOL_SOCKET, socket
from posix import (
    O_CREAT,
    O_EXCL,
    O_RDONLY,
    O_RDWR,
    _exit,
    close,
    dup2,
    execv,
    fstat,
    ftruncate,
    getpid,
    getuid,
    open,  # noqa: A004 - the descriptor-level open: this module has no file objects
    pread,
    pwrite,
    read,
    set_inheritable,
    unlink,
    write,
)
from time import monotonic, sleep

from khive_supervisor import __version__
from khive_supervisor.exitcodes import PERMANENT, TEMPORARY, VERSION_MISMATCH
from khive_supervisor.host import holder, paths

#: The protocol's number; protocol.py has the same (a test compares).
PROTOCOL = 1
#: Environment variables that reach the worker when no supervisor has said otherwise.
FORWARDED = (
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_PROJECT_DIR",
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "KHIVE_NAMESPACE",
    "KHIVE_ACTOR",
)
#: Seconds between two attempts: the first, and the longest of those that follow, each the double.
PAUSE, LONGEST_PAUSE = 0.02, 1.0
#: Seconds in which a supervisor takes a session, a matter of milliseconds; and then a worker begins
#: with it: who has answered looks after those that start workers, and says how they are.
TAKEN_WITHIN, BEGUN_WITHIN = 4.0, 20.0
#: Times as long for a process that works: a machine may be busy.
SLOW = 4.0
#: Seconds of a wait after which the client is told what is waited for.
SAY_AFTER = 1.0
#: Seconds between two looks at who is waited for; stopped in two of them, it is waited for no more.
LOOK_EVERY = 0.25
#: Bytes of a record that are read; it holds a path or a sentence.
MAX_RECORD = 16384
#: Descriptors of the channel and the session's memory while a shell waits: dash names only single
#: digits. The journal has the handshake and the calls that are owed; the inbox, what was read.
CHANNEL, JOURNAL, INBOX = 9, 8, 7
#: Seconds, about, for which a package that cannot be imported is waited for.
INSTALLED_WITHIN = 120
#: How attach begins again: in this process, not in one of its own that could be stopped or killed.
AGAIN = f"""
import sys, time
for left in range({INSTALLED_WITHIN}, -1, -1):
    try:
        from khive_supervisor.attach import command, start
        break
    except Exception:
        if not left:
            raise
        sys.path_importer_cache.clear()
        for name in [n for n in sys.modules if n.startswith("khive_supervisor")]:
            del sys.modules[name]
        time.sleep(1)
command.main(sys.argv[1:])
"""
#: What waits: a record of one line (docs/protocol.md) ends the session, or says something; the
#: channel's end without one means that the worker is lost, and attaches again: as soon as this
#: package can be imported, since an installer may be replacing it at this very moment.
WAIT = f"""\
while IFS=' ' read -r kind code text <&{CHANNEL}; do
case $kind in
M) echo "khive-supervisor attach: $text" >&2;;
E) echo "khive-supervisor attach: $text" >&2; exit "$code";;
X) exit "$code";;
esac
done
python=$1
shift 5
exec "$python" -P -c '{AGAIN}' "$@" {CHANNEL}<&-
"""
#: errno values of a sandbox that forbids the socket: EPERM, EACCES.
FORBIDDEN = (1, 13)
_SO_PEERCRED = 17


class Unserved(Exception):
    """No supervisor serves this session, so that it serves itself; why has been said."""


class OtherRelease(Exception):
    """The supervisor speaks another release's protocol."""


def say(text: str) -> None:
    """One line to the client's stderr."""
    write(2, f"khive-supervisor attach: {shown(text)}\n".encode())


def shown(text: str) -> str:
    """A text without what a terminal would obey: names can hold anything."""
    return "".join(one if one.isprintable() or one == "\n" else ascii(one)[1:-1] for one in text)


class StartTerms:
    """How a session was started.

    Attributes:
        config: the configuration file that it goes by; None: the defaults.
        ignored: (name, value) of what its directory's project says, and was not taken.
        until: when the client must have a worker, whoever starts that; None: it has no session yet.
        alone: whether it has asked the reserve, so that only a process of its own is left.
    """

    __slots__ = ("alone", "config", "ignored", "until")

    def __init__(self, config: "str | None", ignored: "list[tuple[str, str]]") -> None:
        self.config = config
        self.ignored = ignored
        self.until: float | None = None
        self.alone = False

    def left(self, seconds: float) -> float:
        """So many seconds, or as many as are left."""
        return seconds if self.until is None else max(PAUSE, min(seconds, self.until - monotonic()))

    def words(self) -> "list[str]":
        """The same as arguments, for a process that this one becomes."""
        words = ["--config", self.config] if self.config else []
        for name, value in self.ignored:
            words += ["--ignored", name + "=" + value]
        return words


def hello(
    terms: StartTerms, names: "tuple[str, ...]", kind: str = "attach", more: str = ""
) -> bytes:
    """The hello frame: who and where we are, which store we mean, what was ignored or forwarded.

    `more`: members that only some have, as JSON, each with a comma behind it.
    """
    left_out = ",".join(f"[{quoted(name)},{quoted(value)}]" for name, value in terms.ignored)
    forwarded = [(n, paths.env(n)) for n in names]
    env = ",".join(quoted(n) + ":" + quoted(v) for n, v in forwarded if v is not None)
    store = holder.store_named()
    body = (
        f'{{"v":{PROTOCOL},"kind":"{kind}",{more}"release":{quoted(__version__)},"pid":{getpid()},'
        f'"cwd":{quoted(paths.working_directory())},'
        f'"config":{quoted(terms.config) if terms.config else "null"},'
        f'"store":{quoted(store) if store else "null"},'
        f'"default_store":{quoted(holder.default_store())},"acks":true,'
        f'"ignored":[{left_out}],"env":{{{env}}}}}'
    ).encode()
    return len(body).to_bytes(4, "big") + body


def open_memory(number: int) -> None:
    """Make memory that outlives every worker of this session, as a descriptor of this number."""
    try:
        from posix import memfd_create
    except ImportError:  # not Linux: a file without a name
        path = f"/tmp/khive-session-{getpid()}"  # noqa: S108 - O_EXCL, and unlinked at once
        fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0o600)
        unlink(path)
    else:
        fd = memfd_create("khive-session")
    if fd != number:
        dup2(fd, number)
        close(fd)
    set_inheritable(number, True)


def futile_attaches(journal: int) -> int:
    """How many workers in a row were lost without having answered anything."""
    return lines(journal).count(b"A")


def lines(journal: int) -> "list[bytes]":
    """What a journal holds."""
    return pread(journal, fstat(journal).st_size, 0).split(b"\n")


def note_attach(journal: int) -> None:
    """Count this attach; the worker's next answer takes the count away."""
    pwrite(journal, b"A\n", fstat(journal).st_size)


def forget_attach(journal: int) -> None:
    """Take back the last count: no worker has seen the journal."""
    ftruncate(journal, max(0, fstat(journal).st_size - len(b"A\n")))


def wait_for_end(sock: socket, terms: StartTerms) -> None:
    """Become a shell that waits for the session's end; leaves only by exiting or attaching again.

    A shell that waits takes a tenth of an interpreter's memory, and most of attach's life is this.
    """
    sock.settimeout(None)
    if sock.fileno() != CHANNEL:
        dup2(sock.fileno(), CHANNEL)
    set_inheritable(CHANNEL, True)
    execv("/bin/sh", ["khive-attach", "-c", WAIT, "khive-attach", *again(terms)])


def again(terms: StartTerms) -> "list[str]":
    """The command that attaches again with the same journal and inbox."""
    return [sys.executable, "-P", "-m", "khive_supervisor", "attach", "--again", *terms.words()]


def forwarded_names(socket_path: str) -> "tuple[str, ...]":
    """The allow-list: the supervisor writes its own beside the socket when it differs."""
    try:
        fd = open(socket_path + ".env", O_RDONLY)
    except OSError:
        return FORWARDED
    try:
        return tuple(read(fd, 65536).decode("utf-8", "replace").split())
    finally:
        close(fd)


def peer(sock: socket) -> "tuple[int, int]":
    """The process and the user at the other end; (0, ours) where the kernel does not tell."""
    if sys.platform != "linux":
        return 0, getuid()  # the socket's directory is ours alone there, see holder.unsafe
    credentials = sock.getsockopt(SOL_SOCKET, _SO_PEERCRED, 12)
    return (
        int.from_bytes(credentials[:4], sys.byteorder),
        int.from_bytes(credentials[4:8], sys.byteorder),
    )


def refuse(why: str) -> None:
    """Leave: the client's pipes are never handed to another user's process.

    Raises:
        Unserved: the client has a session, which is not to end.
    """
    say(f"{why}. Set KHIVE_SOCKET to one of yours.")
    if resumed():
        raise Unserved
    _exit(PERMANENT)


def pass_pipes(sock: socket, frame: bytes) -> None:
    """Send the hello with stdin, stdout, stderr, the journal and the inbox."""
    fds = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, JOURNAL, INBOX))
    sent = sock.sendmsg([frame], [(SOL_SOCKET, SCM_RIGHTS, fds)])
    if sent < len(frame):
        sock.sendall(frame[sent:])


def connected(sock: socket, path: str) -> bool:
    """Connect; False if so many wait already that the supervisor must be hung.

    Raises OSError: nobody listens there.
    """
    until = monotonic() + TAKEN_WITHIN
    while True:
        try:
            sock.connect(path)
        except BlockingIOError:  # its queue is full: of clients that come at once, or for good
            if monotonic() > until:
                return False
            sleep(PAUSE)
        else:
            return True


def state(pid: int) -> bytes:
    """The state of a process as `ps` shows it, in one letter; empty if it is not to be had."""
    try:
        fd = open(f"/proc/{pid}/stat", O_RDONLY)
    except OSError:
        return b""
    try:
        return read(fd, 512).rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return b""
    finally:
        close(fd)


def stopped(pid: int) -> bool:
    """Return whether a process is known to be stopped by a signal or a debugger."""
    return state(pid) in (b"T", b"t")


def receive(
    sock: socket, seconds: float, what: str, pid: int, slow: float = SLOW
) -> "bytes | None":
    """The channel's next record; b"" at its end, None if there is none in time.

    One whose process is stopped is not waited for; one that works, or waits for a processor or a
    disk, gets `slow` times as long. What is waited for is said to the client before long.
    """
    record = b""
    began, said, halted = monotonic(), False, 0
    while not record.endswith(b"\n"):
        try:
            sock.settimeout(min(LOOK_EVERY, seconds))
            byte = sock.recv(1)
        except TimeoutError:
            waited, now = monotonic() - began, state(pid)
            works = now in (b"R", b"D")
            halted = halted + 1 if now in (b"T", b"t") else 0
            if halted > 1 or waited >= (slow * seconds if works else seconds):
                return None
            if not said and waited >= SAY_AFTER:
                say(what)
                said = True
            continue
        if not byte or len(record) > MAX_RECORD:
            return b""
        record += byte
    return record[:-1]


def offer(path: str, terms: StartTerms) -> "str | None":
    """Offer the session to who listens at a socket; returns only if it is not taken there.

    Returns None if nobody was there (any more), or whom to ask instead: the path of another socket,
    or "" if a supervisor has to be started for the store that is meant.

    Raises:
        OtherRelease: who listens speaks another protocol.
        Unserved: the session has to serve itself.
    """
    sock = socket(AF_UNIX, SOCK_STREAM, 0)
    try:
        sock.settimeout(TAKEN_WITHIN)
        if not connected(sock, path):
            raise unserved(0, path, terms, "accepts no connection")
        pid, uid = peer(sock)
        if uid != getuid():
            refuse(f"the socket {path} belongs to another user (uid {uid})")
        note_attach(JOURNAL)
        pass_pipes(sock, hello(terms, forwarded_names(path)))
        return until_begun(sock, pid, path, terms)
    except OSError as error:
        if error.errno in FORBIDDEN:
            raise Unserved from None
        return None
    finally:
        sock.close()


def until_begun(sock: socket, pid: int, path: str, terms: StartTerms) -> "str | None":
    """Wait until a worker has begun, and become what waits for its end; otherwise as `offer`."""
    who = "session that serves others" if terms.alone else "supervisor"
    waits = f"waiting for the {who} (pid {pid}) at {path} to answer"
    seconds, missing = TAKEN_WITHIN, "does not answer"
    slow = SLOW if terms.until is None else 1.0
    while True:
        record = receive(sock, terms.left(seconds), waits, pid, slow)
        if record is None:
            if has_begun_after_all(sock):
                return None
            raise unserved(pid, path, terms, missing)
        kind, _, rest = record.decode("utf-8", "surrogateescape").partition(" ")
        code, _, text = rest.partition(" ")
        if kind == "T":
            seconds, missing = BEGUN_WITHIN, "has no worker for this session"
            waits = f"waiting for the {who} (pid {pid}) to start a worker"
        elif kind == "W":
            wait_for_end(sock, terms)
        elif kind == "M":
            say(text)
        elif kind == "R":
            forget_attach(JOURNAL)
            return text
        elif kind == "E":
            refused(int(code), text)
            return None
        elif kind == "X":
            _exit(int(code))
        elif not kind:
            return None


def has_begun_after_all(sock: socket) -> bool:
    """Decide who has the client's pipes; True if a worker has begun in this very moment.

    Once the channel is shut no worker can say that it begins, and one that cannot does not.
    """
    sock.shutdown(SHUT_RDWR)
    late = sock.recv(MAX_RECORD).startswith((b"W\n", b"T\nW\n"))
    if late:
        sock.close()  # its end; the journal is free when it has noticed
        sleep(LONGEST_PAUSE)
    return late


def refused(code: int, text: str) -> None:
    """A supervisor said why it does not take the session; returns if it may do so later.

    Raises:
        OtherRelease: it speaks another protocol.
        Unserved: it never will, and the client has a session, which is not to end.
    """
    if code == VERSION_MISMATCH:
        raise OtherRelease
    say(text)
    if code == TEMPORARY:
        return
    if resumed():
        raise Unserved
    _exit(code)


def resumed() -> bool:
    """Return whether the client's handshake has been made."""
    return lines(JOURNAL)[0].startswith(b"H ")


def unserved(pid: int, path: str, terms: StartTerms, why: str) -> Unserved:
    """Say that the supervisor hangs, and return what to raise then."""
    who = f"(pid {pid}) " if pid else ""
    blamed = pid and (terms.until is None or stopped(pid))
    mend = f" If it is stopped: kill -CONT {pid}; if it hangs: kill -9 {pid}." if blamed else ""
    what = "session that serves others" if terms.alone else "supervisor"
    say(f"the {what} {who}at {path} {why}; this session serves itself meanwhile.{mend}")
    return Unserved()
