"""A replica that does not fit its server is taken anew, and what only it had is kept."""

from __future__ import annotations

import glob
from pathlib import Path

import psycopg
from support import wait_until

from benchmarks.team.nodes import Node, Postgres
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.supervision.team import errand


def entry(text: str) -> NewEntry:
    return NewEntry("memory", "default", "semantic", "", text)


def texts(node: Node) -> set[str]:
    with node.plain() as store:
        return {one.content for one in store.entries.recent(limit=1000)}


def kept(node: Node) -> list[str]:
    return glob.glob(glob.escape(node.config.store.path) + ".kept-*")


def lose(server: Postgres, number: int) -> None:
    """Have a server forget what is after a number, as a failover to a standby that was behind."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DELETE FROM khive.log WHERE number > %s", (number,))
        connection.execute("UPDATE khive.head SET number = %s", (number,))


def test_writes_that_a_failover_lost_are_noticed_though_others_wrote_since(
    server: Postgres, pair: list[Node]
) -> None:
    one, two = pair
    with one.open() as store, one.plain() as reader:
        store.entries.add([entry("both have it")])
        wait_until(lambda: "both have it" in texts(two), "it travels")
        two.stop()
        number = store.replica().number  # type: ignore[union-attr]  # a node has one
        store.entries.add([entry("only this node saw it")])
        before = reader.change_counts()
        one.stop()
        lose(server, number)
        two.start()
        with two.open() as other:
            other.entries.add([entry("written since, with the same number")])
        one.start()
        wait_until(lambda: "written since, with the same number" in texts(one), "it is taken anew")
        assert texts(one) == texts(two)
        assert reader.change_counts().past != before.past, "who keeps something reads it again"
        store.entries.add([entry("it writes again")])
    wait_until(lambda: "it writes again" in texts(two), "it travels")
    (copy,) = kept(one)
    with SqliteStore(copy) as found:
        assert "only this node saw it" in {one.content for one in found.entries.recent(limit=9)}
        assert found.replica() is None
    assert not kept(two)


def test_a_node_that_was_away_beyond_the_log_loses_nothing(
    server: Postgres, pair: list[Node]
) -> None:
    one, two = pair
    two.stop()
    with one.open() as store:
        for number in range(5):
            store.entries.add([entry(f"note {number}")])
    errand.run(one.config, "base", variables=one.environment)
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute("SELECT number FROM khive.base").fetchone()
        assert row == (0,), "none is due yet"
        # As if it had been: a base as of now, and a log that begins after it.
        connection.execute("DELETE FROM khive.base")
    errand.run(one.config, "base", file="now", variables=one.environment)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DELETE FROM khive.log")
    two.start()
    wait_until(lambda: len(texts(two)) == 5, "it is taken anew")
    assert not kept(two), "it had nothing that the server has not"
    with two.open() as store:
        store.entries.add([entry("and it writes")])
    wait_until(lambda: "and it writes" in texts(one), "it travels")


def test_what_is_this_machines_own_stays(server: Postgres, pair: list[Node], short: Path) -> None:
    one = pair[0]
    with one.open() as store:
        store.entries.add([entry("note")])
        with store.database.write(local=True):
            store.database.rows("INSERT INTO capture_switches VALUES (7, 1, 5.0)")
        number = store.replica().number  # type: ignore[union-attr]  # a node has one
        one.stop()
        lose(server, number - 1)
        one.start()
        wait_until(lambda: kept(one), "it is taken anew")
        wait_until(lambda: not texts(one), "it is what the server has")
        assert store.database.value("SELECT count(*) FROM capture_switches") == 1
