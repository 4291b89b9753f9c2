"""Audit chains of two nodes: each has its own, both see both, and heads go by the server."""

from __future__ import annotations

from contextlib import ExitStack

import apsw
import psycopg
from khive_workers.team.heads import HeadExchange, published
from khive_workers.team.server import TeamServer

from benchmarks.team.nodes import Node, wait_until
from khive_supervisor.audit.several import verify_chains
from khive_supervisor.sqlite.store import SqliteStore


def change(path: str, *statements: str) -> None:
    connection = apsw.Connection(path)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def position(store: SqliteStore) -> int:
    row = store.replica()
    assert row is not None
    return row.number


def test_heads_are_exchanged_and_what_does_not_fit_is_said(pair: list[Node]) -> None:
    with ExitStack() as stack:
        stores = [stack.enter_context(node.open()) for node in pair]
        for number, store in enumerate([*stores, *stores]):
            store.audit.record("task.done", f"task/t{number}", {})
        one, two = (store.node for store in stores)
        for store in stores:
            wait_until(lambda store=store: store.audit.origins() == sorted([one, two]))
            wait_until(lambda store=store: store.audit.chain(two).head().seq == 2)
        assert [store.audit.origin for store in stores] == [one, two]
        server = TeamServer.connect(pair[0].url, "khive test")
        stack.callback(server.close)
        exchanges = [HeadExchange(store.audit, store.node) for store in stores]
        for _ in range(2):
            for exchange, store in zip(exchanges, stores, strict=True):
                exchange.exchange(server, position(store))
        found = published(server)
        assert {one, two} == {each.head.origin for each in found}
        for store in stores:
            report = verify_chains(store.audit, published=found, position=position(store))
            assert (report.intact, report.published) == (True, 2)
        assert [exchange.problem for exchange in exchanges] == ["", ""]
        change(
            stores[1].path,
            "DROP TRIGGER audit_of_nodes_no_delete",
            f"DELETE FROM audit_of_nodes WHERE origin = '{one}' AND seq = 2",
        )
        looking = HeadExchange(stores[1].audit, two)
        looking.exchange(server, position(stores[1]))
        assert f"entry 2 of the audit chain that {one} has published is not here" == looking.problem
        report = verify_chains(stores[1].audit, published=found, position=position(stores[1]))
        assert [o for o, each in report.reports.items() if not each.intact] == [one]


def test_a_server_of_an_earlier_release_gets_what_it_lacks(pair: list[Node]) -> None:
    with psycopg.connect(pair[0].url, autocommit=True) as connection:
        connection.execute("DROP TABLE khive.heads")
    pair[0].stop()
    pair[0].start()
    with psycopg.connect(pair[0].url, autocommit=True) as connection:
        wait_until(
            lambda: connection.execute("SELECT to_regclass('khive.heads')").fetchone() != (None,)
        )
