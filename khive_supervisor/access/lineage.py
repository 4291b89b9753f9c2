"""Processes and whom they descend from, as the kernel tells; without /proc nothing is known."""

from __future__ import annotations

import os
from _blake2 import blake2s
from collections.abc import Iterator

from khive_supervisor.host import processes
from khive_supervisor.host.processes import ProcessEntry, words_of
from khive_supervisor.tasks.lease import boot_id

#: Ancestors that are looked at; real chains have some ten.
MAX_DEPTH = 64
#: Programs that only start another one: when one of them was given the command line of attach, the
#: client is whoever started it. A shell may be an agent's as well as the client's.
SHELLS = frozenset({"sh", "bash", "dash", "zsh", "ash", "ksh", "fish"})
WRAPPERS = SHELLS | {"env", "nice", "setsid", "timeout", "uv", "uvx"}


def living(pid: int) -> ProcessEntry | None:
    """Return what is known of a living process; None if it is gone or nothing can be known."""
    found = processes.process(pid)
    return None if found is None or found.state in ("Z", "X") else found


def ancestors(pid: int) -> Iterator[ProcessEntry]:
    """A process and those that it descends from, nearest first; init is nobody's."""
    for _ in range(MAX_DEPTH):
        found = living(pid) if pid > 1 else None
        if found is None:
            return
        yield found
        pid = found.parent


def client_of(pid: int, word: bytes = b"attach") -> ProcessEntry | None:
    """The client that has started an attach; wrappers that were told to run it are passed over.

    `word`: what wrappers were told to run, of another command than attach.
    """
    chain = ancestors(pid)
    next(chain, None)
    return next((one for one in chain if not _wraps(one, word)), None)


def _wraps(one: ProcessEntry, told: bytes) -> bool:
    return one.name in WRAPPERS and any(told in word for word in words_of(one.pid, "cmdline"))


def environment(pid: int, *names: str) -> dict[str, str]:
    """Return those of a process's variables, as it was started; none if they cannot be read."""
    wanted = {name.encode(): name for name in names}
    found = {}
    for line in words_of(pid, "environ"):
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
    found = living(pid)
    if found is None:
        return None
    text = f"{boot_id()} {found.pid} {found.started}"
    return blake2s(text.encode(), digest_size=8).hexdigest()
