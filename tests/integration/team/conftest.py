"""A PostgreSQL for the tests of teams; without one they fail, and say what to install."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

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
