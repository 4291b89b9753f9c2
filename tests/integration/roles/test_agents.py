"""Agents as handlers, in directories of their own: what they get, keep, cost and leave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from agent_support import AgentBench
from role_support import command
from support import alive, kill, wait_until

from khive_supervisor.tasks.model import CANCELLED, DONE, FAILED

#: Both go the same way here; what differs is theirs alone, and tested there.
AGENTS = ["claude", pytest.param("codex", marks=pytest.mark.long)]


def test_agents_get_the_task_and_what_they_say_is_the_result(agents: AgentBench) -> None:
    keys = {"prompt": "You review.", "model": "big", "tools": ["Read"], "workdir": "caller"}
    agents.roles.configure(
        agents.fake("claude", "one", **keys), agents.fake("codex", "two", **keys)
    )
    agents.roles.khive.start()
    one = agents.roles.ended(agents.assign("one", {"say": "fine"}))
    assert one.state == DONE, one.error
    (call,) = agents.calls("claude")
    session = call["argv"][call["argv"].index("--session-id") + 1]
    usage = {"cost": 500_000, "tokens": 15}
    assert one.result == {"text": "fine", "session": session, "usage": usage}
    assert one.agent_session == f"claude:{session}"
    assert call["cwd"] == str(agents.repository)
    assert "You review." in call["argv"]
    assert "KHIVE_RESOLVED_CONFIG" not in call["env"]
    assert call["env"]["HOME"] == str(agents.roles.khive.home)
    two = agents.roles.ended(agents.assign("two", {"say": "good"}))
    assert two.result == {
        "text": "good", "session": "thread-1", "usage": {"cost": 0, "tokens": 10},
    }  # fmt: skip


@pytest.mark.parametrize("name", AGENTS)
def test_a_retry_resumes_in_the_same_worktree(agents: AgentBench, name: str) -> None:
    agents.roles.configure(agents.fake(name, workdir="worktree"))
    agents.roles.khive.start()
    number = agents.assign(
        "dev", {"write": "half", "error": "overloaded"}, {"say": "done", "tokens": 25}
    )
    task = agents.roles.ended(number)
    assert task.state == DONE, task.error
    first, second = agents.calls(name)
    flag = "--resume" if name == "claude" else "resume"
    assert flag not in first["argv"]
    session = task.agent_session.partition(":")[2]
    assert second["argv"][second["argv"].index(flag) + 1] == session
    assert first["cwd"] == second["cwd"] != str(agents.repository)
    assert task.place is not None
    assert (task.place["changed"], task.place["branch"]) == (1, f"khive/dev-t{number}")
    assert (Path(task.place["path"]) / "half").read_text() == "written\n"
    assert agents.git("status", "--porcelain") == ""


@pytest.mark.parametrize("name", AGENTS)
def test_a_session_that_is_lost_is_begun_anew_in_the_same_attempt(
    agents: AgentBench, name: str
) -> None:
    agents.roles.configure(agents.fake(name))
    agents.roles.khive.start()
    number = agents.assign("dev", {"error": "overloaded"}, {"lost": True}, {"say": "done"})
    task = agents.roles.ended(number)
    assert (task.state, task.attempts) == (DONE, 2), task.error
    assert len(agents.calls(name)) == 3


@pytest.mark.parametrize("name", AGENTS)
def test_a_worker_that_dies_leaves_a_session_and_a_worktree_to_go_on_in(
    agents: AgentBench, name: str
) -> None:
    agents.roles.configure(agents.fake(name, workdir="worktree"))
    agents.roles.khive.start()
    began = agents.roles.khive.home / "began"
    number = agents.assign("dev", {"write": "half", "hang": str(began)}, {"say": "done"})
    wait_until(lambda: agents.roles.task(number).agent_session, "the session is known")
    wait_until(lambda: began.exists() and began.read_text(), "the agent is at work")
    (worker,) = agents.roles.workers("dev")
    kill(worker["pid"])
    task = agents.roles.ended(number)
    assert task.state == DONE, task.error
    first, second = agents.calls(name)
    assert first["cwd"] == second["cwd"]
    assert task.agent_session.partition(":")[2] in second["argv"]
    wait_until(lambda: not alive(int(began.read_text())), "the first agent is gone")


def test_failures_are_clear_and_keep_what_they_cost(agents: AgentBench) -> None:
    agents.roles.configure(agents.fake("claude", attempts=1), agents.fake("codex", "two"))
    agents.roles.khive.start()
    for step, text in (
        ({"error": "no key", "status": 401}, "Claude Code failed (success): no key"),
        ({"raw": "{" * 5}, "Claude Code ended with exit code 0 and gave no answer"),
        ({"raw": "x", "times": 3_000_000}, "bytes more than are kept"),
        ({"die": True}, "Claude Code ended with signal 9 and printed nothing."),
    ):
        task = agents.roles.ended(agents.assign("dev", *[step] * 9))
        assert task.state == FAILED
        assert text in (task.error or "")
    hopeless = agents.roles.ended(agents.assign("two", *[{"error": "status 401 x"}] * 3))
    assert (hopeless.state, hopeless.attempts) == (FAILED, 1)
    given = agents.roles.khive.call("agents.assign", role="dev", payload="  ")
    empty = agents.roles.ended(int(given["task"][1:]))
    assert empty.error == "The task has no prompt: its payload is empty."


def test_an_agent_is_cancelled_and_its_work_kept(agents: AgentBench) -> None:
    agents.roles.configure(agents.fake("claude", workdir="worktree"))
    agents.roles.khive.start()
    began = agents.roles.khive.home / "began"
    number = agents.assign("dev", {"write": "half", "hang": str(began)})
    wait_until(lambda: began.exists() and began.read_text(), "the agent is at work")
    agents.roles.khive.call("agents.cancel", task=f"t{number}")
    task = agents.roles.ended(number)
    assert task.state == CANCELLED
    assert task.place is not None
    assert not alive(int(began.read_text()))


@pytest.mark.long
def test_worktrees_are_listed_and_only_clean_ones_removed(agents: AgentBench) -> None:
    agents.roles.configure(agents.fake("claude", workdir="worktree"))
    agents.roles.khive.start()
    clean = agents.roles.ended(agents.assign("dev", {"say": "nothing to do"}))
    assert clean.place is None
    work = agents.roles.ended(agents.assign("dev", {}, {"write": "new", "git": "Did it"}))
    shown = agents.roles.khive.call("agents.task", task=f"t{work.id}")
    assert shown["worktree"]["commits"] == 1
    (row,) = agents.roles.khive.json("worktrees")
    assert (row["task"], row["state"], row["commits"], row["clean"]) == (
        f"t{work.id}", "done", 1, False,
    )  # fmt: skip
    assert agents.roles.khive.json("worktrees", "--remove-clean")[0].get("removed") is None
    told = agents.roles.khive.run("worktrees", "--remove-clean").stderr
    assert "Nothing was removed" in told
    refused = agents.roles.khive.run("worktrees", "--remove", f"t{work.id}", code=2)
    assert "1 commit" in refused.stderr
    assert f"`git merge {row['branch']}` takes what is committed" in refused.stderr
    agents.git("merge", "-q", row["branch"])
    assert (agents.repository / "new").exists()
    agents.git("reset", "-q", "--hard", "HEAD~1", cwd=row["path"])
    (removed,) = agents.roles.khive.json("worktrees", "--remove-clean")
    assert removed["removed"] is True
    assert not os.path.exists(row["path"])
    assert agents.roles.khive.json("worktrees") == []


def test_commands_and_functions_work_there_too(agents: AgentBench) -> None:
    roles = agents.roles
    roles.write("def where(context, payload):\n    return context.workdir\n")
    roles.configure(
        command("sh", "sh", "-c", "pwd; echo x > made", workdir="fresh"),
        roles.python("py", "where", workdir="worktree"),
        command("here", "pwd", workdir="caller"),
        command("own", "pwd", workdir="worktree"),
    )
    roles.khive.start()
    fresh = roles.ended(agents.assign("sh"))
    assert fresh.place == {"kind": "fresh", "path": fresh.result, "files": 1}
    assert (
        str(roles.khive.home / ".local/state/khive/work") in roles.ended(agents.assign("py")).result
    )
    here = roles.ended(agents.assign("here", cwd=agents.repository))
    assert here.result == str(agents.repository)
    outside = roles.ended(agents.assign("own", cwd=roles.directory))
    assert (outside.state, outside.attempts) == (FAILED, 1)
    assert "is in no git repository" in (outside.error or "")
    with pytest.raises(Exception, match="absolute path"):
        agents.assign("own", cwd=Path("relative"))
