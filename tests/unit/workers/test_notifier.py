"""The notifier: what it finds for whom, what becomes of each attempt, and how a sender is ended."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from khive_workers.notifier import sender, sending
from khive_workers.notifier.delivering import Deliverer
from khive_workers.notifier.helper import Helper
from khive_workers.notifier.looking import DISK_LOW, DISK_WELL, PATIENCE, Looker
from receivers import receiver

from khive_supervisor.channels.addresses import Address, Unusable
from khive_supervisor.channels.events import Event
from khive_supervisor.channels.messages import message_of
from khive_supervisor.channels.retrying import Attempt, Verdict
from khive_supervisor.channels.stored import new_delivery
from khive_supervisor.config.settings.channels import Channel
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.journal.sessions import ClientSession
from khive_supervisor.tasks.model import NewTask, RoleRow
from khive_supervisor.text.plain_json import JsonObject

NOW = 1_700_000_000.0
OPS = Channel(name="ops", kind="desktop")


class Clock:
    now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStore]:
    with SqliteStore(str(tmp_path / "s.db"), clock=clock) as found:
        yield found


def looker(store: SqliteStore, clock: Clock, *channels: Channel, free: int = 1 << 40) -> Looker:
    found = Looker(store, channels, clock, lambda _path: free, {"TZ": "UTC"})
    found.begin()
    return found


def told(store: SqliteStore, name: str = "ops") -> list[str]:
    return [one.kind for one in reversed(store.deliveries.page(name))]


# --- looking --------------------------------------------------------------------------------------


def test_entries_become_messages_once_for_each_channel_that_wants_them(
    store: SqliteStore, clock: Clock
) -> None:
    other = Channel(name="other", kind="desktop", events=("role.*",), roles=("b",))
    found = looker(store, clock, OPS, other)
    store.audit.record("role.gave_up", "role/a", {"why": "x"})
    store.audit.record("role.gave_up", "role/b", {"why": "x"})
    store.audit.record("role.resumed", "role/b", {})
    for again in (found, looker(store, clock, OPS, other)):
        while again.look():
            pass
    assert told(store) == ["role.gave_up", "role.gave_up"]
    assert told(store, "other") == ["role.gave_up", "role.resumed"]


def test_a_task_s_event_says_whose_it_is(store: SqliteStore, clock: Clock) -> None:
    found = looker(store, clock, Channel(name="ops", kind="desktop", events=("task.enqueued",)))
    store.roles.set([RoleRow("reviewer", ("review",))])
    store.tasks.assign(NewTask("reviewer", "review"))
    found.look()
    (one,) = store.deliveries.page("ops")
    data = json.loads(one.message)["data"]
    assert (data["role"], data["task_type"], one.subject) == ("reviewer", "review", "task/t1")


@pytest.mark.parametrize(("quiet", "digest"), [("00:00-23:59", 0.0), ("", 60.0)])
def test_what_is_not_to_be_told_now_is_gathered(
    store: SqliteStore, clock: Clock, quiet: str, digest: float
) -> None:
    found = looker(store, clock, Channel(name="ops", kind="desktop", quiet=quiet, digest=digest))
    store.audit.record("role.gave_up", "role/a", {})
    found.look()
    assert store.deliveries.counts() == {("ops", "gathering"): 1}


def test_a_session_that_waits_is_told_of_once_for_each_answer(
    store: SqliteStore, clock: Clock
) -> None:
    found = looker(store, clock, OPS)
    for seen, waits in ((NOW, 0.0), (NOW, PATIENCE), (NOW, 2 * PATIENCE), (NOW + 500, 530.0)):
        session = ClientSession("claude", "s", last_prompt="and?", begun_at=NOW, seen_at=seen)
        store.client_sessions.note(session)
        clock.now = NOW + waits
        found.look_around()
    assert told(store) == ["session.waiting"]
    clock.now = NOW + 500 + PATIENCE
    found.look_around()
    assert told(store) == ["session.waiting"] * 2
    assert "and?" not in "".join(one.message for one in store.deliveries.page("ops"))


def test_a_disk_is_nearly_full_once_until_it_is_well_again(
    store: SqliteStore, clock: Clock
) -> None:
    for free in (DISK_WELL, DISK_LOW - 1, 0, DISK_LOW, DISK_WELL, 0):
        clock.now += 1
        looker(store, clock, OPS, free=free).look_around()
    assert told(store) == ["disk.low"] * 2


# --- delivering -----------------------------------------------------------------------------------


@dataclass
class Sends:
    """Answers as it is told."""

    answers: list[Attempt] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    async def send(self, request: JsonObject, _patience: float) -> Attempt:
        self.sent.append(request["message"]["key"])
        return self.answers.pop(0) if self.answers else Attempt(Verdict.DELIVERED)


def deliverer(
    store: SqliteStore, clock: Clock, sends: Sends, channel: Channel = OPS,
    address: Callable[[], Address] = Address, quiet: float = 0.0,
) -> Deliverer:  # fmt: skip
    async def with_store(work: Callable[[SqliteStore], Any]) -> Any:
        return work(store)

    return Deliverer(
        channel,
        with_store,
        sends,
        address,
        lambda _quiet: quiet,
        clock,
        clock,
        lambda: 1.0,  # type: ignore[arg-type]  # one store
    )


def feed(store: SqliteStore, *keys: str, gather: bool = False) -> None:
    messages = [
        message_of(Event("task.done", f"task/{key}", NOW, key), contents=False) for key in keys
    ]
    store.deliveries.keep_only(["ops"])
    store.deliveries.feed("ops", 0, [new_delivery(one, gather=gather) for one in messages])


def turns(found: Deliverer, count: int) -> list[float]:
    async def run() -> list[float]:
        return [await found.turn() for _ in range(count)]

    return asyncio.run(run())


LATER, NEVER = Attempt(Verdict.LATER, "down", 5.0), Attempt(Verdict.NEVER, "400")


@pytest.mark.parametrize(
    ("answers", "states", "problem"),
    [
        ([], {"sent": 2}, ""),
        ([NEVER], {"dead": 1, "sent": 1}, ""),
        ([LATER], {"waiting": 2}, "down"),
    ],
)
def test_what_became_of_an_attempt_is_noted(
    store: SqliteStore, clock: Clock, answers: list[Attempt], states: dict[str, int], problem: str
) -> None:
    feed(store, "k1", "k2")
    turns(deliverer(store, clock, Sends([*answers])), 2)
    assert store.deliveries.counts() == {("ops", state): n for state, n in states.items()}
    assert store.deliveries.subscriptions()[0].problem == problem


def test_a_receiver_in_trouble_is_left_alone_for_as_long_as_it_asks(
    store: SqliteStore, clock: Clock
) -> None:
    feed(store, "k1", "k2")
    sends = Sends([LATER])
    found = deliverer(store, clock, sends)
    assert turns(found, 2) == [0.0, 5.0]
    clock.now += 5
    turns(found, 3)
    assert sends.sent == ["k1", "k1", "k2"]


def test_an_address_that_cannot_be_had_keeps_messages_and_is_a_problem(
    store: SqliteStore, clock: Clock
) -> None:
    def unusable() -> Address:
        raise Unusable("the environment variable X is not set")

    feed(store, "k1")
    assert turns(deliverer(store, clock, Sends(), address=unusable), 1) == [60.0]
    assert "X is not set" in store.deliveries.subscriptions()[0].problem
    assert store.deliveries.counts() == {("ops", "waiting"): 1}


@pytest.mark.parametrize("keys", [("k1",), ("k1", "k2", "k3")])
def test_what_was_gathered_is_one_message_unless_it_is_quiet(
    store: SqliteStore, clock: Clock, keys: tuple[str, ...]
) -> None:
    feed(store, *keys, gather=True)
    sends = Sends()
    channel = Channel(name="ops", kind="desktop", quiet="22:00-07:00")
    turns(deliverer(store, clock, sends, channel, quiet=60.0), 1)
    assert sends.sent == []
    clock.now += 61
    turns(deliverer(store, clock, sends, channel), 2)
    assert sends.sent == [f"k1+{len(keys)}"]


# --- sending --------------------------------------------------------------------------------------


def request(kind: str, url: str = "", **more: Any) -> JsonObject:
    message = message_of(Event("task.done", "task/t1", NOW, "key"), contents=False)
    command = tuple(more.pop("command", ()))
    return sending.request_of(message, Address(url, "a-secret"), command, kind, 5.0)


@pytest.mark.parametrize(
    ("answer", "verdict", "why"),
    [
        ((200, {}), "delivered", ""),
        ((302, {"Location": "http://169.254.169.254/"}), "never", "302"),
        ((404, {}), "never", "404"),
        ((429, {"Retry-After": "7"}), "later", "429"),
    ],
)
def test_a_webhook_s_answer_is_an_outcome(
    answer: tuple[int, dict[str, str]], verdict: str, why: str
) -> None:
    with receiver(lambda _number: answer) as there:
        found = sending.send(request("webhook", there.url))
    assert (found.verdict, why in found.why, len(there.requests)) == (verdict, True, 1)
    assert found.retry_after == (7 if verdict == "later" else 0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("kind", "url", "command", "verdict"),
    [
        ("webhook", "http://127.0.0.1:1/token-in-the-path", (), "later"),
        ("apprise", "nosuchservice://token-in-the-path", (), "never"),
        ("apprise", "json://127.0.0.1:1/token-in-the-path", (), "later"),
        ("command", "", ("/bin/sh", "-c", "cat >/dev/null"), "delivered"),
        ("command", "", ("/bin/false",), "later"),
        ("command", "", ("/no/such/program",), "later"),
    ],
)
def test_no_failure_names_the_address(
    kind: str, url: str, command: tuple[str, ...], verdict: str
) -> None:
    found = sending.send(request(kind, url, command=command))
    assert found.verdict == verdict
    assert "token-in-the-path" not in found.why
    assert bool(found.why) is (verdict != "delivered")


def test_a_defect_is_a_failed_attempt() -> None:
    assert sender.answer(b"no json")["verdict"] == "later"


def test_a_sender_that_hangs_is_killed_and_another_one_takes_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("khive_workers.notifier.helper.GRACE", 0.0)

    async def run() -> list[Attempt]:
        helper = Helper({**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))})
        hangs = request("command", command=("/bin/sleep", "60"))
        works = request("command", command=("/bin/true",))
        found = [await helper.send(hangs, 0.2), await helper.send(works, 30.0)]
        await helper.end()
        return found

    hung, well = asyncio.run(run())
    assert (hung.verdict, well.verdict) == ("later", "delivered")
    assert "did not answer within 0.2 s" in hung.why
