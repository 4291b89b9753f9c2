"""Processes that are there and do nothing: found by their silence, said, and replaced."""

from __future__ import annotations

import os
import signal
from typing import Any

from support import Installation, wait_until


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


def _replaced(khive: Installation, name: str, old: int) -> dict[str, Any] | None:
    child = khive.child(name)
    return child if child["state"] == "ready" and child["pid"] != old else None


def test_children_that_do_not_answer_are_named_and_replaced(khive: Installation) -> None:
    khive.configure("[http]\nenabled = true\nport = 0\n")
    khive.start()
    old = {name: khive.child(name)["pid"] for name in ("zygote", "embedder", "http")}
    for pid in old.values():
        _stop(pid)
    wait_until(lambda: all(khive.child(name)["state"] == "hung" for name in old), "all are named")
    assert khive.status()["state"] == "degraded"
    for name, pid in old.items():
        new = wait_until(lambda n=name, p=pid: _replaced(khive, n, p), f"{name} is replaced")
        assert (new["hung"], new["restarts"]) == (1, 1)
    assert {event["child"] for event in khive.events("child.hung")} == set(old)
    wait_until(lambda: khive.status()["state"] == "ready", "all is well again")
