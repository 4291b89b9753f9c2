"""Who is confined, and who is an operator: decided by the supervisor, from what the kernel says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import Installation, RawSession, installed

#: An MCP client of its own, as a client's agent would start a command: it attaches in the directory
#: $1, then starts a command or another client of the same kind beneath itself.
CLIENT = """
import json, os, subprocess, sys
cwd, *argv = sys.argv[1:]
attach = subprocess.Popen(
    [sys.executable, "-P", "-m", "khive_supervisor", "attach"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd,
)
def ask(number, method, params):
    message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    attach.stdin.write(json.dumps(message).encode() + b"\\n")
    attach.stdin.flush()
    while True:
        answer = json.loads(attach.stdout.readline())
        if answer.get("id") == number:
            return answer["result"]
ask(1, "initialize", {"protocolVersion": "2025-06-18", "capabilities": {},
                      "clientInfo": {"name": "client", "version": "1"}})
own = ask(2, "tools/call", {"name": "system_status", "arguments": {}})["structuredContent"]
done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
said = done.stdout.decode()
print(json.dumps({"session": own["session"], "said": said, "code": done.returncode}))
attach.stdin.close()
attach.wait()
attach.stdout.close()
"""
ROLES = """
[[confine]]
path = "~/work/acme/**"
namespace = "acme"

[[confine]]
path = "~/work/beta"
namespace = "beta"

[session]
operator_paths = ["~/ops/**"]

[[roles]]
role = "shell"
task_types = ["run"]
handler = { command = ["/bin/sh", "-c", "exec $KHIVE_TEST_COMMAND"] }
env_allow = ["KHIVE_TEST_COMMAND", "PYTHONPATH"]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    path = tmp_path_factory.mktemp("confined") / "h"
    command = f"{sys.executable} -P -m khive_supervisor call system.status"
    with installed(path, KHIVE_TEST_COMMAND=command) as khive:
        for name in ("work/acme/deep", "work/beta", "elsewhere", "ops"):
            (path / name).mkdir(parents=True)
        khive.configure(ROLES)
        khive.start()
        yield khive


def session_in(
    khive: Installation, directory: str, **environment: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a session in a directory is, and the answer of one that was refused a namespace."""
    with RawSession(khive, cwd=khive.home / directory, **environment) as session:
        session.initialize()
        status = session.tool("system_status")["structuredContent"]["session"]
        refused = session.tool("memory_recall", query="anything", namespace="default")
    return status, refused


def git(cwd: Path, *words: str) -> None:
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run(["git", *names, *words], cwd=cwd, check=True, capture_output=True)


# --- by directory -----------------------------------------------------------------------------


@pytest.mark.parametrize("directory", ["work/acme", "work/acme/deep"])
def test_a_session_in_a_confined_directory(home: Installation, directory: str) -> None:
    status, refused = session_in(home, directory, KHIVE_NAMESPACE="default")
    assert (status["namespace"], status["confined_to"]) == ("acme", ["acme"])
    assert status["audience"] == "agent"
    assert refused["isError"]
    assert "confined to acme" in refused["content"][0]["text"]


def test_a_session_elsewhere_is_an_agents_and_not_confined(home: Installation) -> None:
    status, answer = session_in(home, "elsewhere")
    assert (status["namespace"], status["audience"]) == ("default", "agent")
    assert "confined_to" not in status
    assert not answer.get("isError")


def test_a_link_leads_to_where_it_leads(home: Installation) -> None:
    link = home.home / "elsewhere/link"
    link.symlink_to(home.home / "work/acme")
    assert session_in(home, "elsewhere/link")[0]["confined_to"] == ["acme"]


def test_a_worktree_is_where_its_repository_is(home: Installation) -> None:
    repository = home.home / "work/acme/repository"
    repository.mkdir()
    git(repository, "init", "-q")
    git(repository, "commit", "-q", "--allow-empty", "-m", "first")
    tree = home.home / "elsewhere/tree"
    git(repository, "worktree", "add", "-q", str(tree), "-b", "side")
    (tree / "deep").mkdir()
    assert session_in(home, "elsewhere/tree/deep")[0]["confined_to"] == ["acme"]
    fake = home.home / "elsewhere/fake"
    fake.mkdir()
    (fake / ".git").write_text((tree / ".git").read_text())
    assert "confined_to" not in session_in(home, "elsewhere/fake")[0]


def test_the_project_of_a_client_confines_as_well(home: Installation) -> None:
    acme, beta = str(home.home / "work/acme"), str(home.home / "work/beta")
    assert session_in(home, "elsewhere", CLAUDE_PROJECT_DIR=acme)[0]["confined_to"] == ["acme"]
    status, refused = session_in(home, "work/acme", CLAUDE_PROJECT_DIR=beta)
    assert status["confined_to"] == []
    assert "exclude each other" in refused["content"][0]["text"]


def test_a_session_that_the_user_makes_an_operators(home: Installation) -> None:
    with RawSession(home, cwd=home.home / "ops") as session:
        session.initialize()
        assert not session.tool("khive_call", verb="system.audit", args={}).get("isError")
    with RawSession(home, cwd=home.home / "elsewhere") as session:
        session.initialize()
        refused = session.tool("khive_call", verb="system.audit", args={})
        assert "system.audit is an operator's verb" in refused["content"][0]["text"]
        helped = session.tool("khive_help")["content"][0]["text"]
        assert "memory.recall" in helped
        assert "brain.reset" not in helped
        refused = session.tool("khive_help", verb="brain.reset")
        assert "is an operator's verb" in refused["content"][0]["text"]


# --- what is started beneath a session --------------------------------------------------------


def beneath(khive: Installation, directory: str, *argv: str, **environment: str) -> dict[str, Any]:
    """What a client in a directory has, and what a command that it starts comes to."""
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(khive.home / directory), *argv],
        env={**khive.env, **environment},
        cwd=khive.home,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_a_command_of_the_user_is_an_operators(home: Installation) -> None:
    status = json.loads(home.run("call", "system.status").stdout)["session"]
    assert (status["audience"], status["namespace"]) == ("operator", "default")
    assert home.run("call", "system.audit")


def test_a_command_beneath_a_client_is_an_agents(home: Installation) -> None:
    found = beneath(home, "elsewhere", *home.argv, "call", "system.audit")
    assert found["code"] != 0
    assert "is an operator's verb" in found["said"]
    assert "`khive-supervisor call system.audit`" in found["said"]
    shell = ["/bin/sh", "-c", '"$@"; true', "sh", *home.argv, "call", "system.status"]
    found = beneath(home, "elsewhere", *shell)
    assert json.loads(found["said"])["session"]["audience"] == "agent"


def test_a_command_beneath_a_confined_client_is_confined(home: Installation) -> None:
    home.run("remember", "What beta keeps to itself.", "--namespace", "beta")
    argv = [*home.argv, "call", "memory.recall", "query=What does beta keep"]
    found = beneath(home, "work/acme", *argv, KHIVE_NAMESPACE="beta")
    assert json.loads(found["said"])["results"] == []
    found = beneath(home, "work/acme", *argv, "namespace=beta")
    assert found["code"] != 0
    assert "confined to acme" in found["said"]


def test_another_client_beneath_a_confined_one_is_confined(home: Installation) -> None:
    inner = [sys.executable, "-c", CLIENT, str(home.home / "elsewhere"), "true"]
    found = beneath(home, "work/acme", *inner)
    assert json.loads(found["said"].splitlines()[-1])["session"]["confined_to"] == ["acme"]
    inner[3] = str(home.home / "ops")
    found = beneath(home, "elsewhere", *inner)
    assert json.loads(found["said"].splitlines()[-1])["session"]["audience"] == "agent"


def test_a_session_from_a_confined_clients_shell_is_confined(home: Installation) -> None:
    def confined(directory: str) -> bool:
        words = f"cd {home.home}/elsewhere; {' '.join(home.argv)} attach < {home.home}/said; true"
        found = beneath(home, directory, "/bin/sh", "-c", words)
        assert '"audience"' in found["said"]
        return "confined_to" in found["said"]

    client = {"name": "x", "version": "1"}
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}
    asked = {"name": "system_status", "arguments": {}}
    calls = [("initialize", hello), ("tools/call", asked)]
    lines = [
        json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})
        for number, (method, params) in enumerate(calls)
    ]
    (home.home / "said").write_text("\n".join(lines) + "\n")
    assert confined("work/acme")
    assert not confined("elsewhere")


def test_two_sessions_of_one_client_are_each_its_own(home: Installation) -> None:
    with RawSession(home, cwd=home.home / "work/acme") as one:
        one.initialize()
        with RawSession(home, cwd=home.home / "elsewhere") as other:
            other.initialize()
            status = other.tool("system_status")["structuredContent"]["session"]
    assert "confined_to" not in status


def test_the_environment_narrows_what_descent_does_not_show(home: Installation) -> None:
    def status(**environment: str) -> dict[str, Any]:
        done = home.run("call", "system.status", **environment)
        return dict(json.loads(done.stdout)["session"])

    assert status(CLAUDECODE="1")["audience"] == "agent"
    assert status(KHIVE_CONFINE="acme")["confined_to"] == ["acme"]
    alone = status(CLAUDECODE="1", KHIVE_NO_DAEMON="1")
    assert alone["audience"] == "agent"
    assert status(KHIVE_CONFINE="acme", KHIVE_NO_DAEMON="1")["confined_to"] == ["acme"]
    assert status(KHIVE_NO_DAEMON="1")["audience"] == "operator"


def test_a_session_that_serves_itself_goes_by_the_same_rules(home: Installation) -> None:
    status, refused = session_in(home, "work/acme", KHIVE_NO_DAEMON="1", KHIVE_NAMESPACE="beta")
    assert status["confined_to"] == ["acme"]
    assert refused["isError"]
    assert session_in(home, "ops", KHIVE_NO_DAEMON="1")[0]["audience"] == "operator"


# --- tasks ------------------------------------------------------------------------------------


def result_of(session: RawSession, **args: Any) -> dict[str, Any]:
    assigned = session.tool("agents_assign", role="shell", **args)["structuredContent"]
    waited = session.tool("agents_wait", task=assigned["task"], timeout=60)["structuredContent"]
    (task,) = waited["tasks"]
    assert task["state"] == "done", task
    found = task["result"]
    return dict(json.loads(found) if isinstance(found, str) else found)


def test_whoever_works_on_a_confined_task_is_confined(home: Installation) -> None:
    with RawSession(home, cwd=home.home / "work/acme") as session:
        session.initialize()
        status = result_of(session)["session"]
        assert (status["audience"], status["confined_to"]) == ("agent", ["acme"])
    with RawSession(home, cwd=home.home / "elsewhere") as session:
        session.initialize()
        status = result_of(session)["session"]
        assert status["audience"] == "agent"
        assert "confined_to" not in status
        # The tasks of a confined session are seen by its own namespace alone, and by the user.
        assert session.tool("khive_call", verb="agents.tasks", args={})["structuredContent"]
    tasks = home.json("tasks")["tasks"]
    assert {task["task"] for task in tasks} >= {"t1", "t2"}


def test_a_session_keeps_its_tasks_when_its_worker_is_replaced(home: Installation) -> None:
    with RawSession(home, cwd=home.home / "elsewhere") as session:
        session.initialize()
        result_of(session)
        before = session.tool("khive_call", verb="agents.tasks", args={})["structuredContent"]
        own = session.tool("system_status")["structuredContent"]["session"]["id"]
        pid = next(one["pid"] for one in home.status()["sessions"] if one["id"] == own)
        subprocess.run(["kill", "-9", str(pid)], check=True)
        after = session.tool("khive_call", verb="agents.tasks", args={})["structuredContent"]
    assert [one["task"] for one in before["tasks"]] == [one["task"] for one in after["tasks"]]
    assert len(before["tasks"]) == 1


# --- what is asked of the supervisor, and of the store's files, in a shell ----------------------

#: Runs the commands of $1, one in a line, with the program that follows; prints code and output.
EACH = """
import subprocess, sys
for line in sys.argv[1].splitlines():
    done = subprocess.run([*sys.argv[2:], *line.split()], capture_output=True, text=True)
    print(f"{line}: {done.returncode} {' '.join((done.stdout + done.stderr).split())}")
"""
REFUSED = ("stop", "reload", "backup copy.db", "http info", "logs")


def each_beneath(
    khive: Installation, directory: str, commands: Iterable[str], *around: str
) -> dict[str, tuple[int, str]]:
    """The codes and outputs of commands in the shell of a client in a directory."""
    argv = [*around, sys.executable, "-c", EACH, "\n".join(commands), *khive.argv]
    found = {}
    for line in beneath(khive, directory, *argv)["said"].splitlines():
        command, _, rest = line.partition(": ")
        code, _, text = rest.partition(" ")
        found[command] = int(code), text
    return found


def test_a_confined_agents_shell_is_no_operators(home: Installation) -> None:
    pid = home.status()["pid"]
    found = each_beneath(home, "work/acme", REFUSED)
    assert set(found) == set(REFUSED)
    for command, (code, said) in found.items():
        assert (command, code) == (command, 1)
        assert "in a terminal" in said
    # Nor does it become one by saying that it wants no supervisor.
    alone = ("env", "KHIVE_NO_DAEMON=1")
    found = each_beneath(home, "work/acme", ("backup copy.db", "call system.status"), *alone)
    assert found["backup copy.db"][0] == 1
    assert '"confined_to": [ "acme" ]' in found["call system.status"][1]
    assert not (home.home / "copy.db").exists()
    assert home.status()["pid"] == pid


def test_status_and_doctor_beneath_a_confined_client_tell_nothing_of_others(
    home: Installation,
) -> None:
    with RawSession(home, cwd=home.home / "work/beta") as other:
        other.initialize()
        found = each_beneath(home, "work/acme", ("status", "status --json", "doctor"))
    assert found["status"][0] == found["status --json"][0] == 0
    assert "acme" in found["status"][1]
    assert "beta" not in found["status"][1] + found["status --json"][1]
    assert "Traceback" not in found["doctor"][1]


def test_an_agent_that_says_so_is_no_operator(home: Installation) -> None:
    said = home.run("reload", code=1, CLAUDECODE="1").stderr
    assert "an operator's" in said
    with RawSession(home, cwd=home.home / "elsewhere") as session:
        session.initialize()  # of a program that is the user's own, as far as anybody can know
        home.run("reload")
