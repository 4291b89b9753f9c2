"""Two nodes and a real server: what one writes is on the other, whoever dies at which moment."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import apsw
import psycopg
import pytest

from benchmarks.team.nodes import Node, NoPostgres, Postgres, wait_until
from khive_supervisor.errors import KhiveError, NotFound, StoreUnavailable
from khive_supervisor.sqlite.schema.shared import SHARED
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.store.model import NewEntry
from khive_supervisor.tasks.model import Claimant, NewTask, Outcome, RoleRow
from khive_supervisor.team.parts import TEAM, ChangePart, PartedChange


def entry(text: str) -> NewEntry:
    return NewEntry("memory", "default", "semantic", "", text)


def texts(store: SqliteStore) -> set[str]:
    return {one.content for one in store.entries.recent(limit=100_000)}


def contents(store: SqliteStore) -> dict[str, list[tuple[object, ...]]]:
    found = {t: sorted(store.database.rows(f"SELECT * FROM {t}"), key=repr) for t in SHARED}
    words = "SELECT term, doc, col, offset FROM entries_occurrences ORDER BY 1, 2, 3, 4"
    return {**found, "words": store.database.rows(words)}


def same(pair: list[Node]) -> bool:
    with pair[0].plain() as one, pair[1].plain() as two:
        return contents(one) == contents(two)


@pytest.fixture
def stores(pair: list[Node]) -> Iterator[list[SqliteStore]]:
    with ExitStack() as stack:
        yield [stack.enter_context(node.open()) for node in pair]


def test_random_work_of_both_leaves_them_equal(pair: list[Node], stores: list[SqliteStore]) -> None:
    draw = random.Random(18)
    acts: list[Callable[[SqliteStore, int], object]] = [
        lambda store, n: store.entries.add([entry(f"note {n} {draw.random()}")], [b"ab"], "m"),
        lambda store, _: store.entries.forget([one.id for one in store.entries.recent(limit=1)]),
        lambda store, n: [
            store.entries.supersede(one.id, entry(f"instead {n}"))
            for one in store.entries.recent(limit=1)
        ],
        lambda store, _: store.purges.purge([one.id for one in store.entries.recent(limit=1)]),
        lambda store, n: store.tasks.assign(NewTask("echo", payload={"n": n})),
        do_a_task,
    ]
    for store in stores:
        store.roles.set([RoleRow("echo", ("",), "d", 1, 1, 3, True)])
    for number in range(80):
        # What was looked at before the turn may be gone with it: the other node came first.
        with contextlib.suppress(NotFound):
            draw.choice(acts)(draw.choice(stores), number)
    wait_until(lambda: same(pair))
    assert stores[1].quick_check() == []


def do_a_task(store: SqliteStore, number: int) -> None:
    now = store.tasks.now()
    claim = store.tasks.claim(Claimant("echo", f"w{number}@{store.node}:1", 1, "d"), now)
    if claim is not None:
        assert store.tasks.finish(claim.id, claim.token, Outcome("done", 1), now).accepted


def test_leases_of_both_are_on_one_clock(stores: list[SqliteStore]) -> None:
    moments = [store.tasks.now() for store in stores]
    assert moments[0].boot == moments[1].boot
    assert abs(moments[0].at - moments[1].at) < 1.0
    stores[0].tasks.assign(NewTask("echo"))
    wait_until(lambda: stores[1].tasks.find(1) is not None)
    claim = stores[1].tasks.claim(Claimant("echo", "w@x:1", 1, "d"), stores[1].tasks.now())
    assert claim is not None
    wait_until(lambda: [t.state for t in stores[0].tasks.page()] == ["leased"])
    assert stores[0].tasks.release_expired(stores[0].tasks.now()) == []


def die_before_asking(client: TurnClient) -> None:
    client.close()


def die_holding(client: TurnClient) -> None:
    client.take()
    client.close()


def die_after_acceptance(client: TurnClient) -> None:
    client.take()
    client.hand_over(PartedChange((ChangePart(TEAM, accepted_changes()),)))
    client.accepted()
    client.close()


def accepted_changes() -> bytes:
    """Return what inserts a row into a table that has no rules."""
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE source_runs (run INTEGER PRIMARY KEY, begun_at REAL NOT NULL)")
    session = apsw.Session(connection, "main")
    session.attach()
    connection.execute("INSERT INTO source_runs VALUES (77, 1.0)")
    return session.changeset()


@pytest.mark.parametrize("die", [die_before_asking, die_holding, die_after_acceptance])
def test_a_writer_that_dies_leaves_nothing_or_all_of_it(
    pair: list[Node], stores: list[SqliteStore], die: Callable[[TurnClient], None]
) -> None:
    die(TurnClient(pair[0].turns, 5.0))
    for store in stores:
        store.entries.add([entry(f"after it, by {store.node}")])
    runs = 1 if die is die_after_acceptance else 0
    rows = "SELECT count(*) FROM source_runs WHERE run = 77"
    for store in stores:
        wait_until(lambda store=store: store.database.value(rows) == runs)
    wait_until(lambda: same(pair))


def test_a_replicator_that_is_killed_loses_nothing(
    pair: list[Node], stores: list[SqliteStore]
) -> None:
    stores[0].entries.add([entry("before")])
    pair[0].stop(kill=True)
    with pytest.raises(StoreUnavailable, match="no replicator is running"):
        stores[0].entries.add([entry("meanwhile")])
    assert "before" in texts(stores[0])
    stores[1].entries.add([entry("elsewhere")])
    pair[0].start()
    wait_until(lambda: "elsewhere" in texts(stores[0]))
    stores[0].entries.add([entry("afterwards")])
    wait_until(lambda: same(pair))


def write_until(done: threading.Event, node: Node, name: str, acknowledged: list[str]) -> None:
    with node.open() as store:
        number = 0
        while not done.is_set():
            number += 1
            text = f"{name} {number}"
            try:
                store.entries.add([entry(text)])
            except KhiveError:
                done.wait(0.05)
            else:
                acknowledged.append(text)


def test_a_server_that_is_killed_under_writers_loses_no_acknowledged_write(
    server: Postgres, pair: list[Node]
) -> None:
    done, acknowledged = threading.Event(), list[str]()
    writers = [
        threading.Thread(target=write_until, args=(done, node, f"w{n}", acknowledged))
        for n, node in enumerate(pair)
    ]
    for writer in writers:
        writer.start()
    try:
        for kills in (False, True):
            count = len(acknowledged)
            wait_until(lambda count=count: len(acknowledged) >= count + 20)
            if kills:
                os.kill(server.pid, signal.SIGKILL)
            else:
                server.stop()
            with pair[0].plain() as store:
                assert texts(store), "reading goes on"
            start_again(server)
        count = len(acknowledged)
        wait_until(lambda: len(acknowledged) >= count + 20)
    finally:
        done.set()
        for writer in writers:
            writer.join()
    wait_until(lambda: same(pair))
    with pair[1].plain() as store:
        assert set(acknowledged) <= texts(store)
    with psycopg.connect(server.url) as connection:
        row = connection.execute(
            "SELECT count(DISTINCT number), max(number) FROM khive.log"
        ).fetchone()
    assert row is not None
    assert row[0] == row[1], "no number is missing"


def start_again(server: Postgres) -> None:
    """Start a server whose last processes may still be ending."""

    def started() -> bool:
        try:
            server.start()
        except NoPostgres:
            return False
        return True

    wait_until(started)
