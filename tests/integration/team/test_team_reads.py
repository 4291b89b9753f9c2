"""Reads that wait for the newest change: nothing that was acknowledged before is missing."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from benchmarks.team.nodes import Node, Postgres
from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.store.model import NewEntry


def test_what_another_node_was_told_is_stored_is_there(server: Postgres, pair: list[Node]) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(node.open()) for node in pair)
        for number in range(60):
            one.entries.add([NewEntry("memory", "default", "semantic", "", f"note {number}")])
            two.catch_up()
            assert two.entries.recent(limit=1)[0].content == f"note {number}"
        with two.transaction():
            two.catch_up()  # what is open has seen everything that is before it
        server.stop()
        try:
            with pytest.raises(StoreUnavailable, match=r"cannot be brought up to date now") as said:
                two.catch_up()
            assert 'store.reads = "replica"' in said.value.hint
            assert two.entries.recent(limit=1), "reading what is here goes on"
        finally:
            server.start()
        pair[1].stop()
        with pytest.raises(StoreUnavailable, match="no replicator is running"):
            two.catch_up()
