"""Whether a good HTTP client is served while others guess tokens, forge names, and dawdle."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from benchmarks.core.context import Context
from benchmarks.core.installation import installed
from benchmarks.core.processes import DEADLINE
from benchmarks.core.report import Row, Sample
from benchmarks.http.http_client import CONFIGURATION, HttpSession, fill

#: Attempts of each kind of abuse, and slow connections that are held at once.
WRONG_TOKENS, FOREIGN, LARGE, SLOW = 500, 100, 20, 100
LARGE_BODY = b"x" * 10_000_000
#: Searches without abuse, those before them that are not counted, and entries.
SEARCHES, WARM_UP, ENTRIES = 200, 20, 1000


@dataclass(slots=True)
class Abuse:
    """What was tried, and how it was answered: "token 401" and so on."""

    address: tuple[str, int | None]
    token: str
    answers: Counter[str] = field(default_factory=Counter)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """All of it, one after another, with slow clients all the while."""
        slow = threading.Thread(target=self._dawdle)
        slow.start()
        try:
            self._repeat(WRONG_TOKENS, "token", {"Authorization": "Bearer wrong"})
            self._repeat(FOREIGN, "host", {"Host": "evil.example"})
            self._repeat(FOREIGN, "origin", {"Origin": "http://evil.example"})
            self._repeat(LARGE, "body", {}, LARGE_BODY)
        finally:
            self.over.set()
            slow.join()

    def _repeat(
        self, count: int, name: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> None:
        known = {"Authorization": f"Bearer {self.token}"}
        for _ in range(count):
            connection = http.client.HTTPConnection(*self.address, timeout=DEADLINE)
            with closing(connection):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    connection.request("POST", "/reload", body, {**known, **headers})
                try:
                    self.answers[f"{name} {connection.getresponse().status}"] += 1
                except (ConnectionError, http.client.HTTPException):
                    self.answers[f"{name} closed"] += 1

    def _dawdle(self) -> None:
        """Hold connections that send a byte a second; each that is closed is opened again."""
        held: list[socket.socket] = []
        while not self.over.is_set():
            held = [sock for sock in held if self._drips(sock)]
            while len(held) < SLOW and not self.over.is_set():
                held.append(socket.create_connection(self.address, DEADLINE))
                held[-1].setblocking(False)
                self.answers["slow opened"] += 1
            self.over.wait(1.0)
        for sock in held:
            sock.close()

    def _drips(self, sock: socket.socket) -> bool:
        try:
            sock.send(b"G")
            with contextlib.suppress(BlockingIOError):
                if not sock.recv(100):
                    raise ConnectionResetError
        except OSError:
            sock.close()
            self.answers["slow closed"] += 1
            return False
        return True


def measure(context: Context) -> list[Row]:
    """The row of abuse."""
    with installed(context.work) as khive:
        khive.write_configuration(CONFIGURATION + 'request_timeout = "2s"\n')
        khive.start()
        queries = iter(fill(khive, ENTRIES))
        with closing(HttpSession(khive)) as good:
            good.initialize()
            for _ in range(WARM_UP):
                good.search(next(queries))
            number = context.times(SEARCHES)
            alone = Sample(tuple(good.search(next(queries))[0] for _ in range(number)))
            beside, abuse = _abused(good, lambda: next(queries, "again"))
        lives = khive.status()["state"] == "ready"
    wrong = _let_in(abuse.answers)
    return [
        Row(
            what=f"{WRONG_TOKENS} wrong tokens, {FOREIGN} foreign Hosts, {FOREIGN} Origins, "
            f"{LARGE} bodies of 10 MB, {SLOW} slow clients at once; a good client meanwhile",
            target="all refused, the good client always answered",
            khive=f"let in: {wrong}; good client {beside.show('ms', 50, 99)}, all answered; "
            f"without abuse {alone.show('ms', 50, 99)}",
            met=not wrong and lives,
            notes=(
                "The good client searches without a pause. "
                + ", ".join(f"{name}: {count}" for name, count in sorted(abuse.answers.items()))
                + ". Slow clients send a byte a second, with http.request_timeout = 2 s.",
            ),
            data={
                "answers": dict(abuse.answers),
                "beside": beside.as_dict(),
                "alone": alone.as_dict(),
            },
        )
    ]


def _abused(good: HttpSession, query: Callable[[], str]) -> tuple[Sample, Abuse]:
    abuse = Abuse(good.address, good.token)
    thread = threading.Thread(target=abuse.run)
    thread.start()
    times = []
    while thread.is_alive():
        times.append(good.search(query())[0])
    thread.join()
    return Sample(tuple(times)), abuse


def _let_in(answers: Counter[str]) -> int:
    """Requests that were answered as none of their kind should be; a closed one was refused."""
    right = {"token 401", "token 429", "host 421", "origin 403", "body 413"}
    others = {name: n for name, n in answers.items() if name not in right}
    return sum(n for name, n in others.items() if "slow" not in name and "closed" not in name)
