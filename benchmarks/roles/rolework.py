"""An installation with roles of workers that call a function, and the account of their tasks."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.core.installation import Installation, installed
from benchmarks.core.processes import wait_until
from benchmarks.core.report import Sample
from khive_supervisor.control.client import ControlClient
from khive_supervisor.errors import KhiveError
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.model import DONE

#: What the workers call, and the two ways to break it.
ECHO = """import time


def echo(context, payload):
    return payload


def start(context, payload):
    return time.monotonic()
"""
BROKEN = "import no_such_module\n" + ECHO
#: Events that are read at once.
PAGE = 10_000


class RoleWork:
    """Configures roles, gives them tasks, and says what became of these."""

    def __init__(self, khive: Installation) -> None:
        self.khive = khive
        self.directory = khive.home / "handlers"
        self.directory.mkdir()
        self.write(ECHO)

    def write(self, source: str) -> None:
        """Put another module in the place of the workers'."""
        (self.directory / "handlers.py").write_text(source, encoding="utf-8")

    def configure(
        self, workers: dict[str, int], *, turn: int = 0, function: str = "echo", settings: str = ""
    ) -> None:
        """Roles with so many workers; another `turn` is another definition of each."""
        tables = "".join(
            f'[[roles]]\nrole = "{name}"\ntask_types = ["{name}"]\n'
            f"workers = {count}\nattempts = 100\n"
            f'timeout = "{100 + turn}s"\ncwd = "{self.directory}"\n'
            f'handler = {{ python = "handlers:{function}" }}\n'
            for name, count in workers.items()
        )
        self.khive.write_configuration(f'[embedder]\nkind = "none"\n{settings}\n{tables}')

    def reload(self) -> dict[str, Any]:
        """Reload through the control socket."""
        with ControlClient(self.khive.socket) as client:
            return client.request("reload", {"digest": None})

    def until_ready(self, roles: dict[str, int]) -> None:
        """Wait until all workers can work."""

        def ready() -> bool:
            return {r["role"]: r["workers_ready"] for r in self.khive.status()["roles"]} == roles

        wait_until(ready, "all workers are ready")

    def pids(self) -> list[int]:
        """The role workers that live, by the supervisor's status."""
        generations = [g for role in self.khive.status()["roles"] for g in role["generations"]]
        return [worker["pid"] for g in generations for worker in g["workers"] if worker["pid"]]

    def gaps(self, roles: dict[str, int]) -> dict[str, float]:
        """Milliseconds in which a role had no ready worker: the pools' own account in the log.

        A pool writes how many take tasks at each change; counted from when all were ready first.
        """
        file = self.khive.home / ".local/state/khive/khive.log"
        found = dict.fromkeys(roles, 0.0)
        full: set[str] = set()
        since: dict[str, float] = {}
        for line in file.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["event"] != "role.workers":
                continue
            role, at = event["role"], datetime.fromisoformat(event["ts"]).timestamp()
            if role in since:
                found[role] += (at - since.pop(role)) * 1000
            if event["ready"] >= roles[role]:
                full.add(role)
            if not event["ready"] and role in full:
                since[role] = at
        return found


@contextmanager
def working(work: Path) -> Iterator[RoleWork]:
    """A fresh installation for roles; gone afterwards."""
    with installed(work) as khive:
        yield RoleWork(khive)


@dataclass(slots=True)
class Given:
    """What submitters did: the payloads of the tasks that were acknowledged."""

    tasks: dict[int, int] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    repeated: int = 0
    #: Milliseconds behind the pace, at most.
    behind: float = 0.0


