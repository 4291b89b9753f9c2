"""Looking at files of a disk that may not answer: waited for so long, and by so many threads."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest
from support import run

from khive_supervisor.supervision.maintenance.aside import Aside
from khive_supervisor.supervision.roles.generation import AGAIN_AT_MOST, Restarts


def test_what_a_function_returns_or_raises_comes_back() -> None:
    async def main() -> None:
        aside = Aside(patience=30.0, most=1)
        assert await aside.run(lambda: 7) == 7
        assert await aside.run(threading.get_ident) != threading.get_ident()
        with pytest.raises(FileNotFoundError):
            await aside.run(lambda: os.stat("/nowhere/at/all"))
        assert await aside.run(lambda: None) is None

    run(main())


def test_whoever_hangs_is_not_waited_for_and_counts_until_it_is_back() -> None:
    async def main() -> None:
        answers = threading.Event()
        aside = Aside(patience=0.0, most=2)
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await aside.run(answers.wait)
        began = threading.active_count()
        with pytest.raises(TimeoutError):
            await aside.run(lambda: True)
        assert threading.active_count() <= began  # no third one was begun
        answers.set()
        aside.patience = 30.0
        while True:
            try:
                assert await aside.run(lambda: True)
            except TimeoutError:
                await asyncio.sleep(0)
            else:
                break

    run(main())


def test_more_than_may_be_at_once_are_done_in_turn() -> None:
    async def main() -> None:
        aside = Aside(patience=60.0, most=2)
        answers = await asyncio.gather(*(aside.run(lambda n=n: n) for n in range(20)))
        assert answers == list(range(20))

    run(main())


def test_an_answer_after_the_loop_has_ended_is_nobodys() -> None:
    answers, done = threading.Event(), threading.Event()

    def work() -> None:
        answers.wait()
        done.set()

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await Aside(patience=0.0, most=1).run(work)

    asyncio.run(main())
    answers.set()
    assert done.wait(60)


# --- later ----------------------------------------------------------------------------------------


class Loop:
    """Notes what is to be called later."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.delays: list[float] = []
        self.calls: list[object] = []
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: self)

    def call_later(self, delay: float, call: object) -> Loop:
        self.delays.append(delay)
        self.calls.append(call)
        return self

    def cancel(self) -> None:
        self.calls.clear()


def test_a_role_that_was_given_up_is_tried_again_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(monkeypatch)
    restarts = Restarts()
    for _ in range(8):
        restarts.much_later(lambda: None)
    assert loop.delays == [60, 120, 240, 480, 960, *[AGAIN_AT_MOST] * 3]


def test_what_is_past_is_done_at_once_and_what_is_cancelled_never(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Loop(monkeypatch)
    restarts = Restarts()
    restarts.later(-5.0, lambda: None)
    assert loop.delays == [0.0]
    restarts.cancel()
    assert loop.calls == []


def test_later_is_once() -> None:
    async def main() -> list[str]:
        done: list[str] = []
        restarts = Restarts()
        both = asyncio.Event()
        restarts.later(0.0, lambda: done.append("a"))
        restarts.later(0.0, both.set)
        await both.wait()
        restarts.cancel()
        return done

    assert run(main()) == ["a"]
