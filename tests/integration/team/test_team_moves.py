"""A store moved to a server and back by the real process: equal, resumable, refused in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from benchmarks.team.nodes import Node, Postgres
from khive_supervisor.errors import InvalidInput
from khive_supervisor.sqlite.schema.shared import SHARED
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.store.model import NewEntry
from khive_supervisor.supervision.team import errand
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import Claimant, NewTask, Outcome, RoleRow
from khive_supervisor.team.moves import Moved, MoveStep

#: Bytes of a vector of random bits, so that two hundred fill two parts of a base.
_LARGE = 40_000


@pytest.fixture
def empty(server: Postgres) -> str:
    """The URL of a server without a team."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS khive CASCADE")
    return server.url


@pytest.fixture
def node(empty: str, short: Path) -> Iterator[Node]:
    """A machine that is in no team yet."""
    found = Node(short / "n", empty)
    found.home.mkdir()
    yield found
    found.stop()


def make(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Make a store with something of most kinds; return what it holds."""
    with SqliteStore(str(path)) as store:
        texts = [NewEntry("memory", "default", "semantic", "", f"Note {n}.") for n in range(200)]
        added = store.entries.add(texts, [os.urandom(_LARGE) for _ in texts], "m")
        store.entries.forget([added[0].id])
        store.lists.pin([added[1].id])
        store.purges.purge([added[2].id])
        store.roles.set([RoleRow("echo", ("t",), "d", 1, 1, 3, True)])
        for number in range(3):
            store.tasks.assign(NewTask("echo", "t", {"n": number}))
        now = Moment("boot", 10.0)
        claim = store.tasks.claim(Claimant("echo", "w", 1, "d"), now)
        assert claim is not None
        store.tasks.finish(claim.id, claim.token, Outcome("done", 1), now)
        return contents(store)


def contents(store: SqliteStore) -> dict[str, list[tuple[object, ...]]]:
    return {t: sorted(store.database.rows(f"SELECT * FROM {t}"), key=repr) for t in SHARED}


def do(node: Node, what: str, file: Path | str, steps: list[MoveStep] | None = None) -> Moved:
    told = [] if steps is None else steps
    environment = node.environment
    return errand.run(node.config, what, file=str(file), tell=told.append, variables=environment)


def test_there_and_back_nothing_is_lost(node: Node, short: Path) -> None:
    alone = short / "alone.db"
    before = make(alone)
    looked = do(node, "look", alone)
    assert (looked["entries"], looked.get("problems")) == (len(before["entries"]), [])
    moved = do(node, "to-server", alone)
    assert moved["entries"] == looked["entries"]
    with SqliteStore(str(alone)) as store:
        assert contents(store) == before, "what was moved stays as it was"
    node.start()
    with node.plain() as store:
        row = store.replica()
        assert row is not None
        assert row.rights.member == "postgres", "its offices are those of its member"
    with node.open() as store:
        assert contents(store) == before
        assert store.entries.add([NewEntry("memory", "default", "semantic", "", "More.")])
    assert do(node, "to-file", short / "back.db")["number"] == 1
    with SqliteStore(str(short / "back.db")) as store:
        assert store.replica() is None
        back = contents(store)
        assert len(back["entries"]) == len(before["entries"]) + 1
        assert back["tasks"] == before["tasks"]


def test_a_move_that_was_interrupted_goes_on_where_it_was(
    node: Node, server: Postgres, short: Path
) -> None:
    alone = short / "alone.db"
    make(alone)
    do(node, "to-server", alone)
    Path(node.config.store.path).unlink()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("UPDATE khive.base SET ready = false")
        connection.execute("DELETE FROM khive.base_parts WHERE part >= 1")
    steps: list[MoveStep] = []
    do(node, "to-server", alone, steps)
    sent = [step.done for step in steps if step.step == "sending"]
    assert sent, "the parts that are missing"
    assert min(sent) == 2, "the first part is there already"
    # As if it had been killed between the server's commit and the last rename.
    Path(node.config.store.path).unlink()
    do(node, "to-server", alone)
    directory = os.path.dirname(node.config.store.path)
    assert os.listdir(directory) == ["khive.db"], "nothing else is left"


def test_what_cannot_be_moved_is_refused_in_words(node: Node, short: Path) -> None:
    alone = short / "alone.db"
    make(alone)
    do(node, "to-server", alone)
    with SqliteStore(str(alone)) as store:
        store.entries.add([NewEntry("memory", "default", "semantic", "", "Another store now.")])
    Path(node.config.store.path).unlink()
    with pytest.raises(InvalidInput, match="holds a team's store already"):
        do(node, "to-server", alone)
    assert do(node, "look", alone).get("problems") != []
    with pytest.raises(InvalidInput, match="no store at"):
        do(node, "to-server", short / "nothing.db")


def test_a_replica_that_is_behind_is_caught_up_before_it_is_moved(
    pair: list[Node], short: Path
) -> None:
    pair[1].stop()
    with pair[0].open() as store:
        store.entries.add([NewEntry("memory", "default", "semantic", "", "Elsewhere.")])
    assert do(pair[1], "to-file", short / "out.db")["entries"] == 1
    with pytest.raises(InvalidInput, match="exists"):
        do(pair[1], "to-file", short / "out.db")
