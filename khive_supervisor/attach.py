"""`khive-supervisor attach`: pass this process's pipes to a session worker, wait, exit as it did.

Imports C modules only, so that a session starts in milliseconds: no json, no socket module, no
click. The slow paths (starting a supervisor, serving without one) are other processes.

After the hello the connection is the session channel: its end tells each side that the other is
gone. What must survive a worker is in the journal, which this process only keeps open.
"""

import _signal  # type: ignore[import-not-found]  # the C module has no stub
import sys
from _json import encode_basestring_ascii as quoted
from _socket import AF_UNIX, SCM_RIGHTS, SOCK_STREAM, SOL_SOCKET, socket
from posix import (
    O_CREAT,
    O_EXCL,
    O_RDONLY,
    O_RDWR,
    _exit,
    close,
    dup2,
    environ,
    execv,
    execve,
    fork,
    fstat,
    getcwd,
    getpid,
    getuid,
    open,  # noqa: A004 - the descriptor-level open: this module has no file objects
    pread,
    pwrite,
    read,
    set_inheritable,
    setsid,
    unlink,
    waitpid,
    waitstatus_to_exitcode,
    write,
)

from khive_supervisor import __version__, paths
from khive_supervisor.exitcodes import NOT_RUNNING, PERMANENT

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
#: Attempts to reach a new worker after one was lost, before a supervisor is started again.
QUICK_RETRIES = 3
#: Lost workers in a row, each without having answered anything, before giving up.
MAX_FUTILE = 5
#: Failures in a row to find anybody at the socket, starts of a supervisor included.
MAX_ABSENT = 10
#: Descriptors of the channel and the session's memory while a shell waits: dash names only single
#: digits. The journal has the handshake and the calls that are owed; the inbox, what was read.
CHANNEL, JOURNAL, INBOX = 9, 8, 7
#: What waits: a record of one line (docs/protocol.md) ends the session; the channel's end without
#: one means that the worker is lost, and attaches again.
WAIT = f"""\
IFS=' ' read -r kind code text <&{CHANNEL} || exec "$@" {CHANNEL}<&-
[ "$kind" = E ] && echo "khive-supervisor attach: $text" >&2
exit "$code"
"""
#: errno values of a sandbox that forbids the socket: EPERM, EACCES.
FORBIDDEN = (1, 13)
_SO_PEERCRED = 17
_LOCK_EX = 2


def say(text: str) -> None:
    """One line to the client's stderr."""
    write(2, ("khive-supervisor attach: " + text + "\n").encode("utf-8", "backslashreplace"))


