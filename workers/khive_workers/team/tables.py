"""The tables of a team's store in PostgreSQL, and who may make them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from khive_workers.team.server import ServerRefuses, TeamServer

#: The key of the advisory lock of whoever makes the tables, or the first base.
_MAKING = 7_310_552_001

#: `head`: one row, whose lock is the turn to write; `team` names the store. `log`: every change, a
#: part for each number, so that several can be there later. `base`: a whole replica at some number,
#: for nodes that join; it counts when it is `ready`. `nodes`: how far each node has come.
_TABLES = """
CREATE SCHEMA IF NOT EXISTS khive;
CREATE TABLE IF NOT EXISTS khive.head (
    one    integer PRIMARY KEY CHECK (one = 1),
    number bigint NOT NULL,
    team   uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO khive.head (one, number) VALUES (1, 0) ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS khive.log (
    number  bigint NOT NULL,
    part    text NOT NULL DEFAULT '',
    node    text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    schema  integer NOT NULL,
    nonce   uuid NOT NULL UNIQUE,
    changes bytea NOT NULL,
    PRIMARY KEY (number, part)
);
CREATE TABLE IF NOT EXISTS khive.base (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    number  bigint NOT NULL,
    nonce   bytea NOT NULL,
    schema  integer NOT NULL,
    bytes   bigint NOT NULL,
    sha256  bytea NOT NULL,
    entries bigint NOT NULL,
    node    text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ready   boolean NOT NULL DEFAULT false
);
CREATE TABLE IF NOT EXISTS khive.base_parts (
    base bigint NOT NULL REFERENCES khive.base ON DELETE CASCADE,
    part integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (base, part)
);
ALTER TABLE khive.base_parts ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS khive.nodes (
    name    text PRIMARY KEY,
    number  bigint NOT NULL,
    schema  integer NOT NULL,
    release text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
#: What came later, each by a table that a server without it does not have. `heads`: the end of each
#: node's audit chain, as it said on each day, at a change of the log.
_LATER = {
    "khive.heads": """
CREATE TABLE IF NOT EXISTS khive.heads (
    origin text NOT NULL,
    day    date NOT NULL DEFAULT current_date,
    seq    bigint NOT NULL,
    hash   bytea NOT NULL,
    number bigint NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (origin, day)
)
""",
}


def exist(server: TeamServer) -> bool:
    """Return whether the server has the tables; raises what the server does."""
    return server.ask("SELECT to_regclass('khive.nodes')")[0][0] is not None


@contextmanager
def making(server: TeamServer) -> Iterator[None]:
    """Be the only one that makes tables or a first base; the tables are there within.

    Raises:
        ServerRefuses: there are none, and this user may not make them.
    """
    server.ask(f"SELECT pg_advisory_lock({_MAKING})")
    if not exist(server):
        _make(server)
    complete(server)
    yield
    server.ask(f"SELECT pg_advisory_unlock({_MAKING})")


def complete(server: TeamServer) -> list[str]:
    """Make what an earlier release has not made; return what is missing all the same.

    Only who owns the schema may: an operator has that one connect once, or runs `doctor`'s words.
    """
    missing = [
        name for name in _LATER if server.ask("SELECT to_regclass(%s)", (name,)) == [(None,)]
    ]
    for name in list(missing):
        try:
            server.ask(_LATER[name])
        except ServerRefuses:
            continue
        missing.remove(name)
    return missing


def _make(server: TeamServer) -> None:
    try:
        server.ask(_TABLES)
    except ServerRefuses as error:
        raise ServerRefuses(
            f"The tables of a team's store could not be made: {error.message}",
            hint="Its first node needs a role that may create a schema: GRANT CREATE ON DATABASE.",
        ) from None