class Submitter(threading.Thread):
    """Assigns tasks at an even pace by the verb that sessions use, in a conversation of its own.

    With `again`, what was not acknowledged is sent again with the same idempotency key, in a new
    conversation, until it is.
    """

    def __init__(
        self,
        bench: RoleWork,
        role: str,
        numbers: range,
        pace: float,
        *,
        again: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        super().__init__(daemon=True)
        self.given = Given()
        self.failed: BaseException | None = None
        self._bench, self._role, self._numbers = bench, role, numbers
        self._pace, self._again, self._stopped = pace, again, stopped
        self._client: ControlClient | None = None

    def run(self) -> None:
        """Assign all; what is unforeseen is kept in `failed`."""
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - told by who waits
            self.failed = error

    def _run(self) -> None:
        pause = threading.Event()
        began = time.monotonic()
        for at, number in enumerate(self._numbers):
            due = began + at / self._pace
            pause.wait(max(0.0, due - time.monotonic()))
            self.given.behind = max(self.given.behind, (time.monotonic() - due) * 1000)
            while (task := self._assign(number)) is None and self._again:
                if self._stopped():
                    return
                self.given.repeated += 1
                pause.wait(0.02)
            if task is not None:
                self.given.tasks[task] = number
        self._leave()

    def _assign(self, number: int) -> int | None:
        args = {"role": self._role, "payload": number, "idempotency_key": f"bench-{number}"}
        try:
            if self._client is None:
                self._client = self._bench.khive.verbs()
            answer = self._client.request("agents.assign", args)
            return int(answer["task"].removeprefix("t"))
        except (KhiveError, OSError) as error:
            self.given.refused[f"{type(error).__name__}: {error}"[:160]] += 1
            self._leave()
            return None

    def _leave(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None


@dataclass(slots=True)
class Account:
    """What the store says of the tasks that were given."""

    lost: int
    doubled: int
    counts: dict[str, int]
    #: Milliseconds from queued to claimed, by task, in the order of the claims.
    waits: dict[int, float]

    def sample(self, tasks: dict[int, int]) -> Sample:
        """The waits of some."""
        return Sample(tuple(self.waits[task] for task in tasks if task in self.waits))


def account(bench: RoleWork, given: dict[int, int]) -> Account:
    """Wait until all tasks have ended, and count what happened to them.

    Lost: not done, or with another result than its payload. Doubled: its result was accepted more
    than once, by its events; and whatever the roles' records count beyond one for each task.
    """
    with closing(SqliteStore(str(bench.khive.store), guarded=False)) as store:
        tasks = store.tasks
        wait_until(lambda: not tasks.queue_depths(), "all tasks have ended")
        lost = 0
        for number, payload in given.items():
            found = tasks.find(number)
            lost += found is None or found.state != DONE or found.result != payload
        counts, queued, waits, done = (
            Counter[str](),
            dict[int, float](),
            dict[int, float](),
            (Counter[int]()),
        )
        after = 0
        while events := tasks.events(after, PAGE):
            after = events[-1].seq
            for event in events:
                counts[event.what] += 1
                if event.what == "enqueued":
                    queued[event.task_id] = event.at
                elif event.what == "leased":
                    waits.setdefault(event.task_id, (event.at - queued[event.task_id]) * 1000)
                elif event.what == "done":
                    done[event.task_id] += 1
        more = sum(record.successes for record in store.roles.records()) - len(queued)
        doubled = max(sum(times > 1 for times in done.values()), more)
        # One that was queued although nobody was told is one too many.
        doubled += len(queued) - len(given)
    return Account(lost, doubled, dict(counts), waits)


def run_all(submitters: list[Submitter], meanwhile: Callable[[], None] | None = None) -> Given:
    """Run submitters, and something beside them, to the end; all that was given."""
    for submitter in submitters:
        submitter.start()
    if meanwhile is not None:
        meanwhile()
    whole = Given()
    for submitter in submitters:
        submitter.join()
        if submitter.failed is not None:
            raise submitter.failed
        whole.tasks |= submitter.given.tasks
        whole.refused += submitter.given.refused
        whole.repeated += submitter.given.repeated
        whole.behind = max(whole.behind, submitter.given.behind)
    return whole
