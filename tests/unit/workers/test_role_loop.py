"""A role worker's loop over a store that is only a list, and functions called in its thread."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from khive_workers.role import loop as role_loop
from khive_workers.role.context import TaskContext
from khive_workers.role.handlers import PythonHandler
from khive_workers.role.loop import RoleLoop, Waker
from khive_workers.role.output import Bounded, PrintedText
from support import DEADLINE, wait_until

from khive_supervisor import exitcodes
from khive_supervisor.control import protocol
from khive_supervisor.errors import BootFailure, InvalidInput, StoreUnavailable
from khive_supervisor.tasks import lease
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import (
    CANCELLED,
    DONE,
    FAILED,
    RESULT_LIMIT,
    Claim,
    Claimant,
    Finished,
    Outcome,
    Usage,
)


class FakeTasks:
    """What the loop asks of the store."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.outcomes: list[Outcome] = []
        self.renewals = 0
        self.said: list[str] = []
        self.logs: list[str] = []
        self.holds = True
        self.asked = False
        self.refusals: list[Exception] = []
        self._next = 0

    def now(self) -> Moment:
        return lease.now()

    def claim(self, _claimant: Claimant, _now: Moment) -> Claim | None:
        if not self.waiting:
            return None
        self._next += 1
        return Claim(
            self._next, 1, "py", "t", self.waiting.pop(0), 1, 3, Moment("b", 0), None, "", "", ""
        )

    def renew(self, _task: int, _token: int, _until: Moment) -> bool:
        self.renewals += 1
        return self.holds

    def cancelled(self, _task: int, _token: int) -> bool:
        return self.asked

    def progress(self, _task: int, _token: int, text: str) -> bool:
        self.said.append(text)
        return True

    def note_log(self, _task: int, _token: int, text: str) -> None:
        self.logs.append(text)

    def finish(
        self, _task: int, _token: int, outcome: Outcome, now: Moment, following: Claimant | None
    ) -> Finished:
        if self.refusals:
            raise self.refusals.pop(0)
        self.outcomes.append(outcome)
        state = outcome.state if self.holds else "queued"
        return Finished(self.holds, state, self.claim(following, now) if following else None)


class Bench:
    """A loop in a thread, and the supervisor's end of its queue."""

    def __init__(self, function: Callable[..., Any], *, timeout: float = DEADLINE) -> None:
        self.tasks = FakeTasks()
        self.queue, theirs = socket.socketpair()
        selector = selectors.DefaultSelector()
        self._closing = (selector, theirs)
        waker = Waker(selector)
        memory: Any = None
        self.printed = PrintedText()
        handler = PythonHandler(
            "m:f", lambda claim: TaskContext(claim, memory, waker), waker, self.printed
        )
        handler._function = function
        tasks: Any = self.tasks
        claimant = Claimant("py", "w")
        self.loop = RoleLoop(tasks, handler, claimant, theirs, selector, timeout=timeout)
        self.code: int | None = None
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        self._connection = protocol.Connection(self.queue)
        self.queue.settimeout(DEADLINE)

    def _run(self) -> None:
        self.code = self.loop.run()

    def say(self, do: str, **more: Any) -> None:
        self._connection.send({"do": do, **more})

    def hear(self) -> dict[str, Any]:
        message = self._connection.receive()
        assert message is not None
        del message["v"]
        if "took" in message:
            assert isinstance(message.pop("waited"), float)  # seconds since it was given
        return message

    def drain(self) -> int | None:
        self.queue.shutdown(socket.SHUT_WR)
        self.thread.join(DEADLINE)
        assert not self.thread.is_alive()
        return self.code

    def close(self) -> None:
        self.queue.close()
        self.thread.join(DEADLINE)
        for one in self._closing:
            one.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def begin(function: Callable[..., Any], *tasks: Any, **more: Any) -> Bench:
        bench = Bench(function, **more)
        made.append(bench)
        bench.tasks.waiting = list(tasks)
        assert bench.hear() == {"ready": True}
        return bench

    yield begin
    for bench in made:
        bench.close()


def echo(_context: TaskContext, payload: Any) -> Any:
    return payload


def patient(context: TaskContext, _payload: Any) -> Any:
    context.cancelled.wait(DEADLINE)
    raise RuntimeError("stopped")


def test_nothing_is_claimed_before_the_word_to_go(start: Callable[..., Bench]) -> None:
    bench = start(echo, 1)
    bench.say("wake")
    assert bench.drain() == exitcodes.OK
    assert bench.tasks.waiting == [1]


def test_tasks_follow_each_other_until_there_are_none(start: Callable[..., Bench]) -> None:
    bench = start(echo, "a", "b")
    bench.say("go")
    assert [bench.hear() for _ in range(4)] == [
        {"took": 1},
        {"ended": 1, "ok": True, "counts": True},
        {"took": 2},
        {"ended": 2, "ok": True, "counts": True},
    ]
    bench.tasks.waiting.append("c")
    bench.say("wake")
    assert bench.hear() == {"took": 3}
    assert bench.drain() == exitcodes.OK
    assert [outcome.result for outcome in bench.tasks.outcomes] == ["a", "b", "c"]