def hello(
    config: "str | None",
    names: "tuple[str, ...]",
    ignored: "list[tuple[str, str]] | tuple[()]" = (),
) -> bytes:
    """The hello frame: who and where we are, what was ignored, the environment forwarded."""
    left_out = ",".join(f"[{quoted(name)},{quoted(value)}]" for name, value in ignored)
    forwarded = [(n, paths.env(n)) for n in names]
    env = ",".join(quoted(n) + ":" + quoted(v) for n, v in forwarded if v is not None)
    body = (
        f'{{"v":{PROTOCOL},"kind":"attach","release":{quoted(__version__)},"pid":{getpid()},'
        f'"cwd":{quoted(working_directory())},"config":{quoted(config) if config else "null"},'
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


def wait_for_end(sock: socket, words: "list[str]") -> None:
    """Become a shell that waits for the session's end; leaves only by exiting or attaching again.

    A shell that waits takes a tenth of an interpreter's memory, and most of attach's life is this.
    """
    if sock.fileno() != CHANNEL:
        dup2(sock.fileno(), CHANNEL)
    set_inheritable(CHANNEL, True)
    again = [sys.executable, "-P", "-m", "khive_supervisor", "attach", "--again", *words]
    execv("/bin/sh", ["khive-attach", "-c", WAIT, "khive-attach", *again])


def working_directory() -> str:
    """The client's working directory; "/" when it was removed."""
    try:
        return getcwd()
    except OSError:
        return "/"


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


def check_peer(sock: socket) -> None:
    """Never hand the client's pipes to another user's process."""
    if sys.platform != "linux":
        return  # the socket's directory is ours alone there, which the supervisor checks
    credentials = sock.getsockopt(SOL_SOCKET, _SO_PEERCRED, 12)
    uid = int.from_bytes(credentials[4:8], sys.byteorder)
    if uid != getuid():
        say(f"the socket belongs to another user (uid {uid}). Set KHIVE_SOCKET to one of yours.")
        _exit(PERMANENT)


def pass_pipes(sock: socket, frame: bytes) -> None:
    """Send the hello with stdin, stdout, stderr, the journal and the inbox."""
    fds = b"".join(fd.to_bytes(4, sys.byteorder) for fd in (0, 1, 2, JOURNAL, INBOX))
    sent = sock.sendmsg([frame], [(SOL_SOCKET, SCM_RIGHTS, fds)])
    if sent < len(frame):
        sock.sendall(frame[sent:])


def run_and_wait(argv: "list[str]", env: "dict[bytes, bytes]") -> int:
    """Run a command away from this process group and the client's pipes; its exit code."""
    pid = fork()
    if pid == 0:
        try:
            setsid()
            null = open("/dev/null", O_RDWR)
            dup2(null, 0)
            dup2(2, 1)
            execve(argv[0], argv, env)
        finally:
            _exit(127)
    return waitstatus_to_exitcode(waitpid(pid, 0)[1])


def reachable(path: str) -> bool:
    """Whether somebody listens at the socket."""
    probe = socket(AF_UNIX, SOCK_STREAM, 0)
    try:
        probe.connect(path)
    except OSError:
        return False
    finally:
        probe.close()
    return True


def start_supervisor(path: str, config: "str | None") -> int:
    """Start a supervisor, unless one of many clients that came at once has done so already."""
    import fcntl

    try:
        paths.make_private_directory(path.rpartition("/")[0])
    except OSError as error:
        say(f"the socket's directory cannot be made: {error}. Set KHIVE_SOCKET to another path.")
        return PERMANENT
    # What this session is known by must not become everybody's: the supervisor serves all.
    env = {n: v for n, v in environ.items() if n.decode("utf-8", "replace") not in FORWARDED}
    lock = open(path + ".starting", O_RDWR | O_CREAT, 0o600)
    try:
        fcntl.flock(lock, _LOCK_EX)
        if reachable(path):
            return 0
        argv = [sys.executable, "-P", "-m", "khive_supervisor", "start", "--background", "--quiet"]
        return run_and_wait(argv + (["--config", config] if config else []), env)
    finally:
        # Who waits for a lock that is gone meets the store's lock at worst, which is what counts.
        discard(path + ".starting")
        close(lock)


def discard(path: str) -> None:
    """Remove a file; one that is gone already is fine."""
    try:
        unlink(path)
    except OSError:
        return


def serve_alone(words: "list[str]") -> None:
    """Become a process that serves this session by itself; does not return."""
    argv = [sys.executable, "-P", "-m", "khive_workers.session", "--standalone"]
    execv(sys.executable, argv + words)


def words_of(config: "str | None", ignored: "list[tuple[str, str]]") -> "list[str]":
    """The same terms as arguments, for a process that this one becomes."""
    words = ["--config", config] if config else []
    for name, value in ignored:
        words += ["--ignored", name + "=" + value]
    return words


def ignored_before(argv: "list[str]") -> "list[tuple[str, str]]":
    """What the process that this one was before has ignored."""
    found = []
    for position, word in enumerate(argv[:-1]):
        if word == "--ignored":
            name, _, value = argv[position + 1].partition("=")
            found.append((name, value))
    return found


def argument(argv: "list[str]", name: str) -> "str | None":
    """The value of `--name VALUE` or `--name=VALUE`, if given."""
    for position, word in enumerate(argv):
        if word == name and position + 1 < len(argv):
            return argv[position + 1]
        if word.startswith(name + "="):
            return word[len(name) + 1 :]
    return None


def attach(path: str, config: "str | None", ignored: "list[tuple[str, str]]") -> None:
    """Attach; leaves by becoming what waits for the session's end, or by exiting."""
    from time import sleep

    futile = futile_attaches(JOURNAL)
    if futile > MAX_FUTILE:
        say("the session's worker keeps dying. `khive-supervisor logs` says why.")
        _exit(NOT_RUNNING)
    sleep(0.02 * futile)
    resumed = lines(JOURNAL)[0].startswith(b"H ")
    for attempt in range(1, MAX_ABSENT + 1):
        sock = socket(AF_UNIX, SOCK_STREAM, 0)
        try:
            sock.connect(path)
            check_peer(sock)
            note_attach(JOURNAL)
            pass_pipes(sock, hello(config, forwarded_names(path), ignored))
            wait_for_end(sock, words_of(config, ignored))
        except OSError as error:
            if error.errno in FORBIDDEN:
                serve_alone(words_of(config, ignored))
        finally:
            sock.close()
        # A worker that was lost with its supervisor: that may be back in a moment.
        if attempt > QUICK_RETRIES or not resumed:
            code = start_supervisor(path, config)
            if code:
                say("no supervisor could be started; its message is above.")
                _exit(code if code > 0 else NOT_RUNNING)
        sleep(0.02 * attempt)
    say(f"a supervisor was started, but nobody listens at {path}. Run doctor.")
    _exit(NOT_RUNNING)


def main(argv: "list[str]") -> None:
    """The command; `argv` is what follows `attach`."""
    if "--help" in argv or "-h" in argv:
        write(1, __doc__.split("\n\n")[0].encode() + b"\n\nUsage: attach [--config FILE]\n")
        _exit(0)
    # Die quietly as any program would; the worker sees the channel end.
    for number in (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP):
        _signal.signal(number, _signal.SIG_DFL)
    cwd, explicit = working_directory(), argument(argv, "--config")
    ignored = ignored_before(argv) + paths.distrust(explicit, cwd)
    config = paths.find_config(explicit, cwd)
    flag = environ.get(b"KHIVE_NO_DAEMON", b"").lower()
    if flag not in (b"", b"0", b"false"):
        serve_alone(words_of(config, ignored))
    path = paths.socket_path(config)
    if len(path.encode("utf-8", "surrogateescape")) > paths.SOCKET_PATH_LIMIT:
        say(
            f"the socket path is longer than {paths.SOCKET_PATH_LIMIT} bytes: {path}. "
            "Set KHIVE_SOCKET to a shorter path, the same for every client."
        )
        _exit(PERMANENT)
    if "--again" not in argv:
        open_memory(JOURNAL)
        open_memory(INBOX)
    attach(path, config, ignored)
