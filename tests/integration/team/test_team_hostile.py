"""What a member who sees one namespace tries with statements and changes of their own making."""

from __future__ import annotations

import uuid

import apsw
import psycopg
import pytest
from member_support import CHANGE, NEXT, entry, shown, texts
from support import wait_until

from benchmarks.team.nodes import Node

#: What else a member with a right to one namespace tries by SQL, each in a transaction of its own.
_ATTACKS = (
    "UPDATE khive.head SET number = number + 1000",
    "UPDATE khive.head SET number = number + 1",
    "UPDATE khive.head SET number = number - 1",
    f"{CHANGE} VALUES ({NEXT}, '', 'x', 14, gen_random_uuid(), '')",
    f"{CHANGE} VALUES ({NEXT} + 50, '', 'x', 14, gen_random_uuid(), '')",
    f"{CHANGE} VALUES (1, 'open', 'x', 14, gen_random_uuid(), '')",
    (
        f"{CHANGE} VALUES ({NEXT}, 'open', 'x', 14, gen_random_uuid(), ''); "
        "UPDATE khive.head SET number = number + 1"
    ),
    (
        f"{CHANGE} SELECT {NEXT}, '', name, 14, gen_random_uuid(), '' FROM khive.nodes "
        "WHERE member = 'alice'; UPDATE khive.head SET number = number + 1"
    ),
    (
        f"{CHANGE} VALUES ({NEXT}, '', 'x', 99, gen_random_uuid(), ''); "
        "UPDATE khive.head SET number = number + 1"
    ),
    f"INSERT INTO khive.purges (number, node) VALUES ({NEXT}, 'x')",
    "INSERT INTO khive.purges (number, node) VALUES (1, 'x')",
)
#: Tables of a member's own that are called as those of the catalogue.
_SHADOWS = (
    (
        "CREATE TEMP TABLE pg_class AS "
        "SELECT 'khive.log'::regclass::oid AS oid, 'bob'::regrole::oid AS relowner"
    ),
    "CREATE TEMP TABLE pg_roles AS SELECT 'bob'::regrole::oid AS oid, 'alice'::name AS rolname",
)


def test_a_member_cannot_break_the_order_by_statements_of_their_own(team: dict[str, Node]) -> None:
    with psycopg.connect(team["bob"].url, autocommit=True) as connection:
        for statement in _ATTACKS:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"BEGIN; {statement}; COMMIT".encode())
            connection.execute("ROLLBACK")
        connection.execute("SELECT pg_notify('khive', repeat('9', 5000))")
    with team["alice"].open() as hers:
        hers.entries.add([entry("open", "It goes on.")])
    wait_until(lambda: all("It goes on." in texts(node) for node in team.values()), "it travels")


@pytest.mark.parametrize("statement", _SHADOWS)
def test_a_member_gets_no_rights_by_tables_of_their_own(
    team: dict[str, Node], statement: str
) -> None:
    with team["alice"].open() as hers:
        hers.entries.add([entry("closed", "Zanzibar.")])
    with psycopg.connect(team["bob"].url, autocommit=True) as connection:
        connection.execute(statement.encode())
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA pg_temp TO public")
        found = connection.execute(
            "SELECT khive.rights_of('bob'), khive.rights_of('alice'), "
            "(SELECT count(*) FROM khive.log WHERE part = 'closed')"
        ).fetchone()
    assert found == (["open"], [], 0)


def made(node: Node, statements: str) -> bytes:
    """Return what statements change, as somebody makes it who has a replica to make it of."""
    with node.plain() as store, store.database.raw() as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        session = apsw.Session(connection, "main")
        session.attach()
        connection.execute(f"BEGIN; {statements}")
        found = session.patchset()
        session.close()
        connection.execute("ROLLBACK")
    return bytes(found)


def logged(node: Node, name: str, parts: dict[str, bytes]) -> None:
    """Write a change to the log, as the member of a node may."""
    nonce = uuid.uuid4()
    with psycopg.connect(node.url) as connection:
        for part, changes in parts.items():
            connection.execute(
                f"{CHANGE} SELECT number + 1, %s, %s, 14, %s, %s FROM khive.head",
                (part, name, nonce, changes),
            )
        connection.execute("UPDATE khive.head SET number = number + 1")


#: Copies of an entry, with other numbers and texts.
_COPIED = (
    "CREATE TEMP TABLE t AS SELECT * FROM entries WHERE id = 1; "
    "UPDATE t SET id = {}, content_hash = randomblob(16); INSERT INTO entries SELECT * FROM t"
)
#: What a member with a right to `open` alone makes of a whole replica: by the part it is in. Entry
#: 1 is of that namespace, and 2 is not.
_UNFIT: dict[str, tuple[str, str]] = {
    "an entry of others is drawn in": (
        "open",
        "UPDATE entries SET namespace = 'open' WHERE id = 2",
    ),
    "what is of it is removed": (
        "open",
        f"{_COPIED.format(3)}; DELETE FROM vectors WHERE entry_id = 2",
    ),
    "all numbers are used up": ("open", _COPIED.format(9223372036854775807)),
    "there is one already": ("", "UPDATE terms SET term = 9; INSERT INTO models VALUES ('x', 4)"),
    "another node's chain goes on": (
        "*whole",
        (
            "CREATE TEMP TABLE a AS SELECT * FROM audit_of_nodes WHERE seq = 1; "
            "UPDATE a SET seq = 99; INSERT INTO audit_of_nodes SELECT * FROM a"
        ),
    ),
    "others' messages are sent": (
        "*whole",
        "INSERT INTO outbox_channels VALUES (1, 'c', 1, 1, '')",
    ),
}


def test_a_change_of_a_members_own_making_stops_and_opens_nothing(team: dict[str, Node]) -> None:
    alice, bob = team["alice"], team["bob"]
    with alice.open() as hers:
        hers.entries.add([entry("open", "Open.")], [b"ab"], "m")
        (hidden,) = hers.entries.add([entry("closed", "Zanzibar.")], [b"zz"], "m")
        wait_until(lambda: "Open." in texts(bob), "it travels")
        with bob.plain() as store:
            his = store.replica()
            assert his is not None
        before = {name: rows for name, rows in shown(alice).items() if name in ("vectors", "links")}
        for part, statements in _UNFIT.values():
            changes = made(alice, statements)
            assert changes
            logged(bob, his.node, {"": b"", part: changes})
        taken = made(bob, _COPIED.format(hidden.id))  # where that number is not known to be taken
        logged(bob, his.node, {"": b"", "open": taken})
        logged(bob, his.node, {"": b"no changeset"})
        hers.catch_up()
        assert hers.entries.get([hidden.id])[0].namespace == "closed"
        assert hers.entries.members([hidden.id]) == {hidden.id: "alice"}
        assert {name: shown(alice)[name] for name in before} == before
        assert hers.database.value("SELECT count(*) FROM audit_of_nodes WHERE seq = 99") == 0
        assert hers.database.value("SELECT count(*) FROM outbox_channels") == 0
        (later,) = hers.entries.add([entry("open", "It goes on.")])
        assert later.id < 10
    for node in team.values():
        wait_until(lambda node=node: "It goes on." in texts(node), "it travels")
        assert not list(node.home.glob("khive.db.kept-*")), "nobody took a replica anew"
    assert shown(team["khive"]) == shown(alice)
