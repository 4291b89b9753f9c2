"""A PostgreSQL for the tests of teams; without one they fail, and say what to install."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from member_support import ROLES, begin, give, known
from waiting_support import (
    back,
    waiting_file,
)

from benchmarks.team.nodes import Node, Postgres, nodes, postgres
from khive_supervisor.store.model import NewEntry


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


@pytest.fixture(scope="module")
def both(server: Postgres) -> Iterator[list[Node]]:
    """Two nodes of a team with a memory, which the tests of this file share."""
    directory = TemporaryDirectory(prefix="k", dir="/tmp")
    with directory as name, nodes(server.url, 2, Path(name)) as found:
        with found[0].open() as store:
            store.entries.add([NewEntry("memory", "default", "semantic", "", "the first of all")])
        yield found


@pytest.fixture
def here(both: list[Node], monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """The first node; this process is one of its own."""
    monkeypatch.setenv("HOME", str(both[0].home))
    for name in ("XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    yield both[0]
    waiting_file(both[0]).unlink(missing_ok=True)


@pytest.fixture
def away(here: Node) -> Iterator[Node]:
    """A node that cannot reach its server until `back`, or the end of the test."""
    here.stop()
    yield here
    back(here)
