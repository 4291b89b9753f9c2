"""Commands of roles: what they get, what becomes of what they print, and that they end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from khive_workers.role.command import CommandHandler
from khive_workers.role.handlers import Why
from khive_workers.role.loop import Waker
from support import DEADLINE, alive, kill, wait_until

from khive_supervisor.errors import BootFailure
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import CANCELLED, DONE, FAILED, RESULT_LIMIT, Claim, Outcome

CLAIM = Claim(7, 1, "cmd", "work", {"x": 1}, 1, 3, Moment("b", 0.0), None, "", "team", "")


class Running:
    """A handler with the loop that it needs."""

    def __init__(self, tmp_path: Path, *argv: str, memory: int = 0) -> None:
        self.selector = selectors.DefaultSelector()
        waker = Waker(self.selector)
        self._before = signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waker.fd, warn_on_full_buffer=False)
        environment = {"PATH": os.environ["PATH"], "KHIVE_RESOLVED_CONFIG": "secret"}
        self.handler = CommandHandler(
            argv,
            cwd=str(tmp_path),
            memory=memory,
            environment=environment,
            selector=self.selector,
        )

    def begin(self) -> None:
        self.handler.check()
        self.handler.begin(CLAIM)

    def outcome(self) -> Outcome:
        """Turn the loop until the task is through."""
        end = time.monotonic() + DEADLINE
        while (found := self.handler.outcome()) is None:
            assert time.monotonic() < end, "the command does not end"
            for key, _ in self.selector.select(1.0):
                key.data()
            self.handler.turn(time.monotonic())
        return found

    def close(self) -> None:
        self.handler.close()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, self._before)
        self.selector.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    made = []

    def start(*argv: str, memory: int = 0) -> Running:
        running = Running(tmp_path, *argv, memory=memory)
        made.append(running)
        running.begin()
        return running

    yield start
    for running in made:
        running.close()


def python(source: str) -> tuple[str, ...]:
    return (sys.executable, "-c", source)


def test_a_command_gets_the_task_and_its_json_is_the_result(run: Any) -> None:
    source = """
import json, os, sys
task = json.load(sys.stdin)
names = ("KHIVE_TASK_ID", "KHIVE_TASK_ATTEMPT", "KHIVE_ROLE", "KHIVE_NAMESPACE")
task["env"] = [os.environ[name] for name in names]
task["leaked"] = "KHIVE_RESOLVED_CONFIG" in os.environ
json.dump(task, sys.stdout)
"""
    outcome = run(*python(source)).outcome()
    assert outcome.state == DONE
    assert outcome.result == {
        "task_id": 7,
        "role": "cmd",
        "task_type": "work",
        "attempt": 1,
        "namespace": "team",
        "payload": {"x": 1},
        "env": ["7", "1", "cmd", "team"],
        "leaked": False,
    }


def test_what_is_no_json_is_a_text(run: Any) -> None:
    assert run("echo", "hello").outcome().result == "hello"
    assert run("echo", "NaN").outcome().result == "NaN"


def test_a_failure_has_the_last_lines_of_stderr(run: Any) -> None:
    outcome = run("sh", "-c", "echo first >&2; echo why it failed >&2; exit 4").outcome()
    assert outcome.state == FAILED
    assert outcome.error == "The command failed with exit code 4.\nfirst\nwhy it failed"
    assert outcome.log_tail == "first\nwhy it failed\n"


def test_exit_code_125_says_that_another_attempt_cannot_help(run: Any) -> None:
    assert run("sh", "-c", "exit 125").outcome().final
    assert not run("sh", "-c", "exit 1").outcome().final


def test_a_hundred_megabytes_neither_block_nor_stay(run: Any) -> None:
    source = """
import sys
sys.stdout.write("begin\\n")
for _ in range(100):
    sys.stdout.write("x" * (1 << 20))
