"""The processes of this machine: how they are, who started whom, and the end of what is left.

Linux alone has the table that this reads: elsewhere next to nothing is seen, and nothing is ended.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

#: The variable by which what a task starts is known, wherever it goes: the name of its worker.
MARK = "KHIVE_TASK_WORKER"
#: Seconds in which what is killed must be gone; one in an uninterruptible wait may stay.
PATIENCE = 5.0
#: prctl(2): who is left by its parent becomes this process's child, and not the first one's.
_PR_SET_CHILD_SUBREAPER = 36
#: Bytes of an environment or a command line that are read: far above what programs are given.
_WORDS = 1 << 21
#: What the command line of each child has.
_WORKERS = b"khive_workers."
#: Bytes of a line of the process table: more than 52 numbers and a name have.
_LINE = 2048
#: Ticks of the process table's clock in a second.
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessEntry:
    """An entry of the process table; two are the same process if they began at one time.

    Attributes:
        started: ticks; it tells two with one number apart.
        state: one letter, as in `ps`.
        name: of its program, cut after 15 letters.
        seconds: of processor time that it has used.
    """

    pid: int
    started: int
    state: str = field(compare=False)
    parent: int = field(compare=False)
    session: int = field(compare=False)
    name: str = field(compare=False)
    seconds: float = field(compare=False)


def become_subreaper() -> None:
    """Get the children of this process's descendants that end before them."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def table() -> dict[int, ProcessEntry]:
    """All processes by their numbers; none where there is no table to read. 10 µs for each."""
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return {}
    return {pid: found for pid in numbers if (found := process(pid)) is not None}


def process(pid: int) -> ProcessEntry | None:
    """Return one entry; None: there is none."""
    if not (line := _line_of(pid)):
        return None
    head, _, rest = line.rpartition(b")")
    fields = rest.split()
    return ProcessEntry(
        pid,
        int(fields[19]),
        fields[0].decode(),
        int(fields[1]),
        int(fields[3]),
        os.fsdecode(head.partition(b"(")[2]),
        _seconds(fields),
    )


def _seconds(fields: Sequence[bytes]) -> float:
    """Return the processor time that a process has used, by the fields after its name."""
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _line_of(pid: int) -> bytes:
    """Return a process's line of the process table; empty if there is none.

    Each second for each process: a file object would make six calls of the system more.
    """
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _LINE)
    except OSError:
        return b""  # it has just ended
    finally:
        os.close(descriptor)


def stopped(pid: int) -> bool:
    """Return True if a process is known to be stopped by a signal or a debugger."""
    return signs_of_life(pid)[0] in ("T", "t")


def alive(pid: int) -> bool:
    """Return True if a process exists and is no zombie.

    One that has ended stays in the table until its parent reaps it; in a container that may be
    seconds, or for ever.
    """
    if found := process(pid):
        return found.state != "Z"
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
    """Return a process's state and processor time; "" where there is none, or no table to read."""
    # The first fields alone: this is asked all the time.
    fields = _line_of(pid).rpartition(b")")[2].split(None, 13)
    return (fields[0].decode(), _seconds(fields)) if fields else ("", 0.0)


def memory_of(pid: int) -> int | None:
    """Return the bytes of memory that a process has as its own share; None: it is not known.

    What several processes have in common counts for each by its part, so that sums are true. It
    costs 0.1 ms and more, where the system tells it at all.
    """
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            found = next(line for line in file if line.startswith(b"Pss:"))
    except (OSError, StopIteration):
        return None
    return int(found.split()[1]) * 1024


def named(pid: int, name: str) -> bool:
    """Return True if a process was started under a name, where the system tells."""
    return words_of(pid, "cmdline")[:1] == [name.encode()]


def is_worker(pid: int) -> bool:
    """Return True if a process was started as a child of a supervisor, where the system tells."""
    return any(_WORKERS in word for word in words_of(pid, "cmdline"))


