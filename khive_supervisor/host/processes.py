"""Other processes of this machine."""

from __future__ import annotations

import os
import signal

#: What the command line of each child has.
_WORKERS = b"khive_workers."
#: Ticks of the process table's clock in a second.
_TICKS = os.sysconf("SC_CLK_TCK")


def stopped(pid: int) -> bool:
    """Return whether a process is known to be stopped by a signal or a debugger."""
    return _state(pid) in ("T", "t")


def _state(pid: int) -> str:
    """Return a process's state as one letter, as `ps` has it; empty if it cannot be had."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def alive(pid: int) -> bool:
    """Return True if a process exists and is no zombie.

    One that has ended stays in the table until its parent reaps it; in a container that may be
    seconds, or for ever.
    """
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        if os.path.isdir("/proc/self"):
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def signs_of_life(pid: int) -> tuple[str, float]:
    """A process's state as the process table has it, and the seconds of processor time it has used.

    An empty state where there is no such process, or no table to read. 4 µs.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return "", 0.0
    try:
        fields = os.read(fd, 1024).rpartition(b")")[2].split()
    except OSError:
        return "", 0.0
    finally:
        os.close(fd)
    return fields[0].decode(), (int(fields[11]) + int(fields[12])) / _TICKS


def named(pid: int, name: str) -> bool:
    """Return whether a process was started under a name, where the system tells."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read(256).split(b"\0")[0] == name.encode()
    except OSError:
        return False


def end(pid: int) -> None:
    """Ask a process to end; one that is gone is fine."""
    try:
        os.kill(pid, signal.SIGTERM)
    except (ProcessLookupError, PermissionError):
        return


def end_group(pid: int) -> None:
    """End a process that leads a group, and the group, now; also one that is stopped."""
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def is_worker(pid: int) -> bool:
    """Return whether a process was started as a child of a supervisor, where the system tells."""
    return _WORKERS in _read(f"/proc/{pid}/cmdline")


def workers_of(socket: str) -> list[int]:
    """The processes that were started as children of the supervisor at a socket, now or before."""
    mark = b"KHIVE_SOCKET=" + os.fsencode(socket) + b"\0"
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []  # no such table: those that are stopped stay until their user ends them
    return [pid for pid in numbers if is_worker(pid) and mark in _read(f"/proc/{pid}/environ")]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""
