"""`khive-supervisor hook NAME`: tell the supervisor what a client's hook says, print what it wants.

Imports C modules only, as attach does. A client waits for this process before it goes on, so that
it never waits long, never fails and never says anything but what the model is to read: any trouble
is exit 0, no output, and a line in the hooks' log. Nobody there: a supervisor is started for the
next time.
"""

import _signal  # type: ignore[import-not-found]  # the C module has no stub
import sys
from _json import encode_basestring_ascii as quoted
from _json import scanstring
from _socket import AF_UNIX, SOCK_STREAM, socket
from posix import (
    O_APPEND,
    O_CREAT,
    O_NOFOLLOW,
    O_RDWR,
    O_WRONLY,
    _exit,
    close,
    dup2,
    environ,
    execve,
    fork,
    fstat,
    ftruncate,
    getuid,
    open,  # noqa: A004 - the descriptor-level open: this module has no file objects
    read,
    set_inheritable,
    setsid,
    write,
)
from time import gmtime

from khive_supervisor.attach.channel import (
    StartTerms,
    forwarded_names,
    hello,
    peer,
    shown,
)
from khive_supervisor.exitcodes import OK
from khive_supervisor.host import holder, paths

#: What a hook is called on the command line, and what clients call its event; both are understood.
EVENTS = {
    "session-start": "SessionStart",
    "user-prompt-submit": "UserPromptSubmit",
    "post-tool-use": "PostToolUse",
    "post-tool-use-failure": "PostToolUseFailure",
    "permission-request": "PermissionRequest",
    "notification": "Notification",
    "pre-compact": "PreCompact",
    "stop": "Stop",
    "session-end": "SessionEnd",
    # Not a client's: `doctor` asks by it whether a hook reaches the supervisor.
    "check": "Check",
}
#: What is printed for that.
CHECKED = "reached"
#: Events at which nothing is told: the client goes on as soon as a worker has the event.
SILENT = frozenset(("PermissionRequest", "Notification", "PreCompact", "Stop", "SessionEnd"))
#: Seconds from this process's start to its end, whatever happens.
DEADLINE = 2.0
#: Bytes of what a client says that are taken in; more is passed over.
LONGEST_INPUT = 2 * 1024 * 1024
#: Bytes of an answer; what is printed is bounded by a budget of tokens, far below.
LONGEST_ANSWER = 1024 * 1024
#: Bytes from which on the log begins anew.
LONGEST_LOG = 64 * 1024
#: What switches the supervisor off for a session.
_NO_DAEMON = (b"", b"0", b"false")


class HookFailed(Exception):
    """Nothing comes of this hook; why is for the log."""


def main(argv: "list[str]") -> None:
    """The command; `argv` is what follows `hook`. Always exits with 0."""
    if not argv or argv[0] in ("--help", "-h"):
        write(1, __doc__.encode() + b"\n\nNAME: " + ", ".join(EVENTS).encode() + b"\n")
        _exit(OK)
    name = argv[0]
    _signal.signal(_signal.SIGALRM, lambda *_: leave(name, "it took too long"))
    _signal.setitimer(_signal.ITIMER_REAL, DEADLINE)
    try:
        printed = answer(name, argv)
        if printed:
            write_all(printed.encode("utf-8", "replace"))
        _exit(OK)
    except HookFailed as why:
        leave(name, str(why))
    except BaseException as error:  # noqa: BLE001 - the client must not notice
        leave(name, repr(error))


def answer(name: str, argv: "list[str]") -> str:
    """Return what the client is to read.

    Raises:
        HookFailed: nothing is to be had.
    """
    event = EVENTS.get(name, name)
    if event not in EVENTS.values():
        raise HookFailed("there is no such hook")
    alone = environ.get(b"KHIVE_NO_DAEMON", b"").lower() not in _NO_DAEMON
    if alone or paths.foreign_home():
        raise HookFailed("no supervisor is to be used here")
    said = read_input()
    cwd = paths.working_directory()
    ignored = paths.distrust(None, cwd)
    terms = StartTerms(paths.find_config(None, cwd), ignored)
    sock = reach(terms, event != "Check")
    request = (
        '{"v":1,"id":1,"op":"hooks.command","args":{'
        f'"client":{quoted(option(argv, "--client"))},"event":{quoted(event)},'
        f'"said":{quoted(said)}}}}}'
    ).encode()
    try:
        sock.sendall(len(request).to_bytes(4, "big") + request)
        printed = result(sock, event in SILENT)
    finally:
        sock.close()
    return CHECKED if event == "Check" else printed


