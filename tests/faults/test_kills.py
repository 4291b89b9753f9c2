"""kill -9 of anything at random moments: every acknowledged write is there afterwards, once."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from support import DEADLINE, Installation, RawSession, alive, kill, wait_until

from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore

#: Repeats a run's choices of victims and moments; KHIVE_TEST_SEED chooses others.
SEED = 20261121
#: Acknowledgements between two kills, at most.
GAP = 6
#: How often each kind of process is killed, and how often before a release.
ROUNDS = (2, pytest.param(4, marks=pytest.mark.long))
CONFIGURATION = """
[supervisor]
restart_backoff = 0.05
restart_backoff_max = 0.1
restart_limit = 1000
[index]
rebuild_minimum = 20
"""


class Ledger:
    """What was acknowledged (the content and the id that came back), and what had no answer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.acknowledged: dict[str, str] = {}
        self.unanswered: set[str] = set()

    def __len__(self) -> int:
        return len(self.acknowledged)

    def note(self, content: str, identifier: str) -> None:
        """Somebody was told that this is stored."""
        with self._lock:
            self.acknowledged[content] = identifier

    @contextlib.contextmanager
    def asking(self, content: str) -> Iterator[None]:
        """What ends within, by an error or with its process, may be stored or not."""
        try:
            yield
        except BaseException:
            with self._lock:
                self.unanswered.add(content)
            raise


class Writer(threading.Thread, ABC):
    """Writes until it is told to stop, one entry after the other, and never the same twice."""

    def __init__(self, khive: Installation, ledger: Ledger, name: str) -> None:
        super().__init__(name=name)
        self.khive = khive
        self.ledger = ledger
        self.enough = threading.Event()
        self.failure: BaseException | None = None
        self.ends: list[str] = []
        self._written = 0

    def run(self) -> None:
        """The thread."""
        try:
            while not self.enough.is_set():
                self.converse()
        except BaseException as error:
            self.failure = error

    @abstractmethod
    def converse(self) -> None:
        """One session, until it is lost or there is enough."""

    def content(self) -> str:
        """The next entry."""
        self._written += 1
        return f"{self.name} wrote entry number {self._written}"


class McpWriter(Writer):
    """Writes through attach."""

    attach: RawSession | None = None

    def converse(self) -> None:
        """Until attach is killed."""
        with RawSession(self.khive) as session:
            try:
                session.initialize()
                self.attach = session
                while not self.enough.is_set():
                    self.write(session)
                assert session.close() == 0
            except (OSError, AssertionError) as error:
                self.ends.append(repr(error))

    def write(self, session: RawSession) -> None:
        """One entry; a call that was lost with its worker is not repeated."""
        content = self.content()
        with self.ledger.asking(content):
            answer = session.request(
                "tools/call", {"name": "memory_remember", "arguments": {"content": content}}
            )
        if "error" in answer:
            assert answer["error"]["code"] == -32603
            self.ledger.unanswered.add(content)
        elif not answer["result"]["isError"]:
            self.ledger.note(content, answer["result"]["structuredContent"]["id"])


class VerbWriter(Writer):
    """Writes over the control socket."""

    def converse(self) -> None:
        """Until the worker or the supervisor is killed."""
        try:
            with ControlClient(self.khive.socket, "verbs", pid=1, cwd="/", env={}) as client:
                while not self.enough.is_set():
                    content = self.content()
                    with self.ledger.asking(content):
                        answer = client.request("memory.remember", {"content": content})
                    self.ledger.note(content, answer["id"])
        except KhiveError:
            self.enough.wait(0.02)  # nobody may be there for a while


@contextlib.contextmanager
def writing(khive: Installation, ledger: Ledger) -> Iterator[list[Writer]]:
    """Writers at work; what stopped one of them fails the test."""
    writers: list[Writer] = [
        McpWriter(khive, ledger, "first session"),
        McpWriter(khive, ledger, "second session"),
        VerbWriter(khive, ledger, "command line"),
    ]
    for writer in writers:
        writer.start()
    try:
        yield writers
    finally:
        for writer in writers:
            writer.enough.set()
        for writer in writers:
            writer.join(DEADLINE)
        assert [w.failure for w in writers if w.failure] == []
    assert not any(w.is_alive() for w in writers)


def victims(
    khive: Installation, writers: list[Writer], chance: random.Random
) -> dict[str, Callable[[], int | None]]:
    """How to find a process of each kind."""

    def session() -> int | None:
        found = (khive.status_or_none() or {}).get("sessions")
        return chance.choice(found)["pid"] if found else None

    def child(name: str) -> int | None:
        found: int | None = khive.child(name)["pid"]
        return found

    def builder() -> int | None:
        with contextlib.suppress(KhiveError):
            khive.call("index.build")
        found: int | None = khive.status()["builder"]["pid"]
        return found

    def attach() -> int | None:
        session = writers[0].attach  # type: ignore[attr-defined]  # the first writer attaches
        return session.process.pid if session and session.process.poll() is None else None

    return {
        "worker": session,
        "zygote": lambda: child("zygote"),
        "embedder": lambda: child("embedder"),
        "builder": builder,
        "attach": attach,
        "supervisor": lambda: khive.status()["pid"],
    }