sys.stdout.write("\\nend\\n")
"""
    outcome = run(*python(source)).outcome()
    assert outcome.state == DONE
    assert len(outcome.result) < RESULT_LIMIT
    assert outcome.result.startswith("begin\nxxx")
    assert outcome.result.endswith("xxx\nend")
    assert "bytes were left out here" in outcome.result


def test_a_program_that_does_not_exist_is_found_out_at_the_start(tmp_path: Path) -> None:
    running = Running(tmp_path, "no-such-program")
    try:
        with pytest.raises(BootFailure, match="'no-such-program' does not exist"):
            running.handler.check()
    finally:
        running.close()


def test_a_program_that_vanished_since_fails_the_task(run: Any, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    outcome = run(str(program)).outcome()
    assert outcome.state == FAILED


GRANDCHILD = """
trap '' TERM
sleep 600 & echo $! > grandchild
trap '' TERM
echo started > started
while :; do sleep 600; done
"""


def grandchild(tmp_path: Path) -> int:
    wait_until((tmp_path / "started").exists, "the command runs")
    return int((tmp_path / "grandchild").read_text())


def test_a_stopped_command_takes_its_grandchildren_with_it(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("khive_workers.role.command.GRACE", 0.2)
    running = run("sh", "-c", GRANDCHILD)
    pid = grandchild(tmp_path)
    running.handler.stop(Why.CANCELLED)
    assert running.outcome().state == CANCELLED
    wait_until(lambda: not alive(pid), "the grandchild is gone")


def test_what_a_command_leaves_behind_is_ended(run: Any, tmp_path: Path) -> None:
    outcome = run("sh", "-c", "sleep 600 & echo $! > grandchild; echo done").outcome()
    assert outcome.result == "done"
    pid = int((tmp_path / "grandchild").read_text())
    wait_until(lambda: not alive(pid), "the grandchild is gone")


WORKER = """
import sys, threading
from pathlib import Path
sys.path[:0] = [{tests!r}]
from test_role_commands import Running
Running(Path({directory!r}), "sh", "-c", {script!r}).begin()
threading.Event().wait()
"""


def test_a_killed_worker_leaves_no_command(tmp_path: Path) -> None:
    here = str(Path(__file__).parent)
    source = WORKER.format(tests=here, directory=str(tmp_path), script=GRANDCHILD)
    path = os.pathsep.join([*sys.path, str(Path(here).parent)])
    worker = subprocess.Popen(
        [sys.executable, "-c", source], env={**os.environ, "PYTHONPATH": path}
    )
    try:
        pid = grandchild(tmp_path)
        assert alive(pid)
    finally:
        kill(worker.pid)
        worker.wait()
    wait_until(lambda: not alive(pid), "the grandchild is gone")


def test_a_command_that_eats_memory_is_told_its_limit(run: Any) -> None:
    outcome = run(*python("x = bytearray(1 << 30)"), memory=256 << 20).outcome()
    assert outcome.state == FAILED
    assert outcome.error is not None
    assert "ran out of memory (exit code 1): the role allows 256 MiB" in outcome.error


def test_what_a_command_prints_is_told_while_it_works(run: Any, tmp_path: Path) -> None:
    # A file and not a pipe: who opens one whose other end is gone waits for ever.
    wait = "until rm go 2>/dev/null; do sleep .02; done"
    running = run("sh", "-c", f"echo one; echo two; {wait}; echo err >&2; {wait}")

    def told(wanted: str) -> bool:
        for key, _ in running.selector.select(0.05):
            key.data()
        return bool(running.handler.printed() == wanted)

    def go_on() -> None:
        (tmp_path / "go").touch()

    wait_until(lambda: told("one\ntwo\n"), "its output is told, while there are no errors")
    assert running.handler.printed() is None, "nothing new"
    go_on()
    wait_until(lambda: told("err\n"), "its errors are told")
    go_on()
    assert running.outcome().log_tail == "err\n"