def workers_of(socket: str) -> list[int]:
    """The processes that were started as children of the supervisor at a socket, now or before."""
    mark = b"KHIVE_SOCKET=" + os.fsencode(socket)
    return [pid for pid in table() if is_worker(pid) and mark in words_of(pid, "environ")]


def stopped_workers(socket: str) -> list[int]:
    """The same that a signal has stopped, and children of the reserve that stands in for it.

    Never a client's own process, which its user may stop with the client: those lead no session.
    """
    mark = os.fsencode(socket)
    belongs = (b"KHIVE_SOCKET=" + mark, mark)
    return [
        one.pid
        for one in table().values()
        if one.state == "T"
        and one.session == one.pid
        and is_worker(one.pid)
        and any(
            word in belongs for what in ("environ", "cmdline") for word in words_of(one.pid, what)
        )
    ]


def end(pid: int) -> None:
    """Ask a process to end; one that is gone is fine."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGTERM)


def end_group(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    """End a process that leads a group, and the group, now; also one that is stopped."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, how)


def descendants(
    processes: Mapping[int, ProcessEntry], root: int, spared: Collection[int] = ()
) -> list[ProcessEntry]:
    """What a process started, directly or not, without those spared and what they started."""
    children: dict[int, list[ProcessEntry]] = {}
    for one in processes.values():
        children.setdefault(one.parent, []).append(one)
    found: list[ProcessEntry] = []
    waiting = [root]
    while waiting:
        new = [one for one in children.get(waiting.pop(), ()) if one.pid not in spared]
        found += new
        waiting += [one.pid for one in new]
    return found


def marked(names: Collection[str]) -> Iterator[ProcessEntry]:
    """Processes of this user whose environment has the mark of one of these workers."""
    marks = {f"{MARK}={name}".encode() for name in names}
    for one in table().values():
        living = one.pid != os.getpid() and one.state != "Z"
        if living and not marks.isdisjoint(words_of(one.pid, "environ")):
            yield one


def of_session(leader: int, variable: str) -> Iterator[ProcessEntry]:
    """What is left of a session whose leader has ended.

    What a worker forks without exec has the zygote's environment, and so no mark; but it stays in
    the session that the worker leads. `variable` is one that only this project's processes have:
    the number may be another session's by now.
    """
    processes = table()
    if leader in processes and processes[leader].state != "Z":
        return
    begin = f"{variable}=".encode()
    for one in processes.values():
        if one.session == leader and any(
            part.startswith(begin) for part in words_of(one.pid, "environ")
        ):
            yield one


def words_of(pid: int, what: str) -> list[bytes]:
    """Return what a process was started with, its "environ" or "cmdline"; none if it is hidden."""
    try:
        with open(f"/proc/{pid}/{what}", "rb") as file:
            return file.read(_WORDS).split(b"\0")
    except OSError:
        return []  # it has ended, or is another user's


def end_all(
    look: Callable[[], Iterable[ProcessEntry]],
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.monotonic,
) -> int:
    """Kill what `look` finds until it finds nothing more; how many there were.

    Stopped processes end as well, and those that were started meanwhile are found by the next look.
    """
    seen: set[tuple[int, int]] = set()
    until = clock() + patience
    while living := [one for one in look() if one.state != "Z"]:
        for one in living:
            _kill(one)
        seen |= {(one.pid, one.started) for one in living}
        left = until - clock()
        if left <= 0:
            break
        _wait_for(living[0].pid, left)
    return len(seen)


def _kill(one: ProcessEntry) -> None:
    now = process(one.pid)
    if now is not None and now.started == one.started:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(one.pid, signal.SIGKILL)


def _wait_for(pid: int, seconds: float) -> None:
    """Wait for a process's end, at most so long; a look that follows is what counts."""
    try:
        descriptor = os.pidfd_open(pid)  # type: ignore[attr-defined,unused-ignore]  # Linux has it
    except OSError:
        time.sleep(min(0.01, seconds))  # it has ended, or a sandbox has no such call
        return
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        poll.poll(min(seconds, 0.2) * 1000)
    finally:
        os.close(descriptor)