def check(khive: Installation, ledger: Ledger) -> None:
    """Everything that was acknowledged is there, under its id, once."""
    store = SqliteStore(str(khive.store))
    try:
        highest = max(int(identifier[1:]) for identifier in ledger.acknowledged.values())
        entries = store.entries.get(list(range(1, highest + 1000)))
        assert store.quick_check() == []
    finally:
        store.close()
    stored = {entry.content: f"m{entry.id}" for entry in entries if entry.live}
    missing = {c: i for c, i in ledger.acknowledged.items() if stored.get(c) != i}
    assert missing == {}
    assert [c for c, n in Counter(entry.content for entry in entries).items() if n > 1] == []
    # What was lost in flight may be there or not; nothing else is.
    assert set(stored) - set(ledger.acknowledged) <= ledger.unanswered


@pytest.mark.parametrize("rounds", ROUNDS)
def test_every_acknowledged_write_survives_whatever_is_killed(
    khive: Installation, rounds: int
) -> None:
    seed = int(os.environ.get("KHIVE_TEST_SEED", SEED))
    print(f"seed {seed}")
    chance = random.Random(seed)
    khive.configure(CONFIGURATION)
    khive.start()
    ledger = Ledger()
    killed: Counter[str] = Counter()
    with writing(khive, ledger) as writers:
        find = victims(khive, writers, chance)
        order = list(find) * rounds
        chance.shuffle(order)
        for kind in order:
            goal = len(ledger) + chance.randint(1, GAP)
            wait_until(lambda goal=goal: len(ledger) >= goal, f"somebody writes before {kind}")
            pid = wait_until(find[kind], f"there is a {kind}")
            kill(pid)
            wait_until(lambda pid=pid: not alive(pid), f"the {kind} is gone")
            killed[kind] += 1
            if kind == "supervisor":
                khive.start()
            wait_until(khive.status_or_none, "the supervisor answers")
        goal = len(ledger) + 30
        wait_until(lambda: len(ledger) >= goal, "everybody writes on")
    assert killed == dict.fromkeys(find, rounds)
    # Only its own attach ends a session; whatever else dies, it goes on.
    assert (len(writers[0].ends), writers[1].ends) == (rounds, []), writers[0].ends
    check(khive, ledger)
    # And all of it is found, by words and by meaning, by who comes next.
    wait_until(lambda: khive.status()["state"] == "ready", "everything is ready again")
    with RawSession(khive) as session:
        session.initialize()
        content, identifier = next(reversed(ledger.acknowledged.items()))
        found = session.tool("memory_recall", query=content)["structuredContent"]["results"]
        assert identifier in [result["id"] for result in found]
        assert session.close() == 0
    wait_until(lambda: not khive.status()["sessions"], "no worker is left over")
    assert khive.json("index", "status")["vectors"] > 0


@pytest.mark.parametrize("how", ["fork", pytest.param("exec", marks=pytest.mark.long)])
def test_a_worker_killed_again_and_again_is_replaced_each_time(
    khive: Installation, how: str
) -> None:
    khive.configure(f'[supervisor]\nworker_start = "{how}"\n')
    khive.start()
    ledger = Ledger()
    with RawSession(khive) as session:
        session.initialize()
        writer = McpWriter(khive, ledger, "the session")
        seen: set[int] = set()
        for _ in range(8):
            writer.write(session)
            pid = wait_until(
                lambda: next((s["pid"] for s in khive.status()["sessions"]), None),
                "the worker is registered",
            )
            assert pid not in seen
            seen.add(pid)
            kill(pid)
            wait_until(lambda pid=pid: not alive(pid), "it is gone")
            wait_until(
                lambda: not {s["pid"] for s in khive.status()["sessions"]} & seen, "it is forgotten"
            )
        writer.write(session)
        assert session.close() == 0
    check(khive, ledger)
    assert len(ledger) == 9


def test_a_supervisor_killed_takes_its_children_along_and_no_session(khive: Installation) -> None:
    khive.start()
    with RawSession(khive) as session:
        session.initialize()
        status = khive.status()
        kill(status["pid"])
        for child in status["children"]:
            wait_until(lambda pid=child["pid"]: not alive(pid), f"the {child['name']} is gone")
        assert session.tool("memory_remember", content="alone")["structuredContent"]
        # The worker is lost, too: attach starts a supervisor by itself, and goes on.
        for pid in set(khive.processes()) - {session.process.pid}:
            kill(pid)
        found = session.tool("memory_recall", query="alone")["structuredContent"]["results"]
        assert len(found) == 1
        assert session.close() == 0


def test_a_session_lost_during_the_handshake_is_answered_all_the_same(
    khive: Installation,
) -> None:
    khive.configure(CONFIGURATION)
    khive.start()
    for _ in range(10):
        with RawSession(khive) as session:
            session.send(b"")
            pid = next((s["pid"] for s in khive.status()["sessions"]), None)
            if pid:
                kill(pid)
            assert session.initialize()["result"]["serverInfo"]["name"] == "khive"
            assert session.tool("system_status")["isError"] is False
            assert session.close() == 0
