"""Members of a team see the namespaces that they have a right to, and nothing of the others."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from khive_workers.team import members
from khive_workers.team.server import TURN_KEY, TeamServer
from khive_workers.team.tables import MEMBER_MAY
from member_support import CHANGE, NEXT, begin, entry, files, give, shown, texts
from support import wait_until
from waiting_support import apply_all, call, session

from benchmarks.team.nodes import Node, Postgres
from khive_supervisor.errors import Denied, InvalidInput
from khive_supervisor.sqlite.store import SqliteStore
from khive_supervisor.supervision.team import errand
from khive_supervisor.tasks.model import Claimant, NewTask, RoleRow
from khive_supervisor.team.moves import PurgeOfTeam
from khive_supervisor.workflows.model import NewSchedule

#: What a member with a right to one namespace cannot do by statements of their own.
_FORBIDDEN = (
    (
        f"INSERT INTO khive.log (number, part, node, schema, nonce, changes, member) "
        f"VALUES ({NEXT}, '', 'x', 14, gen_random_uuid(), '', 'alice')"
    ),
    f"{CHANGE} VALUES ({NEXT}, 'closed', 'x', 14, gen_random_uuid(), '')",
    f"{CHANGE} VALUES ({NEXT}, '*all', 'x', 15, gen_random_uuid(), '')",
    f"{CHANGE} VALUES ({NEXT}, '', 'x', 13, gen_random_uuid(), '')",
    "UPDATE khive.log SET member = 'alice'",
    "INSERT INTO khive.rights (member, namespace) VALUES ('bob', '*')",
    "UPDATE khive.head SET team = gen_random_uuid()",
    "DELETE FROM khive.log",
    "DELETE FROM khive.base",
    "SELECT * FROM khive.base_parts FOR UPDATE",
)


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


@contextmanager
def writing(node: Node) -> Iterator[list[str]]:
    """Give what is written all the time to one namespace; something else goes to another."""
    stop, written = threading.Event(), list[str]()

    def write() -> None:
        with node.open() as store:
            while not stop.is_set():
                text = f"{len(written)} is open."
                store.entries.add([entry("open", text), entry("closed", f"Zanzibar {text}")])
                written.append(text)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        stop.set()
        writer.join(60)


def more(written: list[str]) -> None:
    enough = len(written) + 5
    wait_until(lambda: len(written) > enough, "it goes on")


def test_changes_are_divided_from_the_first_right_to_some_of_it(owned: dict[str, Node]) -> None:
    owner, alice, bob = owned["khive"], owned["alice"], owned["bob"]
    give(owner, "alice", "*")
    begin(alice)
    with writing(owner) as written:
        more(written)
        # As an operator would by SQL: whoever writes meanwhile is told by the server alone.
        with psycopg.connect(owner.url, autocommit=True) as connection:
            connection.execute(MEMBER_MAY.format("bob"))
            connection.execute("INSERT INTO khive.rights VALUES ('bob', 'open')")
            more(written)
            parts = connection.execute("SELECT number, part FROM khive.log ORDER BY 1").fetchall()
            since = connection.execute("SELECT divided_since FROM khive.head").fetchone()
        errand.run(owner.config, "base", file="now", variables=owner.environment)
        begin(bob)
    assert since is not None
    assert {number for number, part in parts if part == "*all"} >= {since[0]}
    after = {part for number, part in parts if number > since[0]}
    assert after == {"", "*whole", "open", "closed"}
    wait_until(lambda: texts(bob) == set(written), "all that is open, from before and after")
    wait_until(lambda: len(texts(alice)) == 2 * len(written), "she has all of it")


def test_rights_come_and_go_with_what_they_are_to(team: dict[str, Node]) -> None:
    owner, alice, bob = team["khive"], team["alice"], team["bob"]
    with alice.open() as hers, bob.open() as his:
        (one,) = hers.entries.add([entry("open", "Open.")], [b"ab"], "m")
        (two,) = hers.entries.add([entry("closed", "Zanzibar.")], [b"zz"], "m")
        hers.links.add(one.id, two.id, "about")
        wait_until(lambda: texts(bob) == {"Open."}, "what is open travels")
        assert his.database.value("SELECT count(*) FROM links") == 0

        give(owner, "bob", "closed")
        wait_until(lambda: "Zanzibar." in texts(bob), "what he may see now comes")
        wait_until(lambda: shown(bob) == shown(alice), "all of it")
        his.entries.add([entry("closed", "He answers.")], [b"ab"], "m")
        wait_until(lambda: shown(bob) == shown(alice), "and what is written from then on")

        give(owner, "bob", "closed", "revoke")
        wait_until(lambda: texts(bob) == {"Open."}, "what he may not see goes")
        his.entries.add([entry("open", "He goes on.")], [b"ab"], "m")
        wait_until(lambda: "He goes on." in texts(alice), "in his own namespace")
        assert sound(his)
        assert b"Zanzibar" not in files(bob)

        give(owner, "bob", "*", "revoke")
        wait_until(lambda: not texts(bob), "one who is no member has nothing")
        with pytest.raises(Denied, match="no right in this team"):
            his.entries.add([entry("open", "He is out.")])
    bob.stop()
    assert b"goes on" not in files(bob)


def test_nobody_writes_in_anothers_name(team: dict[str, Node]) -> None:
    with team["bob"].open() as his:
        (one,) = his.entries.add([entry("open", "His.")])
    for node in team.values():
        wait_until(lambda node=node: "His." in texts(node), "it travels")
    members = "SELECT member FROM entry_members WHERE entry_id = ?"
    for node in team.values():
        with node.plain() as store:
            assert store.database.rows(members, [one.id]) == [("bob",)]
    with psycopg.connect(team["bob"].url, autocommit=True) as connection:
        for statement in _FORBIDDEN:
            with pytest.raises(psycopg.Error, match=r"permission denied|row-level security"):
                connection.execute(statement)
        seen = connection.execute(
            "SELECT (SELECT count(*) FROM khive.base_parts), "
            "(SELECT count(*) FROM khive.slices WHERE namespace NOT IN ('', 'open')), "
            "(SELECT count(*) FROM khive.rights WHERE member <> 'bob')"
        ).fetchone()
    assert seen == (0, 0, 0)


def test_tasks_are_done_by_those_who_chose_their_givers(team: dict[str, Node]) -> None:
    with team["alice"].open() as hers, team["bob"].open() as his:
        for store in (hers, his):
            store.roles.set([RoleRow("r", ("t",), "d", 1, 1, 3, True)])
        given, _ = his.tasks.assign(NewTask("r", "t", {"n": 1}, namespace="open"))
        wait_until(lambda: hers.tasks.find(given.id) is not None, "it travels")
        now = hers.tasks.now()
        assert hers.tasks.claim(Claimant("r", "w@a:1", 1, "d", givers=("khive",)), now) is None
        mine, _ = hers.tasks.assign(NewTask("r", "t", {"n": 2}, namespace="open"))
        claim = hers.tasks.claim(Claimant("r", "w@a:1", 1, "d"), now)
        assert claim is not None
        assert claim.id == mine.id
        claim = hers.tasks.claim(Claimant("r", "w@a:2", 1, "d", givers=("bob",)), now)
        assert claim is not None
        assert claim.id == given.id
        hers.schedules.add(NewSchedule("n", "* * * * *", {}, {}, namespace="open"))
        wait_until(lambda: his.schedules.all() != [], "it travels")
        assert his.schedules.ours() == []
        assert [one.new.name for one in hers.schedules.ours()] == ["n"]
        hers.roles.set([])
        served = "SELECT node FROM roles WHERE in_service"
        wait_until(lambda: his.database.rows(served) == [(his.node,)], "hers is gone, his is not")


def log_of(server: Postgres) -> bytes:
    """All changes that the server keeps, and how many bases it has that are older than them."""
    with psycopg.connect(server.url) as connection:
        rows = connection.execute("SELECT changes FROM khive.log").fetchall()
    return b"".join(data for (data,) in rows)


def test_a_purge_reaches_every_machine_and_says_which_have_confirmed(
    server: Postgres, team: dict[str, Node]
) -> None:
    alice, bob = team["alice"], team["bob"]
    with alice.open() as hers:
        one, two = hers.entries.add(
            [entry("open", "Quetzalcoatl has the key."), entry("closed", "Zanzibar has it.")]
        )
        wait_until(lambda: "Quetzalcoatl has the key." in texts(bob), "it travels")
        assert b"Quetzalcoatl" in log_of(server)
        hers.purges.purge([one.id, two.id])

        def reported() -> PurgeOfTeam:
            found = errand.run(bob.config, "purges", variables=bob.environment)
            return found["purges"][0]

        nodes = set()
        for node in team.values():
            with node.plain() as store:
                row = store.replica()
                assert row is not None
                nodes.add(row.node)
        wait_until(lambda: set(reported()["confirmed"]) == nodes, "all have confirmed", 120)
        wait_until(lambda: reported()["server"], "so has the server", 120)
        assert reported()["waiting"] == []
        assert reported()["member"] == "alice"
    assert b"Quetzalcoatl" not in log_of(server)
    for node in team.values():
        node.stop()
        assert b"Quetzalcoatl" not in files(node)
        assert b"quetzalcoatl" not in files(node)


def test_doctor_knows_what_a_role_lacks_and_how_to_give_it(team: dict[str, Node]) -> None:
    bob = team["bob"]

    def lacks() -> list[str]:
        found = errand.run(bob.config, "check", variables=bob.environment)
        assert found["connections"][0] < found["connections"][1]
        return found["grants"]

    assert lacks() == []
    with psycopg.connect(team["khive"].url, autocommit=True) as connection:
        connection.execute("REVOKE INSERT, UPDATE ON khive.heads FROM bob")
        assert lacks() == ["GRANT INSERT, UPDATE ON khive.heads TO bob"]
        connection.execute("REVOKE USAGE ON SCHEMA khive FROM bob")
        given = lacks()
        assert len(given) == 7
        for statement in given:
            connection.execute(statement.encode())
    assert lacks() == []


@pytest.mark.long
def test_doctor_says_who_keeps_the_turn_from_all_others(team: dict[str, Node]) -> None:
    def held() -> list[str]:
        found = errand.run(team["khive"].config, "check", variables=team["khive"].environment)
        return found["turn_held_by"]

    assert held() == []
    for statement in (
        f"SELECT pg_advisory_lock({TURN_KEY})",
        "SELECT FROM khive.head FOR UPDATE",
    ):
        with psycopg.connect(team["bob"].url) as connection:
            connection.execute(statement.encode())
            pid = connection.info.backend_pid
            assert held() == ["bob", str(pid)]


def test_the_server_ends_what_a_member_leaves_in_the_turn(
    server: Postgres, team: dict[str, Node]
) -> None:
    with closing(TeamServer.connect(server.url, "owner")) as owner:
        members.grant(owner, "bob", "open")  # by a role that may change roles
        with psycopg.connect(team["bob"].url) as connection:
            (said,) = connection.execute("SHOW idle_in_transaction_session_timeout").fetchall()
            assert said == ("1min",)
        owner.ask(
            "ALTER ROLE bob IN DATABASE postgres SET idle_in_transaction_session_timeout = 500"
        )
        members.grant(owner, "bob", "other")
        with psycopg.connect(team["bob"].url) as connection:
            connection.execute("SELECT FROM khive.head FOR UPDATE")
            number = owner.look(0).number
            assert owner.lock(number).number == number
            owner.roll_back()
            with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
                connection.execute("SELECT 1")


def test_a_role_that_there_is_not_is_the_callers_mistake(owned: dict[str, Node]) -> None:
    for what, role in (("grant", "nobody"), ("revoke", "bob")):
        with pytest.raises(InvalidInput, match=role):
            give(owned["khive"], role, "open", what)


@pytest.mark.long
def test_a_write_that_waits_is_put_aside_if_its_right_was_taken_meanwhile(
    team: dict[str, Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = team["bob"]
    give(team["khive"], "bob", "extra")
    with bob.open() as his:
        wait_until(lambda: "extra" in rights_of(his), "bob may see more")
    bob.stop()
    monkeypatch.setenv("HOME", str(bob.home))
    with session(bob) as his_own:
        for number, namespace in enumerate(("open", "extra", "open")):
            said = call(his_own, "memory.remember", content=f"w {number}", namespace=namespace)
            assert said["status"] == "waiting"
        give(team["khive"], "bob", "extra", "revoke")
        bob.start()
        wait_until(lambda: "extra" not in rights_of(his_own.whole_store), "the right is gone")
        assert apply_all(bob) == (2, 1)
        (aside,) = his_own.whole_store.waiting.all()
        assert "no right to the namespace" in aside.error
    wait_until(lambda: {"w 0", "w 2"} <= texts(team["alice"]), "the others are the team's")
    assert "w 1" not in texts(team["khive"])


def rights_of(store: Any) -> tuple[str, ...]:
    row = store.replica()
    return row.rights.namespaces if row is not None else ()