def option(argv: "list[str]", name: str) -> str:
    """Return the value of an option; Claude Code's name where it is missing."""
    place = argv.index(name) if name in argv else len(argv)
    return argv[place + 1] if place + 1 < len(argv) else "claude-code"


def read_input() -> str:
    """Return what the client says, whole.

    Raises:
        HookFailed: it is too long.
    """
    parts: list[bytes] = []
    left = LONGEST_INPUT
    while left > 0 and (data := read(0, min(left, 1 << 16))):
        parts.append(data)
        left -= len(data)
    if left <= 0:
        raise HookFailed(f"the client said more than {LONGEST_INPUT} bytes")
    return b"".join(parts).decode("utf-8", "replace")


def reach(terms: StartTerms, may_start: bool) -> socket:
    """Return a connection to this user's supervisor, greeted.

    Raises:
        HookFailed: there is none; one is being started.
    """
    for path in holder.candidates(terms.config):
        if holder.unsafe(path) is None and (sock := connected(path)) is not None:
            sock.sendall(hello(terms, forwarded_names(path), "verbs", '"hook":true,'))
            return sock
    if may_start:
        start(terms)
    raise HookFailed("no supervisor was running; one is started for the next time")


def connected(path: str) -> "socket | None":
    """Return a connection to this user's process at a socket; None if there is none."""
    sock = socket(AF_UNIX, SOCK_STREAM, 0)
    try:
        sock.settimeout(DEADLINE)
        sock.connect(path)
        if peer(sock)[1] == getuid():
            return sock
    except OSError:
        pass
    sock.close()
    return None


def result(sock: socket, silent: bool) -> str:
    """Return what the verb's answer says is to be printed; `silent`: that is not waited for.

    Raises:
        HookFailed: it was refused, or the connection ended.
    """
    while True:
        frame = receive_frame(sock)
        if silent and '"begun":' in frame[:200]:
            return ""
        if '"error":' in frame[:200]:
            raise HookFailed(frame[:500])
        place = frame.find('"print":"')
        if place >= 0:
            text: str = scanstring(frame, place + len('"print":"'), False)[0]
            return text
        if '"result":' in frame[:200]:
            return ""


def receive_frame(sock: socket) -> str:
    """Return the next frame's JSON; raises HookFailed at the connection's end."""
    size = int.from_bytes(receive(sock, 4), "big")
    if not 0 < size <= LONGEST_ANSWER:
        raise HookFailed(f"a frame of {size} bytes came")
    return receive(sock, size).decode("utf-8", "replace")


def receive(sock: socket, size: int) -> bytes:
    """Return so many bytes; raises HookFailed at the connection's end."""
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise HookFailed("the supervisor ended the connection")
        data += more
    return data


def write_all(data: bytes) -> None:
    """Write to the client; raises OSError if it is gone."""
    while data:
        data = data[write(1, data) :]


def start(terms: StartTerms) -> None:
    """Have a supervisor started, unless somebody does already; does not wait for it."""
    from khive_supervisor.attach.reserve import lock

    path = paths.socket_path(terms.config)
    paths.make_private_directory(path.rpartition("/")[0])
    turn = lock(path + ".hook-starting")
    if not turn:
        return
    set_inheritable(turn, True)  # whoever is started has it until that is done
    argv = [sys.executable, "-P", "-m", "khive_supervisor", "start", "--background", "--quiet"]
    argv += ["--config", terms.config] if terms.config else []
    if fork() == 0:
        try:
            setsid()
            null = open("/dev/null", O_RDWR)
            for fd in (0, 1, 2):
                dup2(null, fd)
            execve(argv[0], argv, shared_environment())
        finally:
            _exit(127)
    close(turn)


def shared_environment() -> "dict[bytes, bytes]":
    """Return the environment without what is this session's: the supervisor serves all."""
    own = (b"CLAUDE_", b"CLAUDECODE", b"CODEX_", b"KHIVE_NAMESPACE", b"KHIVE_ACTOR", b"NOTIFY_")
    return {name: value for name, value in environ.items() if not name.startswith(own)}


def leave(name: str, why: str) -> None:
    """Exit with 0 and a line in the log."""
    try:
        note(f"{name}: {why}")
    finally:
        _exit(OK)


def note(text: str) -> None:
    """Write a line into the hooks' log, which begins anew when it is long."""
    directory = paths.state_home()
    paths.make_private_directory(directory)
    fd = open(directory + "/hooks.log", O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600)
    if fstat(fd).st_size > LONGEST_LOG:
        ftruncate(fd, 0)
    year, month, day, hour, minute, second = gmtime()[:6]
    stamp = f"{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    write(fd, f"{stamp} {shown(' '.join(text.split()))}\n".encode())
    close(fd)
