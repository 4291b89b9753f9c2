"""What the kernel says of processes: who belongs to an installation, memory, and time used."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")

#: Seconds between two looks at something that gives no event.
LOOK_AGAIN = 0.01
#: Seconds for anything that should take much less.
DEADLINE = 120.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Proportional set sizes in bytes: a page that n processes map counts 1/n in each.

    `index`: of mappings of index files; `rest`: of all others, of which `dirty` is private and
    written to.
    """

    index: int
    rest: int
    dirty: int


def memory_of(pid: int) -> Memory:
    """The memory of a process now, by /proc/PID/smaps."""
    index = rest = dirty = 0
    mapped = ""
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key == "Pss" and _is_index(mapped):
            index += _bytes(value)
        elif key == "Pss":
            rest += _bytes(value)
        elif key == "Private_Dirty":
            dirty += _bytes(value)
        elif "-" in key and " " in key:
            mapped = line.split(maxsplit=5)[5] if len(line.split(maxsplit=5)) > 5 else ""
    return Memory(index, rest, dirty)


def _is_index(mapped: str) -> bool:
    return mapped.removesuffix(" (deleted)").endswith((".ann", ".sketch", ".words"))


def _bytes(value: str) -> int:
    return int(value.split()[0]) * 1024


def processor_seconds(pids: Iterable[int]) -> float:
    """The time that processes have used so far: to the nanosecond where the kernel counts so."""
    return sum(map(_used, pids))


def _used(pid: int) -> float:
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        # /proc/PID/stat counts whole ticks of 10 ms, too coarse for many processes at rest.
        nanoseconds = [(t / "schedstat").read_text(encoding="ascii").split()[0] for t in threads]
        return sum(map(int, nanoseconds)) / 1e9
    except FileNotFoundError:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def processes_of(home: Path) -> list[int]:
    """Every living process whose HOME is this directory."""
    mark = f"HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):
            if mark in (entry / "environ").read_bytes().split(b"\0") and alive(int(entry.name)):
                found.append(int(entry.name))
    return found


def begin_together(processes: Iterable[subprocess.Popen[str]]) -> None:
    """Wait until each has said a line that it is ready, and then tell all of them to go."""
    waiting = list(processes)
    for process in waiting:
        assert process.stdout is not None
        process.stdout.readline()
    for process in waiting:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()


def command_of(pid: int) -> str:
    """The command line of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def kill(pid: int) -> None:
    """End a process that a benchmark started; one that is gone already is fine."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_until(condition: Callable[[], Found], what: str, deadline: float = DEADLINE) -> Found:
    """Wait until a condition holds, and return what it returned.

    Raises:
        RuntimeError: it did not hold in time.
    """
    end = time.monotonic() + deadline
    pause = threading.Event()
    while not (found := condition()):
        if time.monotonic() > end:
            raise RuntimeError(f"Waited {deadline:g} s in vain until {what}.")
        pause.wait(LOOK_AGAIN)
    return found
