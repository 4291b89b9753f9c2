"""Fixtures of the tests with agents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from agent_support import AgentBench
from role_support import bench
from support import Installation


@pytest.fixture
def agents(khive: Installation) -> Iterator[AgentBench]:
    """A bench with agents, and a repository for their tasks."""
    with bench(khive) as roles:
        made = AgentBench(roles)
        made.make_repository()
        yield made
