"""A team of several members, for tests of what each of them may see and do."""

from __future__ import annotations

import json

import psycopg

from benchmarks.team.nodes import Node
from khive_supervisor.sqlite.schema.shared import BELONGS
from khive_supervisor.store.model import NewEntry
from khive_supervisor.supervision.team import errand

#: The owner, who sees all; alice, who sees all, too; bob, who sees `open`.
ROLES = ("khive", "alice", "bob")
#: The number of the next change, and the beginning of a statement that writes one.
NEXT = "(SELECT number + 1 FROM khive.head)"
CHANGE = "INSERT INTO khive.log (number, part, node, schema, nonce, changes)"


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
        return {one.content for one in store.entries.recent(limit=100_000)}


def files(node: Node) -> bytes:
    return b"".join(path.read_bytes() for path in node.home.rglob("*") if path.is_file())


def shown(node: Node) -> dict[str, list[tuple[object, ...]]]:
    """All that is shared in a replica, but for chains: each node may have more of its own."""
    with node.plain() as store:
        found = {
            table: sorted(store.database.rows(f"SELECT * FROM {table}"), key=repr)
            for table in sorted({*BELONGS, "vector_counts", "entry_members"})
            if table not in BELONGS or not BELONGS[table].audit
        }
        words = "SELECT term, doc, col, offset FROM entries_occurrences ORDER BY 1, 2, 3, 4"
        return {**found, "words": store.database.rows(words)}
