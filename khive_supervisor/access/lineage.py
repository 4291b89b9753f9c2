"""Processes and whom they descend from, as the kernel tells; without /proc nothing is known."""

from __future__ import annotations

import os
from _blake2 import blake2s
from collections.abc import Iterator
from dataclasses import dataclass

#: Ancestors that are looked at; real chains have some ten.
MAX_DEPTH = 64
#: Bytes of a process's environment or command line that are read.
MAX_BYTES = 1 << 20
#: Programs that only start another one: when one of them was given the command line of attach, the
#: client is whoever started it. A shell may be an agent's as well as the client's.
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ash", "ksh", "fish"})
WRAPPERS = SHELLS | {"env", "nice", "setsid", "timeout", "uv", "uvx"}


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that no other one is ever taken for: its number, and when it began."""

    pid: int
    began: str
    parent: int
    name: str


def process(pid: int) -> ProcessIdentity | None:
    """Return what is known of a living process; None if it is gone or nothing can be known."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            head, _, rest = file.read(4096).rpartition(")")
    except OSError:
        return None
    fields = rest.split()
    if len(fields) < 20 or fields[0] in ("Z", "X"):
        return None
    return ProcessIdentity(pid, fields[19], int(fields[1]), head.partition("(")[2])


def ancestors(pid: int) -> Iterator[ProcessIdentity]:
    """A process and those that it descends from, nearest first; init is nobody's."""
    for _ in range(MAX_DEPTH):
        found = process(pid) if pid > 1 else None
        if found is None:
            return
        yield found
        pid = found.parent


def client_of(attach: int) -> ProcessIdentity | None:
    """The client that has started an attach; wrappers that were told to run it are passed over."""
    chain = ancestors(attach)
    next(chain, None)
    return next((one for one in chain if not _wraps(one)), None)


def _wraps(one: ProcessIdentity) -> bool:
    return one.name in WRAPPERS and any(b"attach" in word for word in _read(one.pid, "cmdline"))


def environment(pid: int, *names: str) -> dict[str, str]:
    """Return those of a process's variables, as it was started; none if they cannot be read."""
    wanted = {name.encode(): name for name in names}
    found = {}
    for line in _read(pid, "environ"):
        name, _, value = line.partition(b"=")
        if name in wanted and value:
            found[wanted[name]] = os.fsdecode(value)
    return found


def directory(pid: int) -> str | None:
    """Return the working directory of a process, whatever it says of itself; None if unknown."""
    try:
        return os.readlink(f"/proc/{pid}/cwd").removesuffix(" (deleted)")
    except OSError:
        return None


def session_name(pid: int) -> str | None:
    """A name for what a process is attached for: the same however often it attaches again."""
    found = process(pid)
    if found is None:
        return None
    text = f"{_boot()} {found.pid} {found.began}"
    return blake2s(text.encode(), digest_size=8).hexdigest()


def _boot() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read(64).strip()
    except OSError:
        return ""


def _read(pid: int, what: str) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/{what}", "rb") as file:
            return file.read(MAX_BYTES).split(b"\0")
    except OSError:
        return []
