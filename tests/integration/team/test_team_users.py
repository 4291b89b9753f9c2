"""Members of a team see the namespaces that they have a right to, and nothing of the others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from support import wait_until

from benchmarks.team.nodes import Node, Postgres
from khive_supervisor.errors import Denied
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.supervision.team import errand
from khive_supervisor.tasks.model import NewTask

_ROLES = ("khive", "alice", "bob")


@pytest.fixture
def team(server: Postgres, short: Path) -> Iterator[dict[str, Node]]:
    """A team of its owner, alice who sees all, and bob who sees only `open`."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS khive CASCADE")
        for role in _ROLES:
            connection.execute(f"DROP OWNED BY {role}") if known(connection, role) else None
            connection.execute(f"DROP ROLE IF EXISTS {role}")
            connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute("GRANT CREATE ON DATABASE postgres TO khive")
    with ExitStack() as stack:
        found: dict[str, Node] = {}
        for role in _ROLES:
            node = Node(short / role, server.url.replace("//postgres@", f"//{role}@"))
            node.home.mkdir()
            found[role] = node
            stack.callback(node.stop)
        begin(found["khive"])
        for role, namespace in (("alice", "*"), ("bob", "open")):
            give(found["khive"], role, namespace)
            begin(found[role])
        yield found


def known(connection: psycopg.Connection[tuple[object, ...]], role: str) -> bool:
    rows = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchall()
    return bool(rows)


def begin(node: Node) -> None:
    node.join()
    node.start()


def give(node: Node, role: str, namespace: str, what: str = "grant") -> None:
    asked = json.dumps([role, namespace])
    errand.run(node.config, what, file=asked, variables=node.environment)


def entry(namespace: str, text: str) -> NewEntry:
    return NewEntry("memory", namespace, "semantic", "", text)


def texts(node: Node) -> set[str]:
    with node.plain() as store:
        return {one.content for one in store.entries.recent(limit=1000)}


def files(node: Node) -> bytes:
    return b"".join(path.read_bytes() for path in node.home.rglob("*") if path.is_file())


def sound(store: SqliteStore) -> bool:
    return store.quick_check() == []


def test_who_has_no_right_gets_nothing_and_disturbs_nobody(team: dict[str, Node]) -> None:
    alice, bob = team["alice"], team["bob"]
    with alice.open() as hers, bob.open() as his:
        for number in range(3):
            hers.entries.add([entry("open", f"Open {number}.")], [b"ab"], "m")
            hers.entries.add([entry("closed", f"Zanzibar {number}.")], [b"zz"], "m")
            hers.tasks.assign(NewTask("r", "t", {"to": "Zanzibar"}, namespace="closed"))
        wait_until(lambda: len(texts(bob)) == 3, "what is open travels")
        his.entries.add([entry("open", "His own.")], [b"ab"], "m")
        with pytest.raises(Denied, match="closed"):
            his.entries.add([entry("closed", "Not his to say.")])
        his.tasks.assign(NewTask("r", "t", {"to": "all"}, namespace="open"))
        hers.entries.add([entry("open", "Hers after his.")], [b"ab"], "m")
        wait_until(lambda: "Hers after his." in texts(bob), "numbers go on")
        assert sound(hers)
        assert sound(his)
        ids = {one.id for one in hers.entries.recent(limit=99)}
        assert len(ids) == 8
    wait_until(lambda: len(texts(team["khive"])) == 8, "the owner has all of it")
    bob.stop()
    assert b"Zanzibar" not in files(bob)
    assert b"Zanzibar" in files(alice)