def test_a_drain_finishes_what_is_held_and_takes_no_more(start: Callable[..., Bench]) -> None:
    go = threading.Event()
    bench = start(lambda _context, payload: go.wait(DEADLINE) and payload, "held", "waits")
    bench.say("go")
    assert bench.hear() == {"took": 1}
    bench.queue.shutdown(socket.SHUT_WR)
    wait_until(lambda: bench.loop._draining, "it has heard")
    go.set()
    bench.thread.join(DEADLINE)
    assert bench.code == exitcodes.OK
    assert [outcome.result for outcome in bench.tasks.outcomes] == ["held"]
    assert bench.tasks.waiting == ["waits"]


def test_a_store_that_is_busy_gets_the_result_later(start: Callable[..., Bench]) -> None:
    bench = start(echo)
    bench.tasks.refusals = [StoreUnavailable("busy")]
    bench.tasks.waiting = [5]
    bench.say("go")
    bench.hear()
    assert bench.hear() == {"ended": 1, "ok": True, "counts": True}
    assert [outcome.result for outcome in bench.tasks.outcomes] == [5]


def test_a_result_that_the_store_refuses_is_a_failure(start: Callable[..., Bench]) -> None:
    bench = start(echo)
    bench.tasks.refusals = [InvalidInput("too large")]
    bench.tasks.waiting = [5]
    bench.say("go")
    bench.hear()
    assert bench.hear() == {"ended": 1, "ok": False, "counts": True}
    assert bench.tasks.outcomes[0].error == "too large"


