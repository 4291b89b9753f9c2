"""A PostgreSQL for the tests of teams; without one they fail, and say what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
from member_support import ROLES, begin, give, known

from benchmarks.team.nodes import Node, Postgres, nodes, postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    """A server of this file's own."""
    with postgres() as found:
        yield found


@pytest.fixture
def pair(server: Postgres, short: Path) -> Iterator[list[Node]]:
    """Two nodes of a team that nobody else is in."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS khive CASCADE")
    with nodes(server.url, 2, short) as found:
        yield found


@pytest.fixture
def owned(server: Postgres, short: Path) -> Iterator[dict[str, Node]]:
    """A team that only its owner's node is in; nodes of alice and bob, who have no rights yet."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS khive CASCADE")
        for role in ROLES:
            connection.execute(f"DROP OWNED BY {role}") if known(connection, role) else None
            connection.execute(f"DROP ROLE IF EXISTS {role}")
            connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute("GRANT CREATE ON DATABASE postgres TO khive")
    with ExitStack() as stack:
        found: dict[str, Node] = {}
        for role in ROLES:
            node = Node(short / role, server.url.replace("//postgres@", f"//{role}@"))
            node.home.mkdir()
            found[role] = node
            stack.callback(node.stop)
        begin(found["khive"])
        yield found


@pytest.fixture
def team(owned: dict[str, Node]) -> dict[str, Node]:
    """A team of its owner, alice who sees all, and bob who sees only `open`."""
    for role, namespace in (("alice", "*"), ("bob", "open")):
        give(owned["khive"], role, namespace)
        begin(owned[role])
    return owned
