"""Roles of an installation under test: their configuration, handlers, tasks and workers."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from typing import IO, Any

from support import Installation, wait_until

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.model import NewTask, Task

#: Handlers that the tests' roles call; each takes what it needs from its payload.
HANDLERS = '''
import fcntl
import os
import subprocess
from pathlib import Path


def echo(context, payload):
    return payload


def fail(context, payload):
    raise ValueError(f"no {payload}")


def until(context, payload):
    """Say that it runs, and wait for a gate or for the word to stop."""
    Path(payload["began"]).write_text(str(os.getpid()))
    with open(payload["until"]) as gate:
        while True:
            try:
                fcntl.flock(gate, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return context.attempt
            except BlockingIOError:
                if context.cancelled.wait(0.01):
                    raise RuntimeError("stopped") from None


def deaf(context, payload):
    """The same, without listening."""
    Path(payload["began"]).write_text(str(os.getpid()))
    with open(payload["until"]) as gate:
        fcntl.flock(gate, fcntl.LOCK_SH)


def remember(context, payload):
    context.progress("half of it")
    found = context.remember(f"The port is {payload}.")
    return [found, [hit["content"] for hit in context.recall("port")]]


def crash(context, payload):
    os._exit(1)


def odd(context, payload):
    return object()


def eat(context, payload):
    return len(bytearray(payload))
'''


class RoleBench:
    """An installation with roles, and a connection to its tasks."""

    def __init__(self, khive: Installation) -> None:
        self.khive = khive
        self.directory = khive.home / "handlers"
        self.directory.mkdir(parents=True, exist_ok=True)
        self.write(HANDLERS)
        self._store: SqliteStore | None = None
        self._gates: dict[str, IO[str]] = {}

    @property
    def store(self) -> SqliteStore:
        """Opened once there is one."""
        if self._store is None:
            self._store = SqliteStore(str(self.khive.store), guarded=False)
        return self._store

    def close(self) -> None:
        """Let go of the store, and of whoever waits at a gate."""
        for gate in self._gates.values():
            gate.close()
        if self._store is not None:
            self._store.close()
            self._store = None

    def write(self, source: str) -> None:
        """Put other handlers in the place of those there are."""
        (self.directory / "handlers.py").write_text(source)

    def configure(self, *roles: str, settings: str = "") -> None:
        """Write the configuration; each role is the text of its table."""
        tables = "".join(f"[[roles]]\n{role}\n" for role in roles)
        self.khive.configure(f'[embedder]\nkind = "none"\n{settings}\n{tables}')

    def python(self, name: str, function: str = "echo", **keys: Any) -> str:
        """A role that calls one of the handlers."""
        handler = f'handler = {{ python = "handlers:{function}" }}\ncwd = "{self.directory}"'
        return table(name, handler, keys)

    def assign(self, role: str, payload: Any = None, attempts: int = 3) -> int:
        """Queue a task, as another process would."""
        task = NewTask(role, payload=payload, attempts_max=attempts)
        return self.store.tasks.assign(task)[0].id

    def task(self, number: int) -> Task:
        """A task as it is now."""
        found = self.store.tasks.find(number)
        assert found is not None
        return found

    def ended(self, number: int) -> Task:
        """A task, once it has ended."""
        wait_until(lambda: self.task(number).ended, f"task {number} has ended")
        return self.task(number)

    def what_happened(self, number: int) -> list[str]:
        """A task's events."""
        return [event.what for event in self.store.tasks.events(task_id=number)]

    def role(self, name: str) -> dict[str, Any]:
        """What the status says of a role."""
        return next(role for role in self.khive.status()["roles"] if role["role"] == name)

    def workers(self, name: str) -> list[dict[str, Any]]:
        """The living workers of a role."""
        return [w for g in self.role(name)["generations"] for w in g["workers"]]

    def ready_counts(self, name: str) -> list[int]:
        """How many workers were ready at each change, from the first time that all were."""
        return [e["ready"] for e in self.khive.events("role.workers") if e["role"] == name]

    def gate(self, name: str) -> dict[str, str]:
        """A payload for `until` and `deaf`: what they make, and what they wait for.

        A gate is a file that is locked until it is opened: there is no need to look again and
        again, and it opens by itself when the test's process ends.
        """
        until = str(self.directory / f"{name}-until")
        if until not in self._gates:
            self._gates[until] = open(until, "w")  # noqa: SIM115 - closed when the gate is opened
            fcntl.flock(self._gates[until], fcntl.LOCK_EX)
        return {"began": str(self.directory / f"{name}-began"), "until": until}

    def began(self, gate: dict[str, str]) -> int:
        """The process that works on a gate's task."""

        def pid() -> int:
            with contextlib.suppress(FileNotFoundError, ValueError), open(gate["began"]) as file:
                return int(file.read())
            return 0

        return int(wait_until(pid, "the handler runs"))

    def open(self, gate: dict[str, str]) -> None:
        """Let the handler go on; idempotent."""
        self._gates[gate["until"]].close()


def command(name: str, *argv: str, **keys: Any) -> str:
    """A role that runs a program."""
    words = ", ".join("'''" + word + "'''" for word in argv)
    return table(name, f"handler = {{ command = [{words}] }}", keys)


def table(name: str, handler: str, keys: dict[str, Any]) -> str:
    """The text of a role's table."""
    written = "".join(f"{key} = {value!r}\n" for key, value in keys.items())
    return f'role = "{name}"\ntask_types = ["{name}"]\n{handler}\n{written}'


@contextlib.contextmanager
def bench(khive: Installation) -> Iterator[RoleBench]:
    """A bench that is closed at the end."""
    made = RoleBench(khive)
    try:
        yield made
    finally:
        made.close()
