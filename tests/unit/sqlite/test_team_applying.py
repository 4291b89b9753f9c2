"""Changes of one store applied to its copies: they are equal afterwards, words and counters too."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import apsw
import pytest

from khive_supervisor.errors import StoreUnavailable
from khive_supervisor.sqlite.engine.backup import copy_to
from khive_supervisor.sqlite.schema.migrations import NEWEST
from khive_supervisor.sqlite.schema.shared import SHARED
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.sqlite.team import replica
from khive_supervisor.sqlite.team.applying import Applier, Diverged
from khive_supervisor.sqlite.team.replica import Replica
from khive_supervisor.sqlite.team.sharing import SharedWrites
from khive_supervisor.sqlite.team.turn_client import TurnClient
from khive_supervisor.store.model import NewEntry
from khive_supervisor.tasks.lease import Moment
from khive_supervisor.tasks.model import Claimant, NewTask, Outcome, RoleRow
from khive_supervisor.team.order import LoggedChange, LogPosition, OutOfOrder
from khive_supervisor.team.parts import UNDIVIDED, WHOLE, PartedChange


@dataclass
class Log(TurnClient):
    """A log without a server: takes whatever comes next, unless it is away."""

    changes: list[LoggedChange] = field(default_factory=list)
    away: bool = False
    turns: int = 0
    #: As a replicator of an earlier release, which takes no nonce from who writes.
    draws: bool = False

    @property
    def takes_ahead(self) -> bool:
        return False

    def take(self) -> LogPosition:
        if self.away:
            raise StoreUnavailable("It is away.")
        self.turns += 1
        return self.position

    def hand_over(self, change: PartedChange) -> None:
        number = len(self.changes) + 1
        nonce = b"n%d" % number if self.draws else change.nonce
        logged = LoggedChange(
            number, change.schema, change.parts, nonce, change.marks, "n1", "somebody"
        )
        self.changes.append(logged)

    def accepted(self, divided: Callable[[], PartedChange] | None = None) -> LogPosition:
        return self.position

    @property
    def position(self) -> LogPosition:
        newest = self.changes[-1] if self.changes else LoggedChange(0, NEWEST, ())
        return LogPosition(newest.number, newest.nonce)

    def give_back(self) -> None:
        self.turns += 0

    def close(self) -> None:
        self.turns += 0


@dataclass
class Nodes:
    """A writing node, another one that follows it, and the log between them."""

    log: Log
    writer: SqliteStore
    other: SqliteStore
    applier: Applier

    def catch_up(self) -> None:
        self.applier.apply(self.log.changes)

    def contents(self, store: SqliteStore) -> dict[str, list[tuple[object, ...]]]:
        found = {}
        for table in sorted({*SHARED, "vector_counts"}):
            found[table] = sorted(store.database.rows(f"SELECT * FROM {table}"), key=repr)
        words = "SELECT term, doc, col, offset FROM entries_occurrences ORDER BY 1, 2, 3, 4"
        found["words"] = store.database.rows(words)
        return found


def make_replica(path: Path, source: SqliteStore, node: str, *, undivided: bool = False) -> str:
    path.mkdir()
    copy_to(source.database, str(path / "khive.db"))
    connection = apsw.Connection(str(path / "khive.db"))
    replica.put(connection, Replica(node, "s", 0, schema=NEWEST, undivided=undivided))
    connection.close()
    return str(path / "khive.db")


@pytest.fixture(params=["divided", "undivided"])
def nodes(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Nodes]:
    undivided = request.param == "undivided"
    with SqliteStore(str(tmp_path / "first" / "khive.db")) as first:
        one = make_replica(tmp_path / "one", first, "n1", undivided=undivided)
        two = make_replica(tmp_path / "two", first, "n2", undivided=undivided)
    log = Log()
    with SqliteStore(one, sharing=SharedWrites(log)) as writer, SqliteStore(two) as other:
        yield Nodes(log, writer, other, Applier(other.database, other.entries))
    shutil.rmtree(tmp_path / "one")


def entry(text: str, tags: tuple[str, ...] = ()) -> NewEntry:
    return NewEntry("memory", "default", "semantic", "", text, tags)


def remember(store: SqliteStore) -> None:
    store.entries.add([entry("The cat sat."), entry("The dog ran.")], [b"ab", None], "m")


def change_minds(store: SqliteStore) -> None:
    store.entries.add([entry("One."), entry("Two."), entry("Three.")], [b"ab"] * 3, "m")
    first, second, third = (one.id for one in store.entries.recent())
    store.entries.supersede(first, entry("Another."))
    store.entries.forget([second])
    store.entries.restore([second])
    store.entries.annotate(third, ["tag"])


def take_back(store: SqliteStore) -> None:
    """One says again what another one said that it replaces: their keys are unique."""
    (old,) = store.entries.add([entry("Same.", tags=("a",))])
    store.entries.supersede(old.id, entry("Same.", tags=("b",)))


def purge(store: SqliteStore) -> None:
    added = store.entries.add([entry("What nobody may know."), entry("Else.")], [b"ab"] * 2, "m")
    store.purges.purge([added[0].id])


def work(store: SqliteStore) -> None:
    store.roles.set([RoleRow("echo", ("t",), "d", 1, 1, 3, True)])
    store.tasks.assign(NewTask("echo", "t", {"x": 1}))
    now = Moment("team:s", 10.0)
    claim = store.tasks.claim(Claimant("echo", "w@n1:1", 1, "d"), now)
    assert claim is not None
    store.tasks.finish(claim.id, claim.token, Outcome("done", 1), now)


@pytest.mark.parametrize("act", [remember, change_minds, take_back, purge, work])
def test_what_one_node_does_is_so_on_the_other(
    nodes: Nodes, act: Callable[[SqliteStore], None]
) -> None:
    act(nodes.writer)
    nodes.catch_up()
    assert nodes.contents(nodes.other) == nodes.contents(nodes.writer)
    assert nodes.other.quick_check() == []
    assert nodes.applier.position() == nodes.log.position


def test_many_changes_at_once_come_to_the_same(nodes: Nodes) -> None:
    """What is said, taken back, said again and purged, all applied together."""
    texts = ("The cat sat.", "The dog ran.", "Else.")
    draw = random.Random(75)
    for purging in (False, False, False, True):
        for _ in range(25):
            text = draw.choice(texts)
            (added,) = nodes.writer.entries.add([entry(text)], [b"ab"], "m")
            act = draw.choice(["leave", "forget", "supersede", "annotate", "purge", "link"])
            if act == "forget":
                nodes.writer.entries.forget([added.id])
            elif act == "supersede":
                nodes.writer.entries.supersede(added.id, entry(draw.choice(texts), tags=("b",)))
            elif act == "annotate":
                nodes.writer.entries.annotate(added.id, [draw.choice("abc")])
            elif act == "purge" and purging:
                nodes.writer.purges.purge([added.id])
            elif act == "link":
                one, *others = nodes.writer.entries.recent()
                for other in others[:1]:
                    nodes.writer.links.add(one.id, other.id, "about")
        nodes.catch_up()
        assert nodes.contents(nodes.other) == nodes.contents(nodes.writer)
    assert nodes.other.quick_check() == []


def test_which_change_does_not_fit_is_told_among_many(nodes: Nodes) -> None:
    remember(nodes.writer)
    nodes.catch_up()
    nodes.writer.entries.add([entry("One.")])
    (added,) = nodes.writer.entries.add([entry("Two.")])
    nodes.writer.entries.add([entry("Three.")])
    nodes.other.database.rows("UPDATE entries SET id = ? WHERE id = 1", [added.id])
    before = nodes.contents(nodes.other)
    with pytest.raises(Diverged, match="Change 3 does not fit"):
        nodes.catch_up()
    assert nodes.contents(nodes.other) == before


def test_a_change_is_one_part_only_where_all_see_everything(nodes: Nodes) -> None:
    remember(nodes.writer)
    row = nodes.writer.replica()
    assert row is not None
    names = [part.name for part in nodes.log.changes[0].parts]
    assert names == ([UNDIVIDED] if row.undivided else ["", WHOLE, "default"])


@pytest.mark.parametrize("draws", [False, True])
def test_a_replica_knows_the_change_that_it_made(nodes: Nodes, draws: bool) -> None:
    nodes.log.draws = draws
    remember(nodes.writer)
    row = nodes.writer.replica()
    assert row is not None
    assert row.position == nodes.log.position


def test_what_only_this_machine_has_is_durable_here(nodes: Nodes) -> None:
    remember(nodes.writer)
    synchronous = "PRAGMA synchronous"
    assert nodes.writer.database.value(synchronous) == 1  # the server has what is shared
    with nodes.writer.database.write(local=True):
        assert nodes.writer.database.value(synchronous) == 2
    remember(nodes.writer)
    assert nodes.writer.database.value(synchronous) == 1


def test_other_processes_see_that_kinds_of_things_have_changed(nodes: Nodes) -> None:
    before = nodes.other.change_counts()
    work(nodes.writer)
    nodes.catch_up()
    assert nodes.other.change_counts() != before


def test_what_was_applied_is_not_applied_again(nodes: Nodes) -> None:
    remember(nodes.writer)
    nodes.catch_up()
    nodes.catch_up()
    assert nodes.contents(nodes.other) == nodes.contents(nodes.writer)
    with pytest.raises(OutOfOrder):
        nodes.applier.apply([LoggedChange(99, NEWEST, ())])


def test_what_does_not_fit_is_told_and_changes_nothing(nodes: Nodes) -> None:
    remember(nodes.writer)
    nodes.other.database.rows("DELETE FROM past")
    nodes.other.entries.add([entry("Here first.")])
    before = nodes.contents(nodes.other)
    with pytest.raises(Diverged, match="Change 1 does not fit"):
        nodes.catch_up()
    assert nodes.contents(nodes.other) == before


def test_reading_and_what_is_local_need_no_turn(nodes: Nodes) -> None:
    remember(nodes.writer)
    nodes.log.away, turns = True, nodes.log.turns
    assert len(nodes.writer.entries.recent()) == 2
    nodes.writer.full_text.tidy(begin=True)
    assert nodes.writer.quick_check() == []
    assert nodes.log.turns == turns
    with pytest.raises(StoreUnavailable):
        nodes.writer.entries.add([entry("Not now.")])
    assert len(nodes.writer.entries.recent()) == 2


def remember_and_fail(store: SqliteStore) -> None:
    with store.transaction():
        remember(store)
        raise ZeroDivisionError


def test_a_transaction_that_changes_nothing_leaves_no_number(nodes: Nodes) -> None:
    with nodes.writer.transaction():
        nodes.writer.entries.recent()
    with pytest.raises(ZeroDivisionError):
        remember_and_fail(nodes.writer)
    assert nodes.log.changes == []


def test_roles_of_other_nodes_are_left_alone(nodes: Nodes) -> None:
    nodes.writer.roles.set([RoleRow("echo", ("t",), "d", 1, 1, 3, True)])
    nodes.catch_up()
    nodes.other.roles.set([])
    assert [row.role for row in nodes.other.roles.all()] == ["echo"]
    assert nodes.other.roles.own() == []
    nodes.writer.roles.set([])
    assert nodes.writer.roles.all() == []


def test_a_task_of_a_checkout_is_for_its_node_alone(nodes: Nodes) -> None:
    for node in ("n1", "n2"):
        nodes.writer.tasks.assign(NewTask("echo", "t", node=node))
    now = Moment("team:s", 10.0)
    claimant = Claimant("echo", "w@n1:1", 1, "d")
    nodes.writer.roles.set([RoleRow("echo", ("t",), "d", 1, 1, 3, True)])
    assert nodes.writer.tasks.due(now) == ["echo"]
    claim = nodes.writer.tasks.claim(claimant, now)
    assert claim is not None
    assert claim.id == 1
    assert nodes.writer.tasks.claim(claimant, now) is None
    assert nodes.writer.tasks.due(now) == []


@dataclass
class Busy(Log):
    """A log whose turn is waited for."""

    time: float = 1000.0

    def take(self) -> LogPosition:
        self.time += 3.0
        return super().take()


def test_a_lease_begins_when_the_turn_has_come(tmp_path: Path) -> None:
    with SqliteStore(str(tmp_path / "first" / "khive.db")) as first:
        one = make_replica(tmp_path / "one", first, "n1")
    log = Busy()
    with SqliteStore(one, sharing=SharedWrites(log), clock=lambda: log.time) as store:
        store.roles.set([RoleRow("echo", ("",), "d", 1, 1, 3, True)])
        store.tasks.assign(NewTask("echo"))
        claim = store.tasks.claim(Claimant("echo", "w", 1, "d", lease=10.0), Moment("b", 50.0))
        assert claim is not None
        assert claim.lease == Moment("b", 63.0)
