"""The table of workers: what they tell the supervisor."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import Mock

import pytest

from khive_supervisor.control import protocol
from khive_supervisor.errors import ProtocolError
from khive_supervisor.supervision.control.sessions import MAX_COUNTS, OnHint, Session, SessionTable

HELLO = {"session": "s1", "pid": 7, "worker": "session", "info": {"cwd": "/"}}


def follow(
    sessions: SessionTable,
    *messages: dict[str, Any],
    on_hint: OnHint = lambda _message: None,
) -> None:
    async def main() -> None:
        reader = asyncio.StreamReader()
        for message in messages:
            reader.feed_data(protocol.encode(message))
        reader.feed_eof()
        await sessions.follow(HELLO, reader, Mock(), on_hint)

    asyncio.run(main())


def test_a_worker_s_hint_is_passed_on_and_its_link_stays() -> None:
    heard: list[tuple[dict[str, Any], int]] = []
    sessions = SessionTable()
    hint = {"hint": "tasks", "role": "reviewer"}
    follow(
        sessions,
        hint,
        {"info": {"client": "c"}},
        hint,
        on_hint=lambda message: heard.append((message, len(sessions))),
    )
    assert [(one["role"], count) for one, count in heard] == [("reviewer", 1)] * 2
    assert len(sessions) == 0


def test_without_anybody_who_listens_a_hint_does_no_harm() -> None:
    follow(SessionTable(), {"hint": "tasks", "role": "reviewer"})


@pytest.mark.parametrize("message", [{"hint": 5}, {"other": 1}])
def test_anything_else_ends_the_link(message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        follow(SessionTable(), message)


def test_what_workers_count_is_added_up_and_stays_when_they_end() -> None:
    sessions = SessionTable()
    follow(sessions, {"counts": {"searches": 2}}, {"counts": {"searches": 5, "checks": 1}})
    follow(sessions, {"counts": {"searches": 1}})
    assert sessions.counts() == {"searches": 6, "checks": 1}


def test_counts_of_a_worker_that_lives_are_in_the_sum() -> None:
    seen: list[dict[str, int]] = []
    sessions = SessionTable()
    follow(
        sessions,
        {"counts": {"searches": 2}},
        {"hint": "x"},
        {"counts": {"searches": 3}},
        on_hint=lambda _message: seen.append(sessions.counts()),
    )
    assert seen == [{"searches": 2}]
    assert sessions.counts() == {"searches": 3}


@pytest.mark.parametrize(
    "counts",
    [{}, [], {"a": -1}, {"a": True}, {"a": "1"}, {str(n): n for n in range(MAX_COUNTS + 1)}],
)
def test_counts_that_are_none_end_the_link(counts: Any) -> None:
    with pytest.raises(ProtocolError):
        follow(SessionTable(), {"counts": counts})


def test_nobody_is_given_to_another_worker_while_all_are_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[str] = []
    monkeypatch.setattr(SessionTable, "_look_at", lambda _self, name, *_: looked.append(name))
    table, one = SessionTable(), Session("a", "session", {}, 0.0, Mock())
    table._by_id["a"] = one
    table.look()
    assert looked == ["a"]
    del table._by_id["a"]
    asyncio.run(table.end_all())
    table._by_id["a"] = one
    table.look()
    assert looked == ["a"]


def test_a_worker_that_is_a_child_too_is_not_ended_as_a_session() -> None:
    table = SessionTable()
    ended: list[str] = []
    for kind in ("session", "verbs", "hooks", "http"):
        session = Mock(spec=Session, id=kind, kind=kind, reads=False, info={})
        session.kill = Mock(side_effect=lambda kind=kind: ended.append(kind))
        table._by_id[kind] = session
    asyncio.run(table.end_all())
    assert ended == ["session", "verbs", "hooks"]
