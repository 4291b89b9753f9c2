"""Workflows with real workers: a graph with an approval, from a file to its last result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from role_support import RoleBench, bench
from support import Installation, wait_until

GRAPH = """
name = "release"
input = { version = "1.0" }

[[steps]]
name = "list"
role = "py"
payload = ["{{input.version}}", "docs"]

[[steps]]
name = "build"
role = "py"
each = "{{steps.list.result}}"
payload = { build = "{{item}}" }

[[steps]]
name = "publish"
role = "other"
payload = { built = "{{steps.build.result}}" }
approve = { by = "operator", lasts = "1h" }
"""


@pytest.fixture
def roles(khive: Installation) -> Iterator[RoleBench]:
    with bench(khive) as made:
        made.configure(made.python("py", workers=2), made.python("other"))
        made.khive.start()
        yield made


def test_a_graph_runs_from_a_file_to_its_approval_and_its_end(roles: RoleBench) -> None:
    file = roles.khive.home / "release.toml"
    file.write_text(GRAPH)

    def show(*words: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(roles.khive.run(*words, "--json").stdout)
        return answer

    drawn = roles.khive.run("workflow", "dry-run", str(file)).stdout
    assert "3.  publish" in drawn
    begun = show("workflow", "run", str(file), "--input", '{"version": "2.0"}')
    assert begun["run"] == "w1"
    asked = wait_until(lambda: show("approvals")["approvals"], "somebody is asked")
    assert [one["step"] for one in asked] == ["publish"]
    assert "approval a1 by operator" in show("task", asked[0]["task"])["waits_for"]
    assert "other: 1 task waits for" in roles.khive.run("status").stdout
    show("approve", asked[0]["task"], "--note", "go")
    number = int(asked[0]["task"].removeprefix("t"))
    assert roles.ended(number).result == {"built": [{"build": "2.0"}, {"build": "docs"}]}
    assert show("workflow", "show", "w1")["state"] == "done"
    kinds = [entry.kind for entry in roles.store.audit.page(limit=200)]
    assert kinds.count("approval.given") == kinds.count("workflow.done") == 1


def test_a_schedule_fires_once_for_each_time_it_is_due(roles: RoleBench) -> None:
    made = roles.khive.run("assign", '"tick"', "--role", "py", "--every", "* * * * *").stdout
    assert made.startswith("s1 for py")
    store = roles.store.schedules
    (schedule,) = store.all()
    # As if the supervisor had last looked two minutes ago: both are made up for by one run.
    store.looked(schedule.id, schedule.seen - 150)
    roles.khive.call("agents.assign", role="py", payload=1)  # whatever happens has it look
    fired = wait_until(lambda: store.firings(schedule.id), "it is fired")
    assert len(fired) == 1
    assert fired[0].run is not None
    roles.khive.run("unschedule", "s1")
    assert store.all() == []
