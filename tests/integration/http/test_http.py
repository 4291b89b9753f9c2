"""The HTTP worker beside a real supervisor: routes, MCP, its death, and those who mean no good."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_support import HttpBench, ended
from prometheus_client.parser import text_string_to_metric_families
from role_support import HANDLERS, RoleBench
from support import DEADLINE, Installation, alive, installed, kill, run, wait_until

HTTP = "[http]\nenabled = true\nport = 0\n"
ROLE = """
[[roles]]
role = "{role}"
task_types = ["work"]
handler = {{ python = "handlers:{handler}" }}
cwd = "{directory}"
"""


def with_roles(khive: Installation, http: str = HTTP, handler: str = "echo") -> None:
    directory = khive.home / "handlers"
    directory.mkdir(exist_ok=True)
    (directory / "handlers.py").write_text(HANDLERS)
    khive.configure(http + ROLE.format(role="reviewer", handler=handler, directory=directory))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpBench]:
    with installed(tmp_path_factory.mktemp("http") / "h") as khive:
        with_roles(khive)
        khive.start()
        yield HttpBench(khive)


def samples(bench: HttpBench) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = bench.ask("GET", "/metrics").body.decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# --- routes ---------------------------------------------------------------------------------------


def test_it_is_alive_ready_and_says_where_it_is(bench: HttpBench) -> None:
    assert bench.ask("GET", "/healthz", token=None).data == {"ok": True}
    assert bench.ask("GET", "/readyz").data == {"ready": True, "missing": []}
    status = bench.ask("GET", "/status").data
    assert status["http"]["url"] == bench.url
    assert status["http"]["problem"] == ""
    assert status["pid"] == bench.khive.status()["pid"]
    assert bench.url in bench.khive.run("status").stdout
    assert bench.url in bench.khive.run("http", "info").stdout
    assert bench.khive.run("http", "token").stdout.strip() == bench.token
    assert bench.url in bench.khive.run("doctor", code=None).stdout
    assert bench.token not in bench.khive.log.read_text()


def test_a_task_is_given_done_and_seen(bench: HttpBench) -> None:
    given = bench.ask("POST", "/tasks", {"role": "reviewer", "payload": [1, 2]}).data
    task = given["task"]

    def done() -> object:
        found = bench.ask("GET", f"/tasks/{task}").data
        return found if found["state"] == "done" else None

    assert wait_until(done, "the task is done")["result"] == [1, 2]
    assert task in {one["task"] for one in bench.ask("GET", "/tasks?state=done").data["tasks"]}
    assert bench.ask("POST", f"/tasks/{task}/retry").status == 400
    attempts = frozenset({("role", "reviewer"), ("task_type", "work"), ("outcome", "succeeded")})
    assert samples(bench)["khive_task_attempts_total", attempts] >= 1


def test_a_role_is_drained_and_resumed(bench: HttpBench) -> None:
    assert bench.ask("POST", "/roles/reviewer/drain", {}).status == 200
    assert not bench.ask("GET", "/roles").data["roles"][0]["in_service"]
    task = bench.ask("POST", "/tasks", {"role": "reviewer"}).data["task"]
    queued = frozenset({("role", "reviewer"), ("state", "queued")})
    assert samples(bench)["khive_queue_tasks", queued] == 1
    assert bench.ask("POST", f"/tasks/{task}/cancel").data["state"] == "cancelled"
    assert bench.ask("POST", "/roles/reviewer/resume").status == 200
    before = bench.ask("GET", "/roles").data["roles"][0]
    assert before["in_service"]
    assert bench.ask("POST", "/roles/reviewer/drain", {"reload": True}).status == 200
    assert bench.ask("GET", "/roles").data["roles"][0]["generation"] > before["generation"]
    assert bench.ask("POST", "/roles/nobody/drain").status == 404


def test_a_reload_answers_as_the_command_does(bench: HttpBench) -> None:
    ours = bench.ask("POST", "/reload", {"dry_run": True}).data
    assert ours == bench.khive.json("reload", "--dry-run")
    ours, theirs = bench.ask("POST", "/reload").data, bench.khive.json("reload")
    assert ours.keys() == theirs.keys()
    assert ours["plan"] == theirs["plan"]
    assert samples(bench)["khive_reloads_total", frozenset({("outcome", "done")})] >= 2


def test_a_reload_waits_for_a_role_at_work_while_others_are_answered(khive: Installation) -> None:
    with_roles(khive, handler="until")
    khive.start()
    bench = HttpBench(khive)
    roles = RoleBench(khive)
    gate = roles.gate("one")
    task = bench.ask("POST", "/tasks", {"role": "reviewer", "payload": gate}).data["task"]
    roles.began(gate)
    file = khive.home / ".config/khive/khive.toml"
    file.write_text(file.read_text() + 'timeout = "2h"\nworkers = 2\n')
    plan = bench.ask("POST", "/reload", {"dry_run": True}).data
    assert not plan["empty"]
    answers: list[object] = []
    asking = threading.Thread(target=lambda: answers.append(bench.ask("POST", "/reload").data))
    asking.start()
    for _ in range(5):
        assert bench.ask("GET", "/readyz").status == 200
        assert bench.ask("GET", f"/tasks/{task}").data["state"] == "leased"
    roles.open(gate)
    asking.join(DEADLINE)
    (result,) = answers
    assert isinstance(result, dict)
    assert result["state"] == "done"
    assert result["roles"]["reviewer"] in ("rolled", "live")


# --- MCP ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_mcp_clients_have_the_same_tools_as_local_ones(bench: HttpBench, mode: str) -> None:
    async def main() -> None:
        async with bench.session(mode) as ours, bench.khive.session(mode) as local:
            assert await ours.list_tools() == await local.list_tools()
            content = f"HTTP clients remember, too ({mode})."
            stored = await ours.call_tool("memory_remember", {"content": content})
            assert stored.structured_content is not None
            found = await local.call_tool("memory_recall", {"query": "what HTTP clients do"})
            assert content in str(found.structured_content)
            refused = await ours.call_tool("memory_recall", {"query": "x", "limit": 0})
            assert refused.is_error
            helped = await ours.call_tool("khive_call", {"verb": "agents.roles"})
            assert "reviewer" in str(helped.structured_content)

    run(main())


def test_a_client_names_its_namespace_by_a_header(bench: HttpBench) -> None:
    async def main() -> None:
        async with bench.session("auto", khive_namespace="ours", khive_actor="a") as client:
            stored = await client.call_tool("memory_remember", {"content": "only here"})
            assert stored.structured_content["namespace"] == "ours"  # type: ignore[index]  # not None
        async with bench.session() as other:
            found = await other.call_tool("memory_recall", {"query": "only here"})
            assert "only here" not in str(found.structured_content)

    run(main())


def test_what_sessions_count_reaches_the_metrics(bench: HttpBench) -> None:
    before = samples(bench)["khive_searches_total", frozenset()]

    async def main() -> None:
        async with bench.khive.session() as local:
            for _ in range(3):
                await local.call_tool("memory_recall", {"query": "counted"})

    run(main())
    # Where nothing fits, other projects are searched, too.
    wait_until(
        lambda: samples(bench)["khive_searches_total", frozenset()] >= before + 3,
        "the session's searches are counted",
    )


def test_mcp_sessions_are_bounded(khive: Installation) -> None:
    khive.configure(HTTP + "max_sessions = 2\n")
    khive.start()
    bench = HttpBench(khive)
    body = {
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {},
                   "clientInfo": {"name": "x", "version": "1"}},
    }  # fmt: skip
    accept = {"Accept": "application/json, text/event-stream", "Content_Type": "application/json"}
    found = [bench.ask("POST", "/mcp", body, **accept) for _ in range(40)]
    assert [answer.status for answer in found] == [200] * 40
    names = [
        {name.lower(): value for name, value in answer.headers.items()}["mcp-session-id"]
        for answer in found
    ]
    # The idle ones have given way, the longest idle first.
    assert bench.ask("DELETE", "/mcp", Mcp_Session_Id=names[37]).status == 404
    assert bench.ask("DELETE", "/mcp", Mcp_Session_Id=names[38]).status == 200


def test_a_token_of_one_namespace(khive: Installation) -> None:
    with_roles(khive, HTTP + '[[confine]]\nnamespace = "acme"\n')
    khive.start()
    bench = HttpBench(khive)
    khive.run("remember", "What everybody may know.")
    khive.run("remember", "What acme keeps.", "--namespace", "acme")
    own = bench.token
    bench.token = khive.run("http", "token", "--namespace", "acme").stdout.strip()
    said = khive.run("http", "token", "--namespace", "beta", code=1).stderr
    assert "No [[confine]] table names the namespace" in said
    seen: list[Any] = []

    async def main() -> None:
        async with bench.session() as client:
            for more in ({}, {"namespace": "default"}):
                args = {"query": "what acme keeps", **more}
                seen.append(await client.call_tool("memory_recall", args))
            seen.append(await client.call_tool("system_status", {}))

    run(main())
    assert [one["content"] for one in seen[0].structured_content["results"]] == ["What acme keeps."]
    assert "confined to acme" in seen[1].content[0].text
    assert seen[2].structured_content["session"]["confined_to"] == ["acme"]
    assert "socket" not in seen[2].structured_content["supervisor"]
    # Routes: its own tasks, and nothing of the whole.
    given = bench.ask("POST", "/tasks", {"role": "reviewer"})
    assert given.status == 200, given.body
    task = given.data["task"]
    other = bench.ask("POST", "/tasks", {"role": "reviewer"}, token=own).data["task"]
    assert [one["task"] for one in bench.ask("GET", "/tasks").data["tasks"]] == [task]
    assert bench.ask("GET", f"/tasks/{other}").status == 404
    assert bench.ask("GET", "/status").status == 403
    assert len(bench.ask("GET", "/tasks", token=own).data["tasks"]) == 2


# --- its life -------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_comes_back_and_nobody_else_notices(khive: Installation) -> None:
    khive.configure(HTTP)
    khive.start()
    bench = HttpBench(khive)

    async def main() -> None:
        async with khive.session() as local:
            await local.call_tool("memory_remember", {"content": "before"})
            sessions = wait_until(lambda: khive.status()["sessions"], "the session is registered")
            workers = {one["pid"] for one in sessions if one["kind"] == "session"}
            pid = bench.pid
            kill(pid)
            answer = bench.ask("GET", "/readyz")  # waits in the queue for the next worker
            assert answer.status == 200
            assert bench.pid != pid
            found = await local.call_tool("memory_recall", {"query": "before"})
            assert "before" in str(found.structured_content)
            after = {one["pid"] for one in khive.status()["sessions"] if one["kind"] == "session"}
            assert after == workers
            assert khive.status()["http"]["url"] == bench.url
            assert khive.child("http")["restarts"] == 1

    run(main())


def test_it_ends_with_its_supervisor(khive: Installation) -> None:
    khive.configure(HTTP)
    khive.start()
    pid, supervisor = HttpBench(khive).pid, khive.status()["pid"]
    kill(supervisor)
    wait_until(lambda: not alive(pid), "the worker has noticed")


def test_a_port_that_is_taken_is_said_and_served_when_it_is_free(khive: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        khive.configure(
            f'[http]\nenabled = true\nport = {port}\n[supervisor]\nrestart_backoff_max = "500ms"\n'
        )
        khive.start()
        http = khive.status()["http"]
        assert (http["state"], http["url"]) == ("backoff", None)
        assert f"Port {port}" in http["problem"]
        assert f"Port {port}" in khive.run("status").stdout
        assert any(str(port) in e["error"] for e in khive.events("child.not_started"))
        assert khive.call("memory.remember", content="all else works")["status"] == "stored"
    wait_until(lambda: khive.status()["http"]["state"] == "ready", "the port is had")
    assert HttpBench(khive).ask("GET", "/readyz").status == 200


def test_without_being_asked_for_nothing_listens(khive: Installation) -> None:
    khive.start()
    status = khive.status()
    assert status["http"]["state"] == "off"
    assert "http" not in {child["name"] for child in status["children"]}
    assert not os.path.exists(khive.socket.removesuffix(".sock") + ".http-token")
    khive.run("http", "token", code=1)
    assert "off" in khive.run("http", "info").stdout


def test_start_can_ask_for_it_once_and_the_token_stays(khive: Installation) -> None:
    khive.configure("[http]\nport = 0\n")
    khive.run("start", "--background", "--quiet", "--http")
    first = HttpBench(khive)
    assert first.ask("GET", "/readyz").status == 200
    assert Path(khive.status()["http"]["token_file"]).stat().st_mode & 0o777 == 0o600
    khive.stop()
    wait_until(khive.gone, "the supervisor is gone")
    khive.run("start", "--background", "--quiet", "--http")
    assert HttpBench(khive).token == first.token


# --- those who mean no good -----------------------------------------------------------------------


def test_abuse_is_refused_while_a_good_client_is_served(khive: Installation) -> None:
    khive.configure(HTTP + 'max_connections = 16\nrequest_timeout = "500ms"\n')
    khive.start()
    bench = HttpBench(khive)
    slow = [bench.raw(b"POST /reload HTTP/1.1\r\nHo") for _ in range(40)]
    refused = {
        "token": [bench.ask("GET", "/status", token="wrong").status for _ in range(30)],
        "none": [bench.ask("GET", "/status", token=None).status for _ in range(5)],
        "host": [bench.ask("GET", "/status", Host="evil.example").status for _ in range(5)],
        "origin": [bench.ask("GET", "/status", Origin="http://evil.example").status],
        "body": [bench.ask("POST", path, b"x" * 10_000_000).status for path in ("/tasks", "/mcp")],
        "thief": [bench.ask("POST", "/mcp", b"x" * 10_000_000, token="wrong").status],
    }
    good = [bench.ask("GET", "/readyz").status for _ in range(10)]
    assert good == [200] * 10
    assert refused["token"] == [401] * 10 + [429] * 20
    assert refused["thief"] == [429]
    assert set(refused["none"]) == {401}
    assert set(refused["host"]) == {421}
    assert set(refused["origin"]) == {403}
    assert set(refused["body"]) == {413}
    for sock in slow:
        with sock:
            assert ended(sock)
    assert bench.token not in khive.log.read_text()


def test_a_body_in_chunks_has_the_same_limit(bench: HttpBench) -> None:
    head = (
        f"POST /reload HTTP/1.1\r\nHost: {bench.address[0]}:{bench.address[1]}\r\n"
        f"Authorization: Bearer {bench.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunk = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
    with bench.raw(head + chunk * 5) as sock:
        assert sock.recv(100).startswith(b"HTTP/1.1 413")


def test_garbage_ends_its_own_connection_only(bench: HttpBench) -> None:
    for data in (b"\0" * 100, b"GET", b"\x16\x03\x01" * 10, b"GET / HTTP/1.1\r\n" + b"a" * 70_000):
        with bench.raw(data) as sock:
            sock.shutdown(socket.SHUT_WR)
            assert ended(sock)
    assert bench.ask("GET", "/readyz").status == 200
