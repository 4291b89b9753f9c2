"""Tasks under fire: four workers, some of them killed. Nothing is lost, nothing counts twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from support import wait_until

from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.tasks.model import CLAIMED, DONE, NewTask, QueueDepth

ROOT = Path(__file__).parents[2]
CHILD = str(Path(__file__).with_name("task_child.py"))
TASKS, KILLS = 500, 8


class Worker:
    """A process that does tasks; it and its pipes are gone afterwards."""

    def __init__(self, path: str, name: str, directory: Path) -> None:
        self.name = name
        self.output = directory / f"{name}.out"
        with self.output.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, CHILD, path, name],
                stdin=subprocess.PIPE,
                stdout=file,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )

    def lines(self) -> list[bytes]:
        return [line for line in self.output.read_bytes().splitlines(True) if line[-1:] == b"\n"]

    def accepted(self) -> list[tuple[int, int]]:
        words = [line.split() for line in self.lines()]
        return [(int(w[1]), int(w[2])) for w in words if w[0] == b"accepted"]

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(60)

    def close(self) -> None:
        self.process.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def test_four_workers_and_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "khive.db")
    with ExitStack() as stack:
        store = stack.enter_context(SqliteStore(path, busy_timeout=60))
        every: list[Worker] = []

        def start() -> Worker:
            worker = Worker(path, f"w{len(every)}", tmp_path)
            stack.callback(worker.close)
            every.append(worker)
            wait_until(worker.lines, "a worker is ready")
            return worker

        running = [start() for _ in range(4)]
        share = TASKS // (KILLS + 1)
        given: list[int] = []

        def give(count: int) -> None:
            new = [NewTask("r", "t", attempts_max=99) for _ in range(count)]
            given.extend(store.tasks.assign(task)[0].id for task in new)

        def waiting() -> int:
            return store.tasks.queue_depths().get("r", QueueDepth()).queued

        for _ in range(KILLS):
            give(share)
            victim = running.pop(0)
            wait_until(lambda: waiting() < share // 2, "they are at it")
            victim.kill()
            store.tasks.release(victim.name)
            running.append(start())
        give(TASKS - len(given))
        wait_until(lambda: not store.tasks.queue_depths(), "everything is done")
        assert [worker.end() for worker in running] == [0] * 4

        tasks = {task.id: task for task in store.tasks.page(limit=TASKS + 1)}
        assert sorted(tasks) == given
        assert {task.state for task in tasks.values()} == {DONE}
        told = [pair for worker in every for pair in worker.accepted()]
        assert len(told) == len(set(told))
        assert {(task_id, tasks[task_id].token) for task_id, _ in told} == set(told)
        # What a killed worker had no time to tell is stored all the same, once.
        assert TASKS - KILLS <= len(told) <= TASKS
        events = store.tasks.events(limit=100_000)
        assert sum(event.what == DONE for event in events) == TASKS
        assert sum(record.executions for record in store.roles.records()) == TASKS
        # Each attempt is kept once: those that were done, and those that a kill has ended.
        executions = store.executions.page(limit=10 * TASKS)
        done = [(one.task_id, one.token) for one in executions if one.outcome == DONE]
        assert sorted(done) == sorted((task.id, task.token) for task in tasks.values())
        claimed = sum(event.what == CLAIMED for event in events)
        assert len(executions) == claimed
        assert store.quick_check() == []
