"""What the supervisor answers at its control socket, by what whoever asks may do."""

from __future__ import annotations

import asyncio
import socket
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import pytest

from khive_supervisor.access.grant import AGENT, OPERATOR, Grant, confined_to
from khive_supervisor.access.seen import OF_COMMAND, roles_for, status_for
from khive_supervisor.control import protocol
from khive_supervisor.supervision.control.operations import Operations
from khive_supervisor.supervision.control.server import Arrival
from khive_supervisor.team.waiting import CallerData, CallTime, NewWaitingCall, WaitingCall

#: What anybody may ask who reaches the socket; all else is an operator's, and a new one is as well.
ANYBODYS = {"ping", "grant", "status", "counters", "index.damaged", "roles.status"}
SECRET = "of another namespace"
STATUS = {
    "state": "ready",
    "version": "1",
    "pid": 7,
    "store": "/s",
    "log": SECRET,
    "children": [SECRET],
    "roles": [SECRET],
    "ignored": [SECRET],
    "reload": SECRET,
    "sessions": [{"id": "own"}, {"id": "other", "cwd": SECRET}],
}
WRITE = WaitingCall(
    7,
    NewWaitingCall(
        CallTime(0.0, "", 0.0), "memory.pin", "acme", {"ids": ["m1"]},
        CallerData(request={"env": {}, "session": "s1"}, client=["", ""], project_name=""),
    ),
    error="It is gone.",
)  # fmt: skip
ROLES = {"roles": [{"role": "r", "state": "ready", "last_error": SECRET, "generations": [SECRET]}]}


def operations(grant: Grant, records: MagicMock) -> Operations:
    reloader, roles = MagicMock(), MagicMock()
    roles.describe.return_value = ROLES
    roles.drain = roles.resume = AsyncMock(return_value={})
    reloader.ask = AsyncMock(return_value=MagicMock(as_dict=dict))
    reloader.outcomes = {}
    sessions, upkeep, store = MagicMock(), MagicMock(), MagicMock()
    store.waiting.named.return_value = store.waiting.drop.return_value = WRITE
    store.waiting.retry.return_value = 8
    sessions.__len__.return_value = 2
    sessions.counts.return_value = {}
    records.outbox.flush = AsyncMock()
    desk = MagicMock(open=AsyncMock(return_value={}))
    desk.tickets.redeem.return_value = True
    upkeep.with_store = AsyncMock(side_effect=lambda work: work(store))
    upkeep.builder.build.return_value = upkeep.builder.running = True
    return Operations(
        sessions,
        reloader,
        roles,
        records,
        upkeep,
        MagicMock(),
        MagicMock(ask=AsyncMock(return_value={})),
        MagicMock(of_control=AsyncMock(return_value=grant)),
        AsyncMock(return_value=STATUS),
        "/s",
        desk,
    )


def answers(grant: Grant, records: MagicMock | None = None) -> dict[str, dict[str, Any]]:
    """What each operation that there is answers."""

    async def ask() -> dict[str, dict[str, Any]]:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        arrival = Arrival(theirs, {"kind": "control"}, [])
        serving = asyncio.create_task(operations(grant, records or MagicMock()).serve(arrival))
        loop, decoder = asyncio.get_running_loop(), protocol.FrameDecoder()

        async def one(name: str) -> dict[str, Any]:
            args = {"role": "r", "file": "/", "number": "7"}
            await loop.sock_sendall(ours, protocol.encode({"id": 1, "op": name, "args": args}))
            while True:
                for message in decoder.feed(await loop.sock_recv(ours, 65536)):
                    return dict(message)

        hint = (await one("there is none"))["error"]["hint"]
        names = hint.removeprefix("It has: ").rstrip(".").split(", ")
        found = {name: await one(name) for name in names}
        ours.close()
        await serving
        arrival.close()
        return found

    return asyncio.run(asyncio.wait_for(ask(), 60))


@pytest.mark.parametrize("grant", [AGENT, confined_to("acme"), Grant(namespaces=())])
def test_what_is_an_operators_is_refused_to_all_others(grant: Grant) -> None:
    found = answers(grant)
    refused = {n for n, one in found.items() if (one.get("error") or {}).get("code") == "denied"}
    assert refused == set(found) - ANYBODYS
    assert {"stop", "upgrade", "rescue", "reload", "index.build", "roles.drain"} <= refused


def test_an_operator_is_answered() -> None:
    records = MagicMock()
    assert not [name for name, one in answers(OPERATOR, records).items() if "error" in one]
    noted = {one.args[0]: one.args[1:] for one in records.note.call_args_list}
    told = {"verb": "memory.pin", "by": "s1", "at": "1970-01-01T00:00:00Z"}
    assert noted["waiting.dropped"] == ("waiting/7", told)
    assert noted["waiting.retried"] == ("waiting/7", {**told, "again": 8})


def test_a_confined_command_learns_nothing_of_others() -> None:
    grant = Grant(namespaces=("acme",), owners=("own",))
    found = answers(grant)
    assert SECRET not in str(found)
    assert found["status"]["result"] == {
        **{name: STATUS[name] for name in OF_COMMAND if name in STATUS},
        "sessions": [{"id": "own"}],
    }


def test_an_agents_command_learns_of_no_session_of_others() -> None:
    seen = status_for(dict(STATUS), Grant(owners=("own",)), ("own",), OF_COMMAND)
    assert (seen["sessions"], seen["sessions_open"]) == ([{"id": "own"}], 2)
    assert roles_for(ROLES, AGENT) == ROLES
