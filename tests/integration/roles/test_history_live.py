"""What was tried, with real workers: found at once, told to the next, kept when killed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from role_support import RoleBench, bench, command
from support import Installation, kill, wait_until

from khive_supervisor.tasks.model import DONE


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        yield made


def listed(khive: Installation, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = khive.json("history", *words)["executions"]
    return found


def test_what_was_tried_is_found_told_and_kept(roles: RoleBench) -> None:
    khive = roles.khive
    echo = command("echo", "sh", "-c", "cat", history=2)
    roles.configure(echo, roles.python("py", "until"), roles.python("memory", "remember"))
    prompt = '{"prompt": "fix the flaky retry test"}'
    first = khive.json("assign", prompt, "--role", "echo", "--wait")
    assert "history" not in first["result"]
    (one,) = listed(khive, "--role", "echo")
    assert (one["task"], one["outcome"], one["prompt"]) == (
        first["task"],
        "done",
        "fix the flaky retry test",
    )
    found = khive.json("similar", "flaky test")["results"]
    assert [hit["id"] for hit in found] == [one["id"]]
    again = khive.json("assign", "the flaky retry test hangs", "--role", "echo", "--wait")
    assert "worked (echo): fix the flaky retry test" in again["result"]["history"]

    # A worker that is killed leaves an execution, and so does the attempt after it.
    gate = roles.gate("one")
    number = roles.assign("py", gate)
    kill(roles.began(gate))
    wait_until(lambda: "requeued" in roles.what_happened(number), "it is queued again")
    roles.open(gate)
    assert roles.ended(number).state == DONE
    lineage = khive.json("lineage", f"t{number}")
    assert [hit["outcome"] for hit in lineage["executions"]] == ["died", "done"]
    assert [link["kind"] for link in lineage["links"]] == ["retry_of"]

    # What a task stored is linked with it; a reload and a new start touch nothing.
    stored = roles.ended(roles.assign("memory", 8080))
    produced = khive.json("lineage", f"t{stored.id}")["executions"][0]["produced"]
    assert produced == [stored.result[0]]
    before = listed(khive)
    roles.configure(echo, roles.python("py", "echo"))
    khive.run("reload")
    khive.stop()
    assert listed(khive) == before
    assert khive.json("curve", "--role", "py")["together"]["executions"] == 2