def test_a_refused_result_takes_nothing_else_with_it(
    start: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = start(echo)
    said = Outcome(
        DONE, 5, log_tail="it said", latency=2.5, usage=Usage(7, 8), place={"path": "/p"}
    )
    monkeypatch.setattr(bench.loop._handler, "outcome", lambda: said)
    bench.tasks.refusals = [InvalidInput("no JSON")]
    bench.tasks.waiting = [5]
    bench.say("go")
    bench.hear()
    bench.hear()
    (stored,) = bench.tasks.outcomes
    assert stored == replace(said, state=FAILED, result=None, error="no JSON")


def test_a_cancelled_task_says_nothing_of_the_handler(start: Callable[..., Bench]) -> None:
    bench = start(patient, 1)
    bench.say("go")
    bench.hear()
    bench.say("cancel", task=99)  # another's
    bench.say("cancel", task=1)
    assert bench.hear() == {"ended": 1, "ok": False, "counts": False}
    assert bench.tasks.outcomes[0].state == CANCELLED


def test_a_lost_lease_stops_the_work(
    start: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_EVERY", 0.01)
    bench = start(patient)
    bench.tasks.holds = False
    bench.tasks.waiting = [1]
    bench.say("go")
    bench.hear()
    assert bench.hear() == {"ended": 1, "ok": False, "counts": False}
    assert bench.tasks.renewals == 1


def test_a_lease_is_renewed_and_a_wish_to_cancel_heard(
    start: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "RENEW_EVERY", 0.01)
    bench = start(patient, 1)
    bench.say("go")
    bench.hear()
    wait_until(lambda: bench.tasks.renewals > 2, "it is renewed")
    bench.tasks.asked = True
    bench.hear()
    assert bench.tasks.outcomes[0].state == CANCELLED


def test_a_timeout_is_one_whatever_the_function_makes_of_it(start: Callable[..., Bench]) -> None:
    bench = start(lambda context, _payload: context.cancelled.wait(DEADLINE), 1, timeout=0.01)
    bench.say("go")
    bench.hear()
    assert bench.hear() == {"ended": 1, "ok": False, "counts": True}
    assert bench.tasks.outcomes[0].state == FAILED
    assert "the role's timeout" in (bench.tasks.outcomes[0].error or "")
    assert bench.drain() == exitcodes.OK  # it listened, so it lives


def test_a_function_that_does_not_listen_ends_its_process(
    start: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role_loop, "TIMEOUT_GRACE", 0.01)
    go = threading.Event()
    bench = start(lambda _context, _payload: go.wait(DEADLINE), 1, 2, timeout=0.01)
    bench.say("go")
    bench.thread.join(DEADLINE)
    go.set()
    assert bench.code == exitcodes.RECYCLE
    assert bench.tasks.outcomes[0].state == FAILED
    assert bench.tasks.waiting == [2]


def spending(then: Callable[[TaskContext], Any]) -> Callable[..., Any]:
    """A function that uses something, and then does something else."""

    def work(context: TaskContext, _payload: Any) -> Any:
        context.spend(cost=0.1)
        context.spend(cost=0.2, tokens=5)
        return then(context)

    return work


def fails(_context: TaskContext) -> None:
    raise RuntimeError("no")


@pytest.mark.parametrize(
    "then",
    [lambda _: 1, fails, lambda _: object(), lambda context: context.cancelled.wait(DEADLINE)],
    ids=["returns", "fails", "returns nonsense", "takes too long"],
)
def test_what_a_function_used_is_told_whatever_came_of_it(
    start: Callable[..., Bench], then: Callable[[TaskContext], Any]
) -> None:
    bench = start(spending(then), 1, timeout=0.5)
    bench.say("go")
    bench.hear()
    bench.hear()
    assert [outcome.usage for outcome in bench.tasks.outcomes] == [Usage(300_000, 5)]


def test_what_a_function_used_that_does_not_listen_is_told(
    start: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(role_loop, "TIMEOUT_GRACE", 0.01)
    go = threading.Event()
    bench = start(spending(lambda _: go.wait(DEADLINE)), 1, timeout=0.3)
    bench.say("go")
    bench.thread.join(DEADLINE)
    go.set()
    assert bench.tasks.outcomes[0].usage == Usage(300_000, 5)


def test_a_result_that_the_store_refuses_has_used_what_it_did(start: Callable[..., Bench]) -> None:
    bench = start(spending(lambda _: 1))
    bench.tasks.refusals = [InvalidInput("too large")]
    bench.tasks.waiting = [5, 6]
    bench.say("go")
    assert [bench.hear() for _ in range(4)][-1] == {"ended": 2, "ok": True, "counts": True}
    assert [outcome.usage for outcome in bench.tasks.outcomes] == [Usage(300_000, 5)] * 2


def test_a_function_that_says_nothing_has_used_what_nobody_knows(
    start: Callable[..., Bench],
) -> None:
    bench = start(echo, 1)
    bench.say("go")
    bench.hear()
    bench.hear()
    assert bench.tasks.outcomes[0].usage is None


def test_what_is_no_amount_fails_the_attempt(start: Callable[..., Bench]) -> None:
    bench = start(lambda context, _payload: context.spend(cost=-1), 1)
    bench.say("go")
    bench.hear()
    bench.hear()
    assert "What was used cannot be cost = '-1'" in (bench.tasks.outcomes[0].error or "")


def test_what_a_function_prints_is_its_log_while_it_works_and_afterwards(
    start: Callable[..., Bench],
) -> None:
    go_on = threading.Event()

    def print_and_fail(_context: TaskContext, _payload: Any) -> None:
        bench.printed.add(b"half of it\nand so")
        assert go_on.wait(DEADLINE)
        bench.printed.add(b" on\nno end")
        raise ValueError("not this time")

    bench = start(print_and_fail, 1)
    bench.say("go")
    wait_until(lambda: bench.tasks.logs == ["half of it\n"], "the log has what was printed")
    go_on.set()
    wait_until(lambda: bench.tasks.outcomes, "the task has failed")
    log = bench.tasks.outcomes[0].log_tail or ""
    assert log.startswith("half of it\nand so on\nno end\nTraceback")
    assert log.endswith("ValueError: not this time\n")


def test_progress_is_stored(start: Callable[..., Bench]) -> None:
    def work(context: TaskContext, _payload: Any) -> str:
        context.progress("half")
        wait_until(lambda: bench.tasks.said, "it is stored")
        return "whole"

    bench = start(work)
    bench.tasks.waiting = [1]
    bench.say("go")
    bench.hear()
    bench.hear()
    assert bench.tasks.said == ["half"]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (object(), "is no JSON"),
        (float("nan"), "is no JSON"),
        ("x" * RESULT_LIMIT, f"at most {RESULT_LIMIT}"),
    ],
)
def test_what_cannot_be_stored_is_a_failure(
    start: Callable[..., Bench], value: Any, why: str
) -> None:
    bench = start(lambda _context, _payload: value, 1)
    bench.say("go")
    bench.hear()
    bench.hear()
    (outcome,) = bench.tasks.outcomes
    assert outcome.state == FAILED
    assert why in (outcome.error or "")


def test_the_end_of_a_function_by_exit_is_a_failure_like_any(start: Callable[..., Bench]) -> None:
    def leave(_context: TaskContext, _payload: Any) -> None:
        raise SystemExit(3)

    bench = start(leave, 1, 2)
    bench.say("go")
    assert [bench.hear() for _ in range(4)][-1] == {"ended": 2, "ok": False, "counts": True}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module:f", "No module named"),
        ("json:no_such_function", "no_such_function"),
        ("json:__name__", "is no function but str"),
    ],
)
def test_what_is_no_function_is_a_failed_start(name: str, why: str) -> None:
    context: Any = None
    with pytest.raises(BootFailure, match=why):
        PythonHandler(name, context, lambda: None).check()


def test_bounded_output_keeps_both_ends() -> None:
    kept = Bounded(4, 4)
    for part in (b"abc", b"defg", b"hij", b"k"):
        kept.add(part)
    assert (kept.total, kept.cut) == (11, 3)
    assert kept.text() == "abcd\n[... 3 bytes were left out here ...]\nhijk"
    whole = Bounded(4, 4)
    whole.add(b"abcdefgh")
    assert whole.text() == "abcdefgh"
