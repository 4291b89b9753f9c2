"""Many conversations at once from one thread: what each of them says is a generator."""

from __future__ import annotations

import heapq
import json
import selectors
import time
from collections.abc import Generator, Iterable, Mapping
from itertools import count
from typing import Any

from benchmarks.core.processes import DEADLINE
from benchmarks.core.session import Session

#: A tool and its arguments; or seconds to wait.
Step = tuple[str, Mapping[str, Any]] | float
#: The whole message that answers, or an empty one after a wait.
Job = Generator[Step, dict[str, Any], None]


def call(verb: str, **args: Any) -> tuple[str, Mapping[str, Any]]:
    """Any verb, also one that is no tool."""
    return "khive_call", {"verb": verb, "args": args}


def said(message: dict[str, Any]) -> dict[str, Any] | None:
    """What a call answered; None: it failed."""
    result = message.get("result", {})
    if "error" in message or result.get("isError"):
        return None
    return dict(result.get("structuredContent") or {})


def drive(jobs: Iterable[tuple[Session, Job]]) -> None:
    """Run all jobs until each has ended: one request under way for each session.

    One thread and one clock: what was answered before something else was asked, came before it.

    Raises:
        RuntimeError: nobody answered for minutes.
    """
    waiting: list[tuple[float, int, Session, Job]] = []
    order = count()
    with selectors.DefaultSelector() as selector:

        def go_on(session: Session, job: Job, message: dict[str, Any] | None) -> bool:
            try:
                step = next(job) if message is None else job.send(message)
            except StopIteration:
                return False
            if isinstance(step, float):
                heapq.heappush(waiting, (time.monotonic() + step, next(order), session, job))
            else:
                session.send("tools/call", {"name": step[0], "arguments": step[1]})
                selector.register(session.descriptor, selectors.EVENT_READ, (session, job))
            return True

        for session, job in jobs:
            go_on(session, job, None)
        while selector.get_map() or waiting:
            patience = max(waiting[0][0] - time.monotonic(), 0.0) if waiting else DEADLINE
            ready = selector.select(patience)
            if not ready and not waiting:
                raise RuntimeError(f"No session answered within {DEADLINE:g} s.")
            for key, _ in ready:
                session, job = key.data
                selector.unregister(session.descriptor)
                go_on(session, job, json.loads(session.line()))
            while waiting and waiting[0][0] <= time.monotonic():
                _, _, session, job = heapq.heappop(waiting)
                go_on(session, job, {})
