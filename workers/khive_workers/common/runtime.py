"""What every child does first: signals, descriptors, its parent's link, its log."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading

from khive_supervisor import exitcodes, logs
from khive_supervisor.config.settings.model import Config
from khive_supervisor.control import protocol
from khive_supervisor.control.client import peer
from khive_supervisor.host import holder

#: Seconds in which a supervisor must accept a registration; a worker serves without it anyway.
REGISTER_DEADLINE = 2.0


def reset_signals() -> None:
    """Undo what exec and fork inherit: mask, ignored signals, handlers, wakeup descriptor."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE):
        default = signal.SIG_IGN if number is signal.SIGPIPE else signal.SIG_DFL
        signal.signal(number, default)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def name_process(name: str) -> None:
    """Make `ps` and `top` show what this is; at most 15 bytes on Linux, nothing elsewhere."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/comm", "w", encoding="ascii") as comm:
                comm.write(name[:15])
        except OSError:
            return  # a sandbox without /proc: only cosmetic


def exit_with_parent(parent: socket.socket) -> None:
    """End this process the moment its parent is gone, whatever it is doing (a daemon thread)."""

    def watch() -> None:
        parent.setblocking(True)
        while True:
            try:
                if not parent.recv(64):
                    os._exit(exitcodes.OK)
            except OSError:
                os._exit(exitcodes.OK)

    threading.Thread(target=watch, name="parent", daemon=True).start()


#: What a child answers on its link when it is asked whether it lives.
ALIVE = b"alive\n"


def answer_parent(parent: int) -> bool:
    """Read what the supervisor says on the link, and answer; False at its end. Never waits."""
    try:
        data = os.read(parent, 64)
    except BlockingIOError:
        return True
    except OSError:
        return False
    if data:
        try:
            os.write(parent, ALIVE)
        except OSError:
            return True  # it reads nothing now; its end will be seen
    return bool(data)


def begin(channel: int, word: bytes) -> bool:
    """Tell a client that its worker begins; False if it has given up, and may serve itself."""
    with socket.socket(fileno=os.dup(channel)) as sock:
        try:
            return sock.send(word) == len(word)
        except OSError:
            return False


def registration(config: Config, name: str, session: str, info: dict[str, object]) -> (
    tuple[bytes, socket.socket]
):  # fmt: skip
    """Return the hello of a worker, and the end of its log that goes with it."""
    receiving = logs.send_to_supervisor(config.log.level, name)
    # A command's verbs run in its only thread: it cannot be asked whether it lives.
    # `moves`: told to, it gives its session to a worker of the release that runs by then.
    hello = protocol.hello(
        "worker",
        session=session,
        worker=name,
        pid=os.getpid(),
        info=info,
        answers=name == "session",
        moves=name == "session",
    )
    return hello, receiving


def register(path: str, hello: bytes, log_end: socket.socket | None) -> socket.socket | None:
    """Connect to the supervisor and say who this is; None when there is no supervisor."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(REGISTER_DEADLINE)
    try:
        if holder.unsafe(path):
            raise PermissionError(path)
        sock.connect(path)
        if peer(sock)[1] not in (None, os.getuid()):
            raise PermissionError(path)  # it gets our log, and hears of what our client does
        if log_end is None:
            sock.sendall(hello)
        else:
            socket.send_fds(sock, [hello], [log_end.fileno()])
    except OSError:
        sock.close()
        return None
    return sock
