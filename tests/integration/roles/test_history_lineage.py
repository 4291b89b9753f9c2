"""What led to a task and what came of it, through real workers: links, commits, memories."""

from __future__ import annotations

from agent_support import AgentBench

from khive_supervisor.tasks.model import DONE

#: A role that gives a task to another one, and stores a memory.
HANDLERS = """
import json


def plan(context, payload):
    given = context.call("agents.assign", role="dev", payload=payload["steps"], cwd=payload["cwd"])
    context.call("agents.wait", task=given["task"])
    return [given["task"], context.remember("The retry waits for the port.")]
"""


def test_what_a_role_caused_and_produced_is_linked(agents: AgentBench) -> None:
    roles, khive = agents.roles, agents.roles.khive
    roles.write(HANDLERS)
    dev = agents.fake("claude", workdir="worktree")
    roles.configure(
        roles.python("plan", "plan"), dev, settings=f'[agents]\nroots = ["{agents.repository}"]'
    )
    khive.start()
    steps = '[{"error": "overloaded"}, {"write": "retry.py", "git": "Wait for the port"}]'
    payload = {"steps": steps, "cwd": str(agents.repository)}
    planned = roles.ended(roles.assign("plan", payload))
    assert planned.state == DONE, planned.error
    given, memory = planned.result

    lineage = khive.json("lineage", given)
    assert [one["role"] for one in lineage["executions"]] == ["dev", "dev", "plan"]
    failed, worked, plan = lineage["executions"]
    assert [one["outcome"] for one in (failed, worked, plan)] == ["failed", "done", "done"]
    assert worked["retry_of"] == [failed["id"]]
    assert worked["caused_by"] == failed["caused_by"] == [plan["id"]]
    assert plan["produced"] == [memory]
    assert worked["commit"] == agents.git("rev-parse", worked["branch"])
    assert worked["files"] == ["retry.py"]
    shown = khive.run("lineage", given).stdout
    assert f"on {worked['branch']}, commit {worked['commit'][:12]}" in shown
    assert f"produced {memory}" in shown
