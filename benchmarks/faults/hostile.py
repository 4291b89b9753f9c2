"""Sessions and commands in hostile projects: what runs, what is sent, what is touched."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.core.context import Context
from benchmarks.core.installation import COMMAND, Installation, installed
from benchmarks.core.processes import DEADLINE
from benchmarks.core.report import Row, say
from benchmarks.core.session import Server, Session
from benchmarks.faults.hostile_cases import SECRET, Case, Kit, cases, role_text, table_text

#: What is remembered before, so that there is something to send.
MEMORY = "The heron budget is 4711."
#: Commands of which each case has one, in turn, beside `recall`.
COMMANDS = (
    ("status",),
    ("config", "show"),
    ("capabilities", "list"),
    ("search", "heron"),
    ("profiles",),
    ("tasks",),
    ("reload", "--dry-run"),
    ("doctor",),
)
#: Every how many-th case a quick run has.
QUICK = 8
#: Seconds in which a program that was started has made its mark.
SETTLE = 0.3
#: Seconds that a listener waits for more bytes of one connection.
LISTEN = 0.5


@dataclass(slots=True)
class Harm:
    """What was done, by the names of the cases that did it."""

    programs: list[str] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)

    def words(self) -> str:
        """The three numbers."""
        return (
            f"{len(self.programs)} programs run, {sum(self.sent.values())} bytes sent, "
            f"{len(self.files)} files touched"
        )

    @property
    def none(self) -> bool:
        """Whether nothing at all was done."""
        return not (self.programs or self.sent or self.files)


@dataclass(slots=True)
class Listener:
    """Accepts whoever comes, and counts what they send."""

    server: socket.socket
    received: int = 0

    def run(self) -> None:
        """Until the socket is closed."""
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(LISTEN)
                self.received += 1  # a connection without a byte is one too many as well
                with suppress(OSError):
                    while data := connection.recv(65536):
                        self.received += len(data)


class Trap:
    """Everything that a hostile text can name, and what became of it."""

    def __init__(self, top: Path) -> None:
        self.marks = top / "marks"
        self.victim = top / "victim"
        for directory in (self.marks, self.victim):
            directory.mkdir(parents=True)
        program = top / "program"
        program.write_text(f'#!/bin/sh\n: > "{self.marks}/$$"\n')
        program.chmod(0o755)
        for name in ("log", "khive.db", ".bashrc"):
            (self.victim / name).write_text("mine\n")
        web = socket.create_server(("127.0.0.1", 0))
        local = socket.socket(socket.AF_UNIX)
        local.bind(str(top / "s"))
        local.listen()
        self.listeners = [Listener(web), Listener(local)]
        self._threads = [threading.Thread(target=one.run, daemon=True) for one in self.listeners]
        for thread in self._threads:
            thread.start()
        url = f"http://127.0.0.1:{web.getsockname()[1]}/v1"
        self.kit = Kit(str(program), "payload", self.victim, url, str(top / "s"))

    def payload(self) -> str:
        """The text of a module that makes a mark when it is imported, and when it is run."""
        mark = f"open({str(self.marks)!r} + '/' + __import__('secrets').token_hex(4), 'w').close()"
        return f"{mark}\n\n\ndef run(task, context):\n    {mark}\n    return 1\n"

    def take(self, name: str, before: dict[str, tuple[int, bytes]], root: Path, harm: Harm) -> None:
        """Note what a case has done, and forget it."""
        for mark in self.marks.iterdir():
            harm.programs.append(name)
            mark.unlink()
        for listener in self.listeners:
            if listener.received:
                harm.sent[name] = harm.sent.get(name, 0) + listener.received
                listener.received = 0
        after = content(self.victim) | content(root)
        harm.files += [f"{name}: {p}" for p in {*before, *after} if before.get(p) != after.get(p)]

    def close(self) -> None:
        """Listen no more."""
        for listener in self.listeners:
            listener.server.shutdown(socket.SHUT_RDWR)
            listener.server.close()
        for thread in self._threads:
            thread.join(DEADLINE)


def measure(context: Context) -> list[Row]:
    """The row of hostile projects."""
    with _trapped(context.work) as (khive, trap):
        khive.run("remember", MEMORY)
        chosen = list(cases(trap.kit))[:: QUICK if context.quick else 1]
        harm = Harm()
        for number, case in enumerate(chosen):
            _visit(khive, trap, case, COMMANDS[number % len(COMMANDS)], harm)
            if number % 20 == 0:
                say(f"  {number} of {len(chosen)}: {harm.words()}")
    with _trapped(context.work) as (khive, trap):
        control = _as_the_user(khive, trap)
    for problem in (*harm.programs, *harm.sent, *harm.files):
        say(f"  {problem}")
    return [
        Row(
            what=f"hostile projects: {len(chosen)} cases from the settings' table and variables",
            target="0 programs run, 0 bytes sent, 0 files touched",
            khive=harm.words(),
            peers=(f"the same lines as the user's own configuration: {control.words()}",),
            met=harm.none and bool(control.programs and control.sent and control.files),
            notes=(
                (
                    "Each case: a session that recalls, `recall`, and one more command, in a "
                    "repository that names canaries in a file or through a client's variables."
                ),
            ),
            data={"cases": [case.name for case in chosen]},
        )
    ]


@contextmanager
def _trapped(work: Path) -> Iterator[tuple[Installation, Trap]]:
    top = work / "trap"
    shutil.rmtree(top, ignore_errors=True)
    with installed(work) as khive:
        trap = Trap(top)
        khive.environment[SECRET] = "secret"
        try:
            yield khive, trap
        finally:
            trap.close()
            shutil.rmtree(top, ignore_errors=True)


def _visit(
    khive: Installation, trap: Trap, case: Case, command: tuple[str, ...], harm: Harm
) -> None:
    """A session and two commands in a project, and what came of it."""
    root = khive.home / "evil"
    _lay(root, case, trap)
    before = content(trap.victim) | content(root)
    settings = {k: v.replace("{root}", str(root)) for k, v in case.environment.items()}
    arguments = [word.replace("{root}", str(root)) for word in case.arguments]
    environment = {**khive.environment, **settings}
    if case.cold:
        khive.stop()
    server = Server(
        case.name, (COMMAND, "attach", *arguments), environment, root, "memory_recall", {}
    )
    with Session(server) as session:
        session.initialize()
        session.search("heron")
    running = [
        subprocess.Popen(
            [COMMAND, *words],
            env=environment,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for words in (("recall", "heron"), command)
    ]
    for process in running:
        process.wait(DEADLINE)
    threading.Event().wait(SETTLE)
    trap.take(case.name, before, root, harm)
    shutil.rmtree(root)


def _lay(root: Path, case: Case, trap: Trap) -> None:
    shutil.rmtree(root, ignore_errors=True)
    (root / ".git").mkdir(parents=True)
    (root / "payload.py").write_text(trap.payload())
    for name, text in case.files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("{root}", str(root)))


def _as_the_user(khive: Installation, trap: Trap) -> Harm:
    """The same as the user's own configuration, which may do all that: the canaries do notice."""
    harm = Harm()
    root = khive.home / "own"
    root.mkdir()
    (root / "payload.py").write_text(trap.payload())
    before = content(trap.victim) | content(root)
    text = role_text(trap.kit, {}) + table_text("embedder", trap.kit) + table_text("log", trap.kit)
    khive.write_configuration(text.replace("{root}", str(root)))
    khive.start()
    khive.run("remember", MEMORY)
    khive.run("recall", "heron")
    khive.run("assign", "--role", "b", "--cwd", str(root), "--wait", "{}")
    threading.Event().wait(SETTLE)
    khive.stop()
    trap.take("the user", before, root, harm)
    return harm


def content(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Each file below a directory: when it was changed, and what it holds.

    Not the log of the session's stderr, which this benchmark's own client writes there.
    """
    found = {}
    for path in directory.rglob("*"):
        if path.is_file() and path.name != "stderr.log":
            found[str(path)] = (path.stat().st_mtime_ns, path.read_bytes())
        elif path.is_socket() or path.is_fifo():
            found[str(path)] = (0, b"")
    return found
