"""What channels deliver while their receiver fails and hangs, and the notifier is killed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.core.context import Context
from benchmarks.core.installation import Installation, installed
from benchmarks.core.report import Row
from khive_supervisor.sqlite.store import SqliteStore

#: Events, what they happen to, and how many are committed together.
EVENTS, SUBJECTS, TOGETHER = 5_000, 100, 50
#: Of so many requests one is not answered at all, is refused for a second, or fails.
HANGS, TOO_MANY, FAILS = 400, 200, 100
#: Seconds between two kills of the notifier, and after which it is given up.
KILL_EVERY, PATIENCE = 3.0, 400.0
CONFIG = """
[embedder]
kind = "none"

[supervisor]
restart_limit = 1000
restart_backoff = "100ms"
restart_backoff_max = "500ms"

[[channels]]
name = "receiver"
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret = "benchmark"
events = ["task.done"]
timeout = "500ms"
"""


@dataclass(slots=True)
class Receiver:
    """What came in, in its order: the key and the subject of what was taken; how others ended."""

    taken: list[tuple[str, str]] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    port: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def take(self, key: str, subject: str) -> int:
        """Return the status that a request is answered with; 0: none at all."""
        with self.lock:
            self.requests += 1
            for every, name, status in ((HANGS, "hung", 0), (TOO_MANY, "429", 429),
                                        (FAILS, "500", 500)):  # fmt: skip
                if self.requests % every == 0:
                    self.refused[name] += 1
                    return status
            self.taken.append((key, subject))
            return 200


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on the loopback; whoever waits for it is let go at the end."""
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = found.take(self.headers["webhook-id"], body["data"]["subject"])
            if not status:
                found.over.wait()
                return
            self.send_response(status)
            if status == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """Say nothing: whoever was killed has hung up."""

    with Server(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_port
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield found
        finally:
            found.over.set()
            server.shutdown()


def measure(context: Context) -> list[Row]:
    """The row of channels."""
    count = context.times(EVENTS)
    with receiving() as there, installed(context.work) as khive:
        khive.write_configuration(CONFIG.format(port=there.port))
        khive.start()
        began = time.monotonic()
        writer = threading.Thread(target=_happen, args=(str(khive.store), count), daemon=True)
        writer.start()
        kills = _kill_until_all_is_there(khive, there, count)
        seconds = time.monotonic() - began
        writer.join()
        with SqliteStore(str(khive.store)) as store:
            rows = {one.key: one.subject for one in store.deliveries.page(limit=count * 2)}
            given_up = store.deliveries.counts().get(("receiver", "dead"), 0)
    return [_row(there, rows, count, kills, seconds, given_up)]


def _happen(path: str, count: int) -> None:
    with SqliteStore(path) as store:
        for first in range(0, count, TOGETHER):
            with store.transaction():
                for number in range(first, min(first + TOGETHER, count)):
                    store.audit.record("task.done", f"task/t{number % SUBJECTS + 1}", {})


def _kill_until_all_is_there(khive: Installation, there: Receiver, count: int) -> int:
    kills, end = 0, time.monotonic() + PATIENCE
    due = time.monotonic() + KILL_EVERY
    while len({key for key, _ in list(there.taken)}) < count and time.monotonic() < end:
        time.sleep(0.1)
        if time.monotonic() >= due:
            due = time.monotonic() + KILL_EVERY
            children = khive.status()["children"]
            pid = next((one["pid"] for one in children if one["name"] == "notifier"), None)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                kills += 1
    return kills


def _row(
    there: Receiver, rows: dict[str, str], count: int, kills: int, seconds: float, given_up: int
) -> Row:
    first: dict[str, str] = {}
    for key, subject in there.taken:
        first.setdefault(key, subject)
    lost, foreign = count - len(first), len(first.keys() - rows.keys())
    twice = len(there.taken) - len(first)
    swapped = _out_of_order(first)
    refused = ", ".join(f"{number} {name}" for name, number in sorted(there.refused.items()))
    return Row(
        what=f"channels: {count} events to a receiver that fails ({refused}); the notifier killed "
        f"{kills} times",
        target="each delivered at least once, repetitions only with the same key, in order for a "
        "subject",
        khive=f"{lost} lost, {foreign} with a key that was never given, {swapped} out of order, "
        f"{given_up} given up; {twice} repeated; {count / seconds:.0f} a second",
        met=not (lost or foreign or swapped or given_up),
        data={"requests": there.requests, "repeated": twice, "kills": kills, "seconds": seconds},
    )


def _out_of_order(first: dict[str, str]) -> int:
    """Return how many came before an earlier one of their subject; keys end with their number."""
    newest: dict[str, int] = {}
    swapped = 0
    for key, subject in first.items():
        number = int(key.rpartition("-")[2])
        swapped += number < newest.get(subject, 0)
        newest[subject] = max(number, newest.get(subject, 0))
    return swapped
